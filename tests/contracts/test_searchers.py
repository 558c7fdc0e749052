"""The searchers keep the contract."""

from typing import ClassVar

import pytest

from niwaki.search.base import Problem, Searcher
from niwaki.search.nsga2 import NSGA2, NSGA2Settings
from niwaki.search.optuna_sampler import OptunaSearcher, OptunaSettings
from niwaki.search.random_search import RandomSearch, RandomSearchSettings
from niwaki.search.regularized_evolution import RegularizedEvolution, RegularizedEvolutionSettings
from niwaki.testing.searcher_contract import SearcherContract


class TestRandomSearch(SearcherContract):
    beats_random = False

    def make(self, problem: Problem) -> Searcher:
        return RandomSearch(problem, RandomSearchSettings())


class TestNSGA2(SearcherContract):
    def make(self, problem: Problem) -> Searcher:
        return NSGA2(problem, NSGA2Settings())


class TestRegularizedEvolution(SearcherContract):
    def make(self, problem: Problem) -> Searcher:
        return RegularizedEvolution(problem, RegularizedEvolutionSettings())


class TestTPE(SearcherContract):
    beats_random = False

    def make(self, problem: Problem) -> Searcher:
        return OptunaSearcher(problem, OptunaSettings("tpe"))


class TestOptunaNSGA2(SearcherContract):
    n_evaluations: ClassVar[int] = 200
    resumes_with_pending = False

    def make(self, problem: Problem) -> Searcher:
        return OptunaSearcher(problem, OptunaSettings("nsga2", {"population_size": 20}))


class TestOptunaNSGA3(SearcherContract):
    n_evaluations: ClassVar[int] = 200
    resumes_with_pending = False

    def make(self, problem: Problem) -> Searcher:
        return OptunaSearcher(problem, OptunaSettings("nsga3", {"population_size": 20}))


class TestQMC(SearcherContract):
    beats_random = False
    resumes_with_pending = False

    def make(self, problem: Problem) -> Searcher:
        return OptunaSearcher(problem, OptunaSettings("qmc", {"scramble": True}))


@pytest.mark.slow
class TestGP(SearcherContract):
    n_evaluations: ClassVar[int] = 60
    n_seeds: ClassVar[int] = 3

    def make(self, problem: Problem) -> Searcher:
        return OptunaSearcher(problem, OptunaSettings("gp"))

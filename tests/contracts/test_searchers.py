"""The searchers keep the contract.

Those of Optuna learn too, but are slow or, as the evolutionary ones, need more evaluations to show
it: that part of the contract is marked slow. GP takes seconds per candidate: tests/search has a
short test of it instead.
"""

from dataclasses import replace
from importlib.util import find_spec

import pytest

from examples.own_searcher import HillClimbing
from niwaki.search.age_moea import AgeMoea
from niwaki.search.base import Problem, Searcher
from niwaki.search.botorch_searcher import BotorchSearcher, BotorchSettings
from niwaki.search.linas import Linas, LinasSettings
from niwaki.search.nsga2 import NSGA2
from niwaki.search.nsga3 import NSGA3
from niwaki.search.optuna_sampler import OptunaSearcher, OptunaSettings
from niwaki.search.random_search import RandomSearch
from niwaki.search.regularized_evolution import RegularizedEvolution
from niwaki.search.several_goals import SeveralGoals
from niwaki.search.sms_emoa import SMSEMOA
from niwaki.search.surrogate import Surrogate, SurrogateSettings
from niwaki.testing.searcher_contract import SearcherContract


class TestRandomSearch(SearcherContract):
    beats_random = False

    def make(self, problem: Problem) -> Searcher:
        return RandomSearch(problem)


class TestHillClimbingOfTheExamples(SearcherContract):
    def make(self, problem: Problem) -> Searcher:
        return HillClimbing(problem)


class TestNSGA2(SearcherContract):
    def make(self, problem: Problem) -> Searcher:
        return NSGA2(problem)


class TestNSGA3(SearcherContract):
    def make(self, problem: Problem) -> Searcher:
        return NSGA3(problem)


class TestAgeMoea(SearcherContract):
    def make(self, problem: Problem) -> Searcher:
        return AgeMoea(problem)


class TestSMSEMOA(SearcherContract):
    def make(self, problem: Problem) -> Searcher:
        return SMSEMOA(problem)


class TestRegularizedEvolution(SearcherContract):
    def make(self, problem: Problem) -> Searcher:
        return RegularizedEvolution(problem)


class TestTPE(SearcherContract):
    beats_random = False

    def make(self, problem: Problem) -> Searcher:
        return OptunaSearcher(problem, OptunaSettings("tpe"))


class TestOptunaNSGA2(SearcherContract):
    beats_random = False
    resumes_with_pending = False

    def make(self, problem: Problem) -> Searcher:
        return OptunaSearcher(problem, OptunaSettings("nsga2", {"population_size": 20}))


class TestOptunaNSGA3(SearcherContract):
    beats_random = False
    resumes_with_pending = False

    def make(self, problem: Problem) -> Searcher:
        return OptunaSearcher(problem, OptunaSettings("nsga3", {"population_size": 20}))


class TestQMC(SearcherContract):
    beats_random = False
    resumes_with_pending = False

    def make(self, problem: Problem) -> Searcher:
        return OptunaSearcher(problem, OptunaSettings("qmc", {"scramble": True}))


@pytest.mark.slow
class TestTPELearns(TestTPE):
    beats_random = True
    n_evaluations = 150


@pytest.mark.slow
class TestOptunaNSGA2Learns(TestOptunaNSGA2):
    beats_random = True
    n_evaluations = 400


@pytest.mark.slow
class TestOptunaNSGA3Learns(TestOptunaNSGA3):
    beats_random = True
    n_evaluations = 400


class TestLinas(SearcherContract):
    resumes_with_pending = False
    n_evaluations = 80
    n_seeds = 3

    def make(self, problem: Problem) -> Searcher:
        return Linas(problem, LinasSettings(population_size=20, inner_evaluations=200, n_grid=2))


class TestSurrogate(SearcherContract):
    n_evaluations = 60
    n_seeds = 3

    def make(self, problem: Problem) -> Searcher:
        return Surrogate(problem, SurrogateSettings(pool_size=150))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("botorch") is None, reason="needs the extra botorch")
class TestBotorch(SearcherContract):
    n_evaluations = 60
    n_seeds = 3

    def make(self, problem: Problem) -> Searcher:
        return BotorchSearcher(problem, BotorchSettings(pool_size=60, n_samples=16))


def goals_of(problem: Problem) -> list[Problem]:
    """Return a problem as it is, and one that is about the last of its objectives alone."""
    return [problem, replace(problem, objectives=problem.objectives[-1:])]


class TestSeveralGoalsOfNSGA2(TestNSGA2):
    def make(self, problem: Problem) -> Searcher:
        return SeveralGoals(goals_of(problem), super().make)


class TestSeveralGoalsOfTPE(TestTPE):
    def make(self, problem: Problem) -> Searcher:
        return SeveralGoals(goals_of(problem), super().make)


class TestSeveralGoalsOfQMC(TestQMC):
    def make(self, problem: Problem) -> Searcher:
        return SeveralGoals(goals_of(problem), super().make)


class TestSeveralGoalsOfLinas(TestLinas):
    beats_random = False  # with rounds that half as many of its own evaluations fill

    def make(self, problem: Problem) -> Searcher:
        return SeveralGoals(goals_of(problem), super().make)


class TestSeveralGoalsOfSurrogate(TestSurrogate):
    beats_random = False  # as it does alone, which takes minutes for two

    def make(self, problem: Problem) -> Searcher:
        return SeveralGoals(goals_of(problem), super().make)

"""Contracts see what is wrong."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.predictors.base import Prediction
from niwaki.predictors.linear.bayesian_ridge import BayesianRidge
from niwaki.search.base import Problem, Searcher
from niwaki.search.random_search import RandomSearch
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.spaces.heads import Head, HeadKind
from niwaki.testing.predictor_contract import PredictorContract, examples
from niwaki.testing.searcher_contract import SearcherContract
from niwaki.testing.space_contract import N_SAMPLES, SpaceContract, sample
from niwaki.testing.super_network_contract import SuperNetworkContract
from tests.evaluation.own_super_network import (
    TowerFamily,
    Towers,
    TowerSettings,
    TowerSuperNetwork,
)


class _Stranger(ChoiceSpace):
    def crossover(
        self,
        first: Candidate,
        second: Candidate,
        rng: np.random.Generator,
    ) -> Candidate:
        return self.sample(rng)


class _SpaceOfStrangers(SpaceContract):
    def make(self) -> ChoiceSpace:
        return _Stranger(tuple(Choice(f"layer{i}", (1, 2, 3)) for i in range(6)))


def test_a_child_of_nobody_is_seen() -> None:
    contract = _SpaceOfStrangers()
    space = contract.make()
    with pytest.raises(AssertionError):
        contract.test_a_child_is_valid_and_that_of_twins_is_their_twin(
            space, sample(space, N_SAMPLES)
        )


class _Company(BayesianRidge):
    def predict(self, X: NDArray[np.float64]) -> Prediction:
        alone = super().predict(X)
        return replace(alone, std=alone.std * (1.0 + 0.01 * len(X)))


class _PredictorsInCompany(PredictorContract):
    def make(self) -> BayesianRidge:
        return _Company()


def test_doubt_that_depends_on_other_rows_is_seen() -> None:
    contract = _PredictorsInCompany()
    predictor = contract.make()
    predictor.fit(*examples(80))
    with pytest.raises(AssertionError):
        contract.test_rows_are_predicted_one_by_one_as_together(predictor)


class _Seeding(RandomSearch):
    def __init__(self, problem: Problem, seed: Callable[[int], object]) -> None:
        super().__init__(problem)
        self._global_seed = seed

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        self._global_seed(0)
        return super().ask(n, pending)


class _SeedingSearchers(SearcherContract):
    seed: Callable[[int], object]

    def make(self, problem: Problem) -> Searcher:
        return _Seeding(problem, self.seed)


@pytest.mark.parametrize("seed", [random.seed, np.random.seed, torch.manual_seed])
def test_who_seeds_global_randomness_is_seen_also_the_second_time(
    seed: Callable[[int], object],
) -> None:
    contract = _SeedingSearchers()
    contract.seed = seed
    for _ in range(2):
        with pytest.raises(AssertionError):
            contract.test_no_global_random_state_is_touched()


class _Generous(RandomSearch):
    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        asked = super().ask(n, pending)
        return [*asked, *asked[:3]]


class _GenerousSearchers(SearcherContract):
    def make(self, problem: Problem) -> Searcher:
        return _Generous(problem)


def test_who_repeats_candidates_in_a_batch_is_seen() -> None:
    with pytest.raises(AssertionError):
        _GenerousSearchers().test_many_can_be_asked_at_once()


class _Sharing(TowerSuperNetwork):
    def extract(self, candidate: Candidate) -> Towers:
        return self.full if candidate == self.space.largest else super().extract(candidate)


class _SharingFamily(TowerFamily):
    def super_network(self, generator: torch.Generator) -> TowerSuperNetwork:
        return _Sharing(self.space, generator)


class _SharingFamilies(SuperNetworkContract):
    def make(self) -> TowerFamily:
        heads = (Head("shade", HeadKind.VECTOR, 3),)
        return _SharingFamily(TowerSettings().elastic_family(self.input_shape, heads).space)


def test_what_is_extracted_without_a_copy_is_seen() -> None:
    contract = _SharingFamilies()
    family = contract.make()
    network = family.super_network(torch.Generator())
    with pytest.raises(AssertionError):
        contract.test_what_is_extracted_has_weights_of_its_own(family, network)

"""What every searcher must do. Subclass `SearcherContract` and implement `make`."""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.core.registry import import_object
from niwaki.search.base import Problem, Searcher
from niwaki.search.random_search import RandomSearch, RandomSearchSettings
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.spaces.walks import corners, every_candidate
from niwaki.testing.other_process import run_elsewhere
from niwaki.testing.toy_run import Run, search
from niwaki.testing.toy_troubles import all_toys

TOYS = {toy.name: toy for toy in all_toys()}
TINY = ChoiceSpace((Choice("a", (1, 2, 3)), Choice("b", ("x", "y")), Choice("c", (0.5,))))
SINGLE = ChoiceSpace((Choice("a", (1,)),))


class SearcherContract(ABC):
    """Laws of searchers.

    What takes longest, and says least about a small change, comes last: a searcher that learns has
    to beat random search, by the median over seeds, on every toy.

    Attributes:
        n_evaluations: Budget of each search that has to beat random search.
        n_seeds: Seeds that the median is taken over.
        beats_random: False for searchers that do not learn.
        resumes_with_pending: False for searchers whose state depends on more than the order of
            asking and the order of telling; those resume exactly only if nothing was pending.
    """

    n_evaluations: ClassVar[int] = 150
    n_seeds: ClassVar[int] = 5
    beats_random: ClassVar[bool] = True
    resumes_with_pending: ClassVar[bool] = True

    @abstractmethod
    def make(self, problem: Problem) -> Searcher:
        """Return a new searcher of the kind under test."""

    def run(self, toy: str, n: int, *, seed: int = 0, n_workers: int = 1) -> Run:
        """Let a new searcher loose on a toy."""
        searcher = self.make(TOYS[toy].problem(seed=seed))
        return search(searcher, TOYS[toy], n, n_workers=n_workers)

    def resumed(self, toy: str, whole: Run, n_asked: int, n_told: int) -> Searcher:
        """Return a new searcher that goes on from within a run."""
        searcher = self.make(TOYS[toy].problem(seed=0))
        searcher.resume(whole.asked[:n_asked])
        searcher.tell(whole.told[:n_told])
        return searcher

    @pytest.mark.parametrize("toy", ["joint", "failing", "bounded"])
    def test_candidates_are_valid_and_new(self, toy: str) -> None:
        asked = self.run(toy, 40, n_workers=3).asked
        assert [TOYS[toy].space.check(candidate) for candidate in asked] == [""] * 40
        assert len(set(asked)) == 40

    def test_many_can_be_asked_at_once(self) -> None:
        asked = self.make(TOYS["joint"].problem(seed=1)).ask(60)
        assert len(set(asked)) == len(asked) == 60

    def test_a_batch_is_its_candidates_one_by_one(self) -> None:
        whole = self.run("joint", 30)
        batch, single = (self.resumed("joint", whole, 30, 30) for _ in range(2))
        assert batch.ask(5) == [single.ask(1)[0] for _ in range(5)]

    def test_telling_at_once_is_telling_one_by_one(self) -> None:
        whole = self.run("bounded", 30)
        at_once, one_by_one = (self.resumed("bounded", whole, 30, 10) for _ in range(2))
        at_once.tell(whole.told[10:])
        for trial in whole.told[10:]:
            one_by_one.tell([trial])
        assert at_once.ask(3) == one_by_one.ask(3)

    def test_another_process_asks_the_same(self) -> None:
        name = f"{type(self).__module__}:{type(self).__qualname__}"
        there = run_elsewhere(f"{__name__}:keys_of_contract", name, hash_seed=98765)
        assert there == keys_of_contract(name)

    def test_another_seed_asks_for_others(self) -> None:
        assert self.run("flat", 20, seed=1).asked != self.run("flat", 20, seed=2).asked

    @pytest.mark.parametrize("n_before", [0, 1, 9, 25, 44])
    @pytest.mark.parametrize("toy", ["failing", "bounded"])
    def test_resuming_is_going_on(self, toy: str, n_before: int) -> None:
        whole = self.run(toy, 45)
        resumed = self.resumed(toy, whole, n_before, n_before)
        assert resumed.ask(1) == [whole.asked[n_before]]

    @pytest.mark.parametrize("n_before", [2, 30, 43])
    def test_resuming_with_some_pending_is_going_on(self, n_before: int) -> None:
        if not self.resumes_with_pending:
            pytest.skip("this searcher resumes exactly only if nothing was pending")
        whole = self.run("bounded", 45, n_workers=4)
        resumed = self.resumed("bounded", whole, n_before, whole.n_told_before[n_before])
        assert resumed.ask(1) == [whole.asked[n_before]]

    def test_resuming_after_a_trial_from_elsewhere_is_going_on(self) -> None:
        toy = TOYS["bounded"]
        stranger = corners(toy.space)[0]
        baseline = Trial(0, stranger, toy.measure(stranger))
        first, resumed = (self.make(toy.problem(seed=0)) for _ in range(2))
        first.tell([baseline])
        whole = search(first, toy, 30)
        resumed.resume(whole.asked[:10])
        resumed.tell([baseline, *whole.told[:10]])
        assert search(resumed, toy, 20).asked == whole.asked[10:]

    def test_pending_candidates_can_be_told_after_resuming(self) -> None:
        whole = self.run("bounded", 30)
        resumed = self.make(TOYS["bounded"].problem(seed=0))
        resumed.resume(whole.asked)
        resumed.tell(whole.told[5:20])
        [more] = resumed.ask(1)
        resumed.tell([*whole.told[:5], *reversed(whole.told[20:])])
        assert {more, *resumed.ask(1)}.isdisjoint(whole.asked)

    def test_resuming_between_asks_is_having_resumed(self) -> None:
        toy = TOYS["bounded"]
        others = self.run("bounded", 20, seed=9).asked
        going_on, resumed = (self.make(toy.problem(seed=0)) for _ in range(2))
        asked: list[Candidate] = []
        told: list[Trial] = []
        for other in others:
            own = going_on.ask(1)
            going_on.resume([other])
            new = [Trial(len(asked) + i, c, toy.measure(c)) for i, c in enumerate([*own, other])]
            going_on.tell(new)
            asked, told = [*asked, *own, other], [*told, *new]
        resumed.resume(asked)
        resumed.tell(told)
        assert going_on.ask(5) == resumed.ask(5)

    def test_what_others_ask_for_in_between_is_not_asked_again(self) -> None:
        searcher = self.make(_tiny_problem(TINY))
        own = searcher.ask(1)
        others = [each for each in every_candidate(TINY) if each not in own][:2]
        searcher.resume(others)
        rest = searcher.ask(10)
        assert len({*own, *others, *rest}) == 1 + 2 + len(rest) == 6

    def test_a_small_space_is_asked_through_exactly_once(self) -> None:
        searcher = self.make(_tiny_problem(TINY))
        asked = [searcher.ask(1) for _ in range(4)]
        searcher.tell([_tiny_trial(number, one[0]) for number, one in enumerate(asked)])
        rest = searcher.ask(10)
        assert len({*rest, *(one[0] for one in asked)}) == 6
        assert searcher.ask(3) == []

    def test_of_one_network_only_one_spelling_is_asked_for(self) -> None:
        problem = replace(_tiny_problem(TINY), identity=_without_b)
        searcher = self.make(problem)
        asked = [searcher.ask(1)[0] for _ in range(2)]
        searcher.tell([_tiny_trial(number, one) for number, one in enumerate(asked)])
        asked += searcher.ask(5)
        assert sorted(map(_without_b, asked)) == ["1", "2", "3"]

    def test_a_space_of_one_is_asked_for_once(self) -> None:
        searcher = self.make(_tiny_problem(SINGLE))
        assert searcher.ask(2) == [Candidate.of({"a": 1})]
        assert searcher.ask(1) == []

    def test_initial_candidates_come_first(self) -> None:
        toy = TOYS["joint"]
        initial = corners(toy.space)
        searcher = self.make(replace(toy.problem(seed=0), initial=initial))
        assert searcher.ask(1) + searcher.ask(1) == list(initial)
        assert not set(initial) & set(searcher.ask(20))

    def test_an_initial_candidate_must_be_of_the_space(self) -> None:
        stranger = Candidate.of({"a": 1})
        with pytest.raises(SpaceError, match="missing"):
            self.make(replace(TOYS["joint"].problem(seed=0), initial=(stranger,)))

    def test_trials_from_elsewhere_are_learned_from(self) -> None:
        told = self.run("flat", 30, seed=5).told
        searcher = self.make(TOYS["flat"].problem(seed=6))
        searcher.tell(told)
        asked = searcher.ask(20)
        assert len(set(asked)) == len(asked) == 20
        assert set(asked).isdisjoint(trial.candidate for trial in told)

    def test_nothing_but_failures_is_survived(self) -> None:
        self._survives(_failed)

    def test_nothing_but_the_infeasible_is_survived(self) -> None:
        self._survives(_infeasible)

    def test_values_that_are_missing_or_nan_are_survived(self) -> None:
        self._survives(_incomplete)

    def _survives(self, trouble: Callable[[Measurement], Measurement]) -> None:
        toy = replace(TOYS["bounded"], trouble=trouble)
        asked = search(self.make(toy.problem(seed=0)), toy, 40, n_workers=2).asked
        assert len(set(asked)) == 40

    @pytest.mark.parametrize("n_objectives", [1, 3])
    def test_any_number_of_objectives_will_do(self, n_objectives: int) -> None:
        toy = TOYS["flat"]
        wanted = tuple(Objective(name, Direction.MINIMIZE) for name in ("cost", "accuracy", "sum"))
        searcher = self.make(Problem(toy.space, wanted[:n_objectives]))
        asked = search(searcher, replace(toy, trouble=_with_sum), 40).asked
        assert len(set(asked)) == 40

    def test_no_global_random_state_is_touched(self) -> None:
        # Who seeds it anew leaves what a seed gives, perhaps since an earlier test: move on first.
        _ = random.random(), np.random.random(), torch.rand(1)  # noqa: NPY002
        before = _global_random_state()
        self.run("joint", 30)
        assert _global_random_state() == before

    @pytest.mark.parametrize("toy", list(TOYS))
    def test_it_beats_random_search(self, toy: str) -> None:
        if not self.beats_random:
            pytest.skip("this searcher does not learn")

        def median(contract: SearcherContract) -> float:
            runs = [contract.run(toy, self.n_evaluations, seed=s) for s in range(self.n_seeds)]
            return float(np.median([TOYS[toy].score(run.asked) for run in runs]))

        assert median(self) > median(_ByChance())


class _ByChance(SearcherContract):
    def make(self, problem: Problem) -> Searcher:
        return RandomSearch(problem, RandomSearchSettings())


def keys_of_contract(name: str) -> str:
    """Return the keys that the searcher of a contract's test class asks for."""
    contract: SearcherContract = import_object(name)()
    return " ".join(candidate.key for candidate in contract.run("bounded", 30, n_workers=2).asked)


def _global_random_state() -> str:
    numpys = np.random.get_state(legacy=False)  # noqa: NPY002 - it is what must not be used
    numpys_now = f"{numpys['state']['key'].tolist()} {numpys['state']['pos']}"
    return f"{random.getstate()} {numpys_now} {torch.get_rng_state().tolist()}"


def _tiny_problem(space: ChoiceSpace) -> Problem:
    return Problem(space, (Objective("value", Direction.MAXIMIZE),))


def _without_b(candidate: Candidate) -> str:
    return str(candidate.decisions["a"])


def _tiny_trial(number: int, candidate: Candidate) -> Trial:
    return Trial(number, candidate, Measurement(candidate.key, {"value": float(number)}))


def _failed(measurement: Measurement) -> Measurement:
    return Measurement(measurement.key, status=Status.FAILED, reason="always")


def _infeasible(measurement: Measurement) -> Measurement:
    cost = {"cost": measurement.values["cost"] + 100.0}
    return Measurement(measurement.key, cost, status=Status.INFEASIBLE, reason="always")


def _incomplete(measurement: Measurement) -> Measurement:
    """Leave a value out, or make it NaN, depending on the candidate."""
    values = dict(measurement.values)
    match int(measurement.key, 16) % 3:
        case 0:
            del values["accuracy"]
        case 1:
            values["cost"] = math.nan
    return replace(measurement, values=values)


def _with_sum(measurement: Measurement) -> Measurement:
    return replace(
        measurement, values={**measurement.values, "sum": sum(measurement.values.values())}
    )

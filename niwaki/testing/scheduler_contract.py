"""What every scheduler must do. Subclass `SchedulerContract` and implement `make`."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.fidelity import FULL, Fidelities
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.randomness import stream
from niwaki.core.registry import import_object
from niwaki.search.base import Problem
from niwaki.search.schedulers.base import Scheduler
from niwaki.testing.other_process import run_elsewhere
from niwaki.testing.toys import flat_toy

TOY = flat_toy()
LEVELS = Fidelities(levels=(0.1, 0.3, 1.0))
ANY = Fidelities(any_from=0.02, continues=True)


@dataclass(frozen=True)
class Climb:
    """What a scheduler said and was told, in order.

    Attributes:
        asked: Candidates and their fidelities.
        told: Trials.
        n_told_before: How much was told before each was asked.
    """

    asked: tuple[tuple[Candidate, float], ...]
    told: tuple[Trial, ...]
    n_told_before: tuple[int, ...]


def measure(candidate: Candidate, fidelity: float) -> Measurement:
    """Return the toy's measurement: with less effort, worse accuracy, and less sure."""
    measurement = TOY.truth(candidate)
    luck = float(stream(0, "luck", candidate.key, str(fidelity)).normal(0.0, 1.0))
    missing = (FULL - fidelity) * (3.0 + luck)
    values = {**measurement.values, "accuracy": measurement.values["accuracy"] - missing}
    return replace(measurement, values=values, fidelity=fidelity)


def climb(
    scheduler: Scheduler,
    n: int,
    *,
    n_workers: int = 1,
    n_candidates: int = 10_000,
    trouble: Callable[[Measurement], Measurement] = lambda measurement: measurement,
) -> Climb:
    """Follow a scheduler for `n` evaluations, or until it has no more.

    Args:
        scheduler: New.
        n: How many evaluations are asked for.
        n_workers: How many are pending at a time; of these every third finishes late.
        n_candidates: How many new candidates there are.
        trouble: What goes wrong with measurements.
    """
    asked: list[tuple[Candidate, float]] = []
    told: list[Trial] = []
    pending: list[Trial] = []
    n_told_before: list[int] = []
    n_started = 0
    samples = (TOY.space.sample(stream(0, "start", i)) for i in range(2 * n))
    newcomers = list(dict.fromkeys(samples))
    while True:
        step = None
        if len(asked) < n and len(pending) < n_workers:
            step = scheduler.next(may_start=n_started < n_candidates)
        if step is not None:
            candidate = step.candidate or newcomers[n_started]
            n_started += step.candidate is None
            scheduler.asked(candidate, step.fidelity)
            measurement = trouble(measure(candidate, step.fidelity))
            pending.append(Trial(len(asked), candidate, measurement))
            asked.append((candidate, step.fidelity))
            n_told_before.append(len(told))
        elif pending:
            told.append(pending.pop(-1 if len(told) % 3 == 1 else 0))
            scheduler.told([told[-1]])
        else:
            return Climb(tuple(asked), tuple(told), tuple(n_told_before))


class SchedulerContract(ABC):
    """Laws of schedulers."""

    @abstractmethod
    def make(self, problem: Problem, fidelities: Fidelities) -> Scheduler:
        """Return a new scheduler of the kind under test."""

    def run(
        self,
        n: int,
        *,
        n_workers: int = 1,
        n_candidates: int = 10_000,
        fidelities: Fidelities = LEVELS,
        trouble: Callable[[Measurement], Measurement] = lambda measurement: measurement,
    ) -> Climb:
        """Let a new scheduler climb."""
        scheduler = self.make(TOY.problem(seed=0), fidelities)
        return climb(scheduler, n, n_workers=n_workers, n_candidates=n_candidates, trouble=trouble)

    @pytest.mark.parametrize("fidelities", [LEVELS, ANY], ids=["levels", "any"])
    @pytest.mark.parametrize("n_workers", [1, 5])
    def test_effort_rises_and_nothing_is_repeated(
        self, fidelities: Fidelities, n_workers: int
    ) -> None:
        asked = self.run(150, n_workers=n_workers, fidelities=fidelities).asked
        assert len(asked) == 150
        assert all(fidelities.allow(fidelity) for _, fidelity in asked)
        reached: dict[str, float] = {}
        for candidate, fidelity in asked:
            assert fidelity > reached.get(candidate.key, 0.0)
            reached[candidate.key] = fidelity

    def test_some_get_the_full_effort(self) -> None:
        assert any(fidelity == FULL for _, fidelity in self.run(150).asked)

    def test_looking_changes_nothing(self) -> None:
        scheduler = self.make(TOY.problem(seed=0), LEVELS)
        climb(scheduler, 40)
        assert scheduler.next() == scheduler.next(may_start=True)
        scheduler.next(may_start=False)
        climbed = self.make(TOY.problem(seed=0), LEVELS)
        climb(climbed, 40)
        assert scheduler.next() == climbed.next()

    @pytest.mark.parametrize("n_before", [0, 1, 20, 57, 110])
    @pytest.mark.parametrize("n_workers", [1, 4])
    def test_resuming_is_going_on(self, n_before: int, n_workers: int) -> None:
        whole = self.run(120, n_workers=n_workers)
        resumed = self.make(TOY.problem(seed=0), LEVELS)
        for candidate, fidelity in whole.asked[:n_before]:
            resumed.asked(candidate, fidelity)
        resumed.told(whole.told[: whole.n_told_before[n_before]])
        step = resumed.next()
        assert step is not None
        candidate, fidelity = whole.asked[n_before]
        assert step.fidelity == fidelity
        started_before = candidate in [c for c, _ in whole.asked[:n_before]]
        assert step.candidate == (candidate if started_before else None)

    def test_another_process_asks_the_same(self) -> None:
        name = f"{type(self).__module__}:{type(self).__qualname__}"
        there = run_elsewhere(f"{__name__}:keys_of_contract", name, hash_seed=54321)
        assert there == keys_of_contract(name)

    def test_who_failed_gets_no_more(self) -> None:
        run = self.run(150, n_workers=3, trouble=_failing)
        failed = {t.candidate.key for t in run.told if t.measurement.status is Status.FAILED}
        assert failed
        for key in failed:
            fidelities = [fidelity for candidate, fidelity in run.asked if candidate.key == key]
            told = [t.measurement for t in run.told if t.candidate.key == key]
            assert [m.fidelity for m in told if not m.complete] == fidelities[-1:]

    @pytest.mark.parametrize("status", [Status.FAILED, Status.INFEASIBLE])
    def test_nothing_but_trouble_is_survived(self, status: Status) -> None:
        def trouble(measurement: Measurement) -> Measurement:
            return replace(measurement, values={}, status=status, reason="always")

        asked = self.run(60, trouble=trouble).asked
        assert len({candidate.key for candidate, _ in asked}) == 60

    def test_values_that_are_missing_are_survived(self) -> None:
        def trouble(measurement: Measurement) -> Measurement:
            odd = int(measurement.key, 16) % 2
            kept = {"cost": measurement.values["cost"]}
            return replace(measurement, values=kept) if odd else measurement

        run = self.run(100, trouble=trouble)
        assert len(run.asked) == 100

    def test_without_new_candidates_the_known_ones_get_more_and_then_it_ends(self) -> None:
        run = self.run(1000, n_workers=2, n_candidates=12)
        assert len({candidate.key for candidate, _ in run.asked}) == 12
        assert [fidelity for _, fidelity in run.asked].count(FULL) == 12

    def test_every_pending_evaluation_can_finish_last(self) -> None:
        scheduler = self.make(TOY.problem(seed=0), LEVELS)
        run = climb(scheduler, 40, n_workers=20)
        assert len(run.told) == 40
        assert scheduler.next() is not None


def keys_of_contract(name: str) -> str:
    """Return what the scheduler of a contract's test class asks for."""
    contract: SchedulerContract = import_object(name)()
    asked = contract.run(80, n_workers=3).asked
    return " ".join(f"{candidate.key}@{fidelity}" for candidate, fidelity in asked)


def _failing(measurement: Measurement) -> Measurement:
    """Fail for a fifth of all evaluations, always the same ones."""
    if stream(0, "failure", measurement.key, str(measurement.fidelity)).random() < 0.2:
        return replace(measurement, values={}, status=Status.FAILED, reason="the loss exploded")
    return measurement

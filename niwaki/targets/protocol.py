"""The latency protocol: warm up, interleave in matched blocks, repeat until it is known well.

Why it is so, with the numbers that decided it: `README.md` in this folder.
"""

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from niwaki.core.limits import require_at_least, require_positive
from niwaki.targets.statistics import Estimate, Times, ratio_of_runs, undisturbed

# Part of every target id: raise it when a change here or in `reference` moves the numbers.
PROTOCOL_VERSION = 1

SESSION_SPREAD = 0.025
"""Standard deviation of a ratio from one session to the next, over the ratio.

Processors share caches, memory and clock with neighbours whose moods last longer than a session, so
that no session can see them. Measured over 60 quick sessions of models of 0.5 and 3 ms on a busy
machine: 1.8 to 2.3%. Intervals with it held the overall median in 93 to 100% of the sessions, and
without it in 47 to 67%.
"""

Run = Callable[[], object]
Clock = Callable[[], int]  # nanoseconds

_BLOCK_MS = 1.0
_MAX_REFERENCE_BLOCK_MS = 20.0
_MAX_RUNS_PER_BLOCK = 64
_FEWEST_ROUNDS = 4
_MOST_ROUNDS = 4000
_LOOK_AGAIN = 1.3  # rounds grow by this factor between two looks at the interval
_PATIENCE = 4.0  # wall time over clock time on a machine that others use, at most


@dataclass(frozen=True)
class Budget:
    """How long a measurement may take, and how good it has to be.

    Seconds are of the clock that times the runs, and count one model together with its reference;
    on a busy machine the wall time may be up to four times longer.

    Attributes:
        warmup_runs: Untimed runs of each model, at least.
        warmup_seconds: Untimed time of each model, at least.
        min_runs: Timed runs of each model, at least, unless `max_seconds` comes first.
        min_seconds: Timed time, at least.
        max_seconds: Timed time, at most.
        relative_interval: Width of the ratio's 95% interval over the ratio that is good enough.

    Raises:
        ConfigError: On a number out of its range.
    """

    warmup_runs: int
    warmup_seconds: float
    min_runs: int
    min_seconds: float
    max_seconds: float
    relative_interval: float

    def __post_init__(self) -> None:
        least = {"warmup_runs": 0, "warmup_seconds": 0, "min_runs": 1, "min_seconds": 0}
        require_at_least(self, least)
        require_positive(self, "max_seconds", "relative_interval")


QUICK = Budget(
    warmup_runs=3,
    warmup_seconds=0.02,
    min_runs=10,
    min_seconds=0.1,
    max_seconds=0.3,
    relative_interval=0.02,
)
THOROUGH = Budget(
    warmup_runs=10,
    warmup_seconds=0.2,
    min_runs=50,
    min_seconds=0.8,
    max_seconds=2.0,
    relative_interval=0.015,
)


@dataclass(frozen=True)
class Samples:
    """What one model did in a session, beside the reference in the same rounds.

    Attributes:
        wall_ms: (rounds, runs per round) wall time of each run of the model.
        clock_ms: The same by the clock that times are compared with.
        reference_ms: (rounds, runs per round of the reference) by that clock.
        ratio: Of the model to the reference.
        converged: Whether the ratio's interval is as narrow as the budget asks.
    """

    wall_ms: Times
    clock_ms: Times
    reference_ms: Times
    ratio: Estimate
    converged: bool


def clock_for(n_threads: int) -> Clock:
    """Return the clock that is least disturbed by others on the machine.

    A session with one thread computes in the calling thread, so the processor time of that thread
    is its latency, without the time that the scheduler gave to others. With more threads only the
    wall clock sees all of them.
    """
    return time.thread_time_ns if n_threads == 1 else time.perf_counter_ns


def interleave(
    models: Sequence[Run], reference: Run, *, budget: Budget, clock: Clock, seed: int
) -> list[Samples]:
    """Time models against the reference, all in one session.

    In every round each model that is not known well enough yet gets a block of runs, right after a
    block of the reference that takes about as long. The order of the models is drawn anew.

    Args:
        models: Each runs one model once.
        reference: Runs the reference model once.
        budget: When to stop.
        clock: From `clock_for`.
        seed: Of the order and of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    reference_ms = _warm_up(reference, budget, clock)
    contests = [
        _Contest.between(run, _warm_up(run, budget, clock), reference, reference_ms)
        for run in models
    ]
    with _no_garbage_collection():
        for _ in range(_MOST_ROUNDS):
            waiting = [contest for contest in contests if not contest.over(budget, rng)]
            if not waiting:
                break
            for index in rng.permutation(len(waiting)):
                waiting[index].play(clock)
    return [contest.samples(budget, rng) for contest in contests]


def time_alone(run: Run, *, budget: Budget, clock: Clock) -> float:
    """Return what an undisturbed run takes, in milliseconds, without a reference."""
    once_ms = _warm_up(run, budget, clock)
    blocks: list[Times] = []
    n_runs = _runs_per_block(once_ms, _BLOCK_MS)
    deadline = time.perf_counter() + budget.max_seconds
    with _no_garbage_collection():
        while time.perf_counter() < deadline or len(blocks) < _FEWEST_ROUNDS:
            blocks.append(_time_block(run, n_runs, clock)[1])
    return undisturbed(np.concatenate(blocks))


@contextmanager
def pinned(cores: Sequence[int]) -> Iterator[None]:
    """Keep this thread, and threads it starts, on some cores; afterwards as it was before.

    Args:
        cores: Where to run; empty leaves it to the system.

    Raises:
        OSError: If a core is not ours to use.
    """
    if not cores or sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass
class _Contest:
    """One model against the reference: how often each runs in a round, and what came of it."""

    run: Run
    reference: Run
    n_runs: int
    n_reference_runs: int
    wall_ms: list[Times] = field(default_factory=list)
    clock_ms: list[Times] = field(default_factory=list)
    reference_ms: list[Times] = field(default_factory=list)
    clock_seconds: float = 0.0
    wall_seconds: float = 0.0
    next_look: float = 0.0
    is_over: bool = False
    latest: tuple[int, Estimate] | None = None  # rounds that it was made from, and the estimate

    @classmethod
    def between(cls, run: Run, run_ms: float, reference: Run, reference_ms: float) -> "_Contest":
        """Match the lengths of the blocks, so that both see the same disturbances.

        A reference that ran but once after a large model would pay for the cold caches that it
        left, and make that model look faster than it is.
        """
        block_ms = max(run_ms, reference_ms, _BLOCK_MS)
        reference_block_ms = max(reference_ms, min(block_ms, _MAX_REFERENCE_BLOCK_MS))
        return cls(
            run,
            reference,
            _runs_per_block(run_ms, block_ms),
            _runs_per_block(reference_ms, reference_block_ms),
        )

    def play(self, clock: Clock) -> None:
        """Time one block of the reference, and one of the model right after it."""
        started = time.perf_counter()
        _, reference_ms = _time_block(self.reference, self.n_reference_runs, clock)
        wall_ms, clock_ms = _time_block(self.run, self.n_runs, clock)
        self.reference_ms.append(reference_ms)
        self.wall_ms.append(wall_ms)
        self.clock_ms.append(clock_ms)
        self.clock_seconds += float(reference_ms.sum() + clock_ms.sum()) / 1e3
        self.wall_seconds += time.perf_counter() - started

    def over(self, budget: Budget, rng: np.random.Generator) -> bool:
        """Whether enough is known, or the time is up. Once it is, it stays so."""
        if not self.is_over and len(self.clock_ms) >= _FEWEST_ROUNDS:
            self.is_over = self._out_of_time(budget) or self._known_well(budget, rng)
        return self.is_over

    def samples(self, budget: Budget, rng: np.random.Generator) -> Samples:
        ratio = self._estimate(rng)
        return Samples(
            wall_ms=np.stack(self.wall_ms),
            clock_ms=np.stack(self.clock_ms),
            reference_ms=np.stack(self.reference_ms),
            ratio=ratio,
            converged=ratio.relative_width <= budget.relative_interval,
        )

    def _out_of_time(self, budget: Budget) -> bool:
        return (
            self.clock_seconds >= budget.max_seconds
            or self.wall_seconds >= _PATIENCE * budget.max_seconds
        )

    def _known_well(self, budget: Budget, rng: np.random.Generator) -> bool:
        n_rounds = len(self.clock_ms)
        too_few = n_rounds * self.n_runs < budget.min_runs
        if too_few or self.clock_seconds < budget.min_seconds or n_rounds < self.next_look:
            return False
        self.next_look = _LOOK_AGAIN * n_rounds
        return self._estimate(rng).relative_width <= budget.relative_interval

    def _estimate(self, rng: np.random.Generator) -> Estimate:
        n_rounds = len(self.clock_ms)
        if self.latest is None or self.latest[0] != n_rounds:
            candidate, reference = np.stack(self.clock_ms), np.stack(self.reference_ms)
            self.latest = n_rounds, ratio_of_runs(candidate, reference, rng)
        return self.latest[1]


def _runs_per_block(run_ms: float, block_ms: float) -> int:
    return int(np.clip(round(block_ms / run_ms), 1, _MAX_RUNS_PER_BLOCK))


def _warm_up(run: Run, budget: Budget, clock: Clock) -> float:
    """Run until both the count and the time are reached, and once at least.

    Returns:
        About what one run takes, in ms.
    """
    times: list[int] = []
    deadline = time.perf_counter() + budget.warmup_seconds
    while not times or len(times) < budget.warmup_runs or time.perf_counter() < deadline:
        times.append(_time(run, clock)[1])
    # The later half is warm. Clocks that are coarse must not divide by zero.
    return max(float(np.median(times[len(times) // 2 :])) / 1e6, 1e-4)


def _time_block(run: Run, n_runs: int, clock: Clock) -> tuple[Times, Times]:
    """Return wall and clock time of each of `n_runs` runs, in ms."""
    times = np.array([_time(run, clock) for _ in range(n_runs)]) / 1e6
    return times[:, 0], times[:, 1]


def _time(run: Run, clock: Clock) -> tuple[int, int]:
    """Return wall and clock time of one run, in ns; that of the wall where the clock stood still.

    A virtual machine whose processors are taken away charges that late: processor time may then
    stand still through whole runs that did compute. Where the system counts it in ticks of
    milliseconds, most short runs see none.
    """
    wall_started, started = time.perf_counter_ns(), clock()
    run()
    elapsed = clock() - started
    wall = time.perf_counter_ns() - wall_started
    return wall, elapsed if elapsed > 0 else wall


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

"""The protocol, on clocks and runs that are made of numbers."""

import os
import time
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pytest

from niwaki.targets.protocol import Budget, clock_for, interleave, pinned, time_alone

BUDGET = Budget(
    warmup_runs=3,
    warmup_seconds=0.0,
    min_runs=10,
    min_seconds=0.0,
    max_seconds=10.0,
    relative_interval=0.01,
)


@dataclass
class World:
    """A clock that moves only when something runs, and a diary of what ran."""

    now_ns: float = 0.0
    diary: list[str] = field(default_factory=list)

    def clock(self) -> int:
        return int(self.now_ns)

    def runner(self, name: str, milliseconds: float) -> "Runner":
        return Runner(self, name, milliseconds)


@dataclass
class Runner:
    world: World
    name: str
    milliseconds: float
    noise: np.random.Generator | None = None

    def __call__(self) -> None:
        self.world.diary.append(self.name)
        factor = 1.0 + (self.noise.exponential(0.5) if self.noise else 0.0)
        self.world.now_ns += self.milliseconds * factor * 1e6


def test_the_ratio_of_steady_runs_is_exact() -> None:
    world = World()
    models = [world.runner("slow", 6.0), world.runner("quick", 0.25)]
    slow, quick = interleave(
        models, world.runner("reference", 0.5), budget=BUDGET, clock=world.clock, seed=0
    )
    assert slow.ratio.value == pytest.approx(12.0)
    assert quick.ratio.value == pytest.approx(0.5)
    assert slow.converged
    assert quick.converged


def test_blocks_take_about_as_long_as_each_other() -> None:
    world = World()
    [samples] = interleave(
        [world.runner("slow", 6.0)],
        world.runner("reference", 0.5),
        budget=BUDGET,
        clock=world.clock,
        seed=0,
    )
    assert samples.clock_ms.shape[1] == 1
    assert samples.reference_ms.shape[1] == 12


def test_the_reference_never_takes_long_beside_a_large_model() -> None:
    world = World()
    [samples] = interleave(
        [world.runner("huge", 900.0)],
        world.runner("reference", 0.5),
        budget=BUDGET,
        clock=world.clock,
        seed=0,
    )
    assert samples.reference_ms.sum() < 0.05 * samples.clock_ms.sum()


def test_each_model_runs_right_after_the_reference() -> None:
    world = World()
    models = [world.runner("a", 2.0), world.runner("b", 2.0), world.runner("c", 2.0)]
    interleave(models, world.runner("r", 2.0), budget=BUDGET, clock=world.clock, seed=0)
    timed = "".join(world.diary).lstrip("r").split("ccc", 1)[1]  # after the warm-up
    assert len(timed) % 2 == 0
    assert set(timed[::2]) == {"r"}
    assert "r" not in timed[1::2]


def test_models_take_turns_in_changing_order() -> None:
    world = World()
    models = [world.runner("a", 2.0), world.runner("b", 2.0)]
    interleave(models, world.runner("r", 2.0), budget=BUDGET, clock=world.clock, seed=0)
    turns = "".join(world.diary).replace("r", "")[6:]
    rounds = {turns[i : i + 2] for i in range(0, len(turns), 2)}
    assert rounds == {"ab", "ba"}


def test_equal_seeds_take_equal_turns() -> None:
    diaries = []
    for _ in range(2):
        world = World()
        models = [world.runner("a", 2.0), world.runner("b", 2.0)]
        interleave(models, world.runner("r", 2.0), budget=BUDGET, clock=world.clock, seed=5)
        diaries.append(world.diary)
    assert diaries[0] == diaries[1]


def test_noise_is_repeated_until_it_is_known_or_time_is_up() -> None:
    world = World()
    noisy = Runner(world, "noisy", 2.0, np.random.default_rng(0))
    steady = world.runner("reference", 2.0)
    loose = replace(BUDGET, relative_interval=0.2)
    [done] = interleave([noisy], steady, budget=loose, clock=world.clock, seed=0)
    assert done.converged
    tight = replace(BUDGET, relative_interval=1e-6, max_seconds=0.5)
    [given_up] = interleave([noisy], steady, budget=tight, clock=world.clock, seed=0)
    assert not given_up.converged
    assert 0.4 < (given_up.clock_ms.sum() + given_up.reference_ms.sum()) / 1e3 < 0.7


def test_a_model_that_is_known_well_makes_room_for_others() -> None:
    world = World()
    noisy = Runner(world, "noisy", 2.0, np.random.default_rng(0))
    budget = replace(BUDGET, max_seconds=1.0)
    quiet, loud = interleave(
        [world.runner("quiet", 2.0), noisy],
        world.runner("reference", 2.0),
        budget=budget,
        clock=world.clock,
        seed=0,
    )
    assert len(quiet.clock_ms) < len(loud.clock_ms)


def test_where_the_clock_stands_still_a_run_took_what_it_took() -> None:
    world = World()
    budget = replace(BUDGET, min_runs=1, max_seconds=0.02)
    wait = partial(time.sleep, 0.001)
    assert 1.0 <= time_alone(wait, budget=budget, clock=world.clock) < 100.0
    [samples] = interleave([wait], wait, budget=budget, clock=world.clock, seed=0)
    assert samples.clock_ms.min() >= 1.0
    assert samples.reference_ms.min() >= 1.0
    assert 0.1 < samples.ratio.low <= samples.ratio.high < 10.0


def test_one_thread_is_timed_by_its_own_clock() -> None:
    clock = clock_for(1)
    before = clock()
    assert clock_for(2) is not clock
    sum(range(100_000))
    assert clock() > before


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux pins threads")
def test_pinning_is_undone() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(ZeroDivisionError), pinned([min(before)]):
        assert os.sched_getaffinity(0) == {min(before)}
        _ = 1 // 0
    assert os.sched_getaffinity(0) == before


def test_without_a_warm_up_a_model_runs_once_before_it_is_timed() -> None:
    world = World()
    cold = replace(BUDGET, warmup_runs=0, warmup_seconds=0.0)
    [found] = interleave(
        [world.runner("model", 2.0)],
        world.runner("reference", 1.0),
        budget=cold,
        clock=world.clock,
        seed=0,
    )
    assert found.ratio.value == pytest.approx(2.0)

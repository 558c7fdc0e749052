"""ASHA and Hyperband: how many climb, who they are, and what constraints and failures do."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound
from niwaki.core.errors import ConfigError
from niwaki.core.fidelity import Fidelities
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.search.base import Problem
from niwaki.search.schedulers.asha import ASHA
from niwaki.search.schedulers.base import Step
from niwaki.search.schedulers.hyperband import Hyperband
from niwaki.search.schedulers.ladder import LadderSettings
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.testing.scheduler_contract import TOY, climb

SPACE = ChoiceSpace((Choice("x", tuple(range(1000))),))
PROBLEM = Problem(
    SPACE, (Objective("error", Direction.MINIMIZE), Objective("ms", Direction.MINIMIZE))
)
TWO = Fidelities(levels=(0.1, 1.0))


def tell(scheduler: ASHA, points: dict[int, tuple[float, float] | None], fidelity: float) -> None:
    """Ask for candidates at a fidelity and tell their errors and times; None fails."""
    for x, point in points.items():
        candidate = Candidate.of({"x": x})
        scheduler.asked(candidate, fidelity)
        values = {} if point is None else {"error": point[0], "ms": point[1]}
        status = Status.COMPLETE if point else Status.FAILED
        measurement = Measurement(candidate.key, values, status=status, fidelity=fidelity)
        scheduler.told([Trial(x, candidate, measurement)])


def promoted(scheduler: ASHA, n: int) -> list[int | None]:
    """Return the next promotions, all of them pending; None for a new start."""
    found: list[int | None] = []
    for _ in range(n):
        step = scheduler.next()
        assert step is not None
        if step.candidate is None:
            found.append(None)
            continue
        scheduler.asked(step.candidate, step.fidelity)
        found.append(int(str(step.candidate.decisions["x"])))
    return found


FRONT = {0: (0.0, 1.0), 1: (0.45, 0.45), 2: (1.0, 0.0)}
BEHIND = {3: (0.5, 0.6), 4: (0.9, 0.9), 5: (0.8, 0.9)}


@pytest.mark.parametrize("tie_break", ["gain", "spread"])
def test_the_front_is_promoted_first_as_many_as_the_share_allows(tie_break: str) -> None:
    scheduler = ASHA(PROBLEM, TWO, LadderSettings(keep=0.5, tie_break=tie_break))  # type: ignore[arg-type]
    tell(scheduler, {**BEHIND, **FRONT}, 0.1)
    found = promoted(scheduler, 4)
    assert set(found[:3]) == {0, 1, 2}
    assert found[3] is None


def test_a_share_of_zero_gives_every_rung_the_same_effort() -> None:
    asked = climb(ASHA(TOY.problem(seed=0), Fidelities(levels=(0.05, 0.2, 1.0))), 500).asked
    effort: dict[float, float] = defaultdict(float)
    for _, fidelity in asked:
        effort[fidelity] += fidelity
    assert effort[0.2] == pytest.approx(effort[0.05], rel=0.1)
    assert effort[1.0] == pytest.approx(effort[0.05], rel=0.2)


def test_failures_are_the_worst_and_count_as_tried() -> None:
    scheduler = ASHA(PROBLEM, TWO, LadderSettings(keep=0.5))
    tell(scheduler, {0: None, 1: None, 2: (1.0, 1.0), 3: None}, 0.1)
    assert promoted(scheduler, 2) == [2, None]


def test_the_feasible_come_first_then_the_least_violating() -> None:
    bounded = replace(PROBLEM, bounds=(Bound("ms", 1.0, 0.5),))
    scheduler = ASHA(bounded, TWO, LadderSettings(keep=0.5))
    tell(scheduler, {0: (0.0, 2.0), 1: (0.1, 0.9), 2: (0.9, 0.4), 3: (0.2, 1.5)}, 0.1)
    assert promoted(scheduler, 3) == [2, 1, None]


def test_who_is_at_a_computed_limit_is_feasible() -> None:
    limit = 0.29 * 100
    assert limit < 29.0
    bounds, objectives = (Bound("ms", 1.0, limit),), PROBLEM.objectives[:1]
    scheduler = ASHA(replace(PROBLEM, bounds=bounds, objectives=objectives), TWO)
    tell(scheduler, {0: (0.1, 29.0), **{x: (0.9, 28.0) for x in range(1, 10)}}, 0.1)
    assert promoted(scheduler, 1) == [0]


def test_bounds_are_judged_by_what_full_effort_is_expected_to_give() -> None:
    bounded = replace(PROBLEM, bounds=(Bound("error", 1.0, 0.5),))
    scheduler = ASHA(bounded, TWO, LadderSettings(keep=0.5))
    # With little effort all break the bound; the first promotions show that errors fall by 1.
    tell(scheduler, {0: (1.2, 0.9), 1: (1.3, 0.8)}, 0.1)
    tell(scheduler, {0: (0.2, 0.9), 1: (0.3, 0.8)}, 1.0)
    tell(scheduler, {2: (1.4, 0.2), 3: (1.1, 0.95), 4: (9.0, 9.0), 5: (9.0, 9.0)}, 0.1)
    assert promoted(scheduler, 1) == [2]


def test_what_is_pending_above_counts() -> None:
    scheduler = ASHA(PROBLEM, TWO, LadderSettings(keep=0.5))
    twins = {0: (0.5, 0.5), 1: (0.5001, 0.5001), 2: (0.0, 1.0), 3: (1.0, 0.0), 4: (2.0, 2.0)}
    tell(scheduler, {**twins, 5: (2.0, 2.0)}, 0.1)
    assert set(promoted(scheduler, 3)) == {0, 2, 3}


@pytest.mark.parametrize("continues", [False, True])
def test_hyperband_gives_each_bracket_the_same_effort(*, continues: bool) -> None:
    fidelities = Fidelities(levels=(0.1, 0.3, 1.0), continues=continues)
    run = climb(Hyperband(TOY.problem(seed=0), fidelities), 800)
    first = {candidate.key: fidelity for candidate, fidelity in reversed(run.asked)}
    effort: dict[float, float] = defaultdict(float)
    reached: dict[str, float] = defaultdict(float)
    for candidate, fidelity in run.asked:
        paid = fidelities.effort(fidelity, reached=reached[candidate.key])
        effort[first[candidate.key]] += paid
        reached[candidate.key] = fidelity
    shares = np.array([effort[level] for level in (0.1, 0.3, 1.0)]) / sum(effort.values())
    assert np.abs(shares - 1 / 3).max() < 0.02


def test_hyperband_goes_on_from_starts_that_it_would_not_have_chosen_itself() -> None:
    scheduler = Hyperband(PROBLEM, Fidelities(levels=(0.1, 0.3, 1.0)))
    for x, fidelity in enumerate([0.1, 0.1, 0.1, 0.3]):
        scheduler.asked(Candidate.of({"x": x}), fidelity)
    assert scheduler.next() == Step(1.0)


def test_one_rung_is_no_ladder() -> None:
    with pytest.raises(ConfigError, match=r"the full one alone: .*`evaluator\.fidelities`"):
        ASHA(PROBLEM, Fidelities())
    with pytest.raises(ConfigError, match="finds none"):
        ASHA(PROBLEM, Fidelities((0.1, 1.0)), LadderSettings(least_fidelity=0.5))


@pytest.mark.parametrize(
    "wrong", [{"reduction": 1.0}, {"keep": 1.0}, {"keep": -0.1}, {"least_fidelity": 1.0}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        LadderSettings(**wrong)  # type: ignore[arg-type]

"""Studies of several goals: one search, a front for each, and what a kill costs."""

import shutil
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.search.base import Problem, Searcher
from niwaki.search.nsga2 import NSGA2
from niwaki.search.surrogate import Surrogate, SurrogateSettings
from niwaki.study.budget import Budget
from niwaki.study.executors import LocalProcessExecutor, LocalProcessSettings
from niwaki.study.results.front import Front
from niwaki.study.results.run import Run, load_front
from niwaki.study.study import SearcherFactory, Study, StudySettings
from niwaki.study.wishes import GoalSettings
from tests.study.climbing import SCHEDULERS, ClimbingEvaluator
from tests.study.formulas import BREEDING, GOALS, FormulaEvaluator, formula_study, goals_study

Point = tuple[float, float]


def points(trials: Iterable[Trial], first: str, second: str) -> set[Point]:
    """Return costs of trials; a gain is wanted large."""
    signs = {"gain": -1.0}
    return {
        (
            signs.get(first, 1.0) * trial.measurement.values[first],
            signs.get(second, 1.0) * trial.measurement.values[second],
        )
        for trial in trials
    }


def best(found: set[Point]) -> set[Point]:
    """Return the points that no other one beats, by comparing all with all."""

    def is_beaten(point: Point) -> bool:
        first, second = point
        return any((a, b) != point and a <= first and b <= second for a, b in found)

    return {point for point in found if not is_beaten(point)}


def measured(folder: Path) -> list[Trial]:
    """Return all that a run has measured at full effort, and its baseline."""
    history = Run.read(folder).history
    assert history.baseline is not None
    return [t for t in (*history.full_trials, history.baseline) if t.measurement.complete]


def costs(front: Front) -> set[Point]:
    return {(float(first), float(second)) for first, second in front.costs}


def asked(folder: Path) -> list[Candidate]:
    history = Run.read(folder).history
    return [history.asked[number].candidate for number in sorted(history.asked)]


def test_each_front_is_that_of_all_trials(tmp_path: Path) -> None:
    front = goals_study(tmp_path / "run", FormulaEvaluator(), n=60).run()
    trials = measured(tmp_path / "run")
    half = [t for t in trials if t.measurement.values["price"] <= 0.5 * 6 * 16]
    assert 0 < len(half) < len(trials)
    assert costs(front.goals["strong"]) == best(points(trials, "gain", "price"))
    assert costs(front.goals["light"]) == best(points(half, "weight", "gain"))
    assert {m.key for m in front.models} == {
        m.key for each in front.goals.values() for m in each.models
    }


def test_a_front_that_is_read_is_the_one_that_was_handed_back(tmp_path: Path) -> None:
    front = goals_study(tmp_path / "run", FormulaEvaluator()).run()
    assert load_front(tmp_path / "run").to_json() == front.to_json()
    for goal, own in front.goals.items():
        read = load_front(tmp_path / "run", goal=goal)
        assert read.to_json() == own.to_json()
        assert [o.name for o in read.objectives] == list(GOALS[goal].objectives)


def test_each_searcher_is_given_the_problem_of_its_goal(tmp_path: Path) -> None:
    problems: list[Problem] = []

    def make(problem: Problem) -> Searcher:
        problems.append(problem)
        return NSGA2(problem)

    goals_study(tmp_path / "run", FormulaEvaluator(), n=2, make_searcher=make).run()
    named = [[objective.name for objective in problem.objectives] for problem in problems]
    assert named == [["gain", "price"], ["weight", "gain"]]
    assert [list(map(str, problem.bounds)) for problem in problems] == [[], ["price <= 48"]]


def test_each_goal_begins_with_what_earlier_runs_found_for_it(tmp_path: Path) -> None:
    formula_study(tmp_path / "earlier", FormulaEvaluator(), n=40).run()
    problems: list[Problem] = []

    def make(problem: Problem) -> Searcher:
        problems.append(problem)
        return NSGA2(problem)

    goals = {"strong": GoalSettings(("gain",)), "light": GoalSettings(("weight",))}
    settings = StudySettings(goals=goals, budget=Budget(2), learn_from=[tmp_path / "earlier"])
    Study(tmp_path / "run", FormulaEvaluator(), make, settings).run()
    values = {t.candidate: t.measurement.values for t in measured(tmp_path / "earlier")}
    gains, weights = ([values[each] for each in problem.initial] for problem in problems)
    assert gains[0]["gain"] == max(each["gain"] for each in values.values())
    assert weights[0]["weight"] == min(each["weight"] for each in values.values())
    assert set(asked(tmp_path / "run")) == {problem.initial[0] for problem in problems}


def test_each_goal_is_searched_for_in_turn(tmp_path: Path) -> None:
    goals = {"light": GoalSettings(("weight",)), "strong": GoalSettings(("gain",))}
    front = goals_study(tmp_path / "run", FormulaEvaluator(), goals=goals, n=80).run()
    even, odd = asked(tmp_path / "run")[40::2], asked(tmp_path / "run")[41::2]
    assert mean_weight(even) < 10 and mean_weight(odd) > 20  # 15 by chance
    assert [len(each) for each in front.goals.values()] == [1, 1]


def mean_weight(candidates: Sequence[Candidate]) -> float:
    weights = [FormulaEvaluator().cheap(candidate)["weight"] for candidate in candidates]
    return sum(weights) / len(weights)


def cut(whole: Path, to: Path, n_lines: int) -> None:
    """Copy a run as a kill would have left it after so many events."""
    shutil.copytree(whole, to)
    lines = (whole / "trials.jsonl").read_text().splitlines(keepends=True)
    (to / "trials.jsonl").write_text("".join(lines[:n_lines]))


def surrogate(problem: Problem) -> Searcher:
    return Surrogate(problem, SurrogateSettings(pool_size=60))


@pytest.mark.parametrize(
    ("searcher", "n_lines"),
    [(BREEDING, 3), (BREEDING, 12), (BREEDING, 43), (BREEDING, 60), (surrogate, 43)],
)
def test_killed_in_the_middle_equals_not_killed(
    searcher: SearcherFactory, n_lines: int, tmp_path: Path
) -> None:
    def run(folder: Path) -> None:
        goals_study(folder, FormulaEvaluator(), n=30, make_searcher=searcher).run()

    run(tmp_path / "whole")
    cut(tmp_path / "whole", tmp_path / "cut", n_lines)
    assert len(asked(tmp_path / "cut")) < 30
    run(tmp_path / "cut")
    assert asked(tmp_path / "cut") == asked(tmp_path / "whole")
    assert load_front(tmp_path / "cut").to_csv() == load_front(tmp_path / "whole").to_csv()


def test_several_workers_share_what_the_goals_ask_for(tmp_path: Path) -> None:
    settings = StudySettings(goals=GOALS, budget=Budget(24))
    two = LocalProcessSettings(n_workers=2)
    executor = partial(LocalProcessExecutor, settings=two)
    Study(tmp_path / "run", FormulaEvaluator(), NSGA2, settings, make_executor=executor).run()
    found = asked(tmp_path / "run")
    assert len(set(found)) == len(found) == 24
    trials = measured(tmp_path / "run")
    front = load_front(tmp_path / "run", goal="strong")
    assert costs(front) == best(points(trials, "gain", "price"))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_goals_share_what_a_scheduler_promotes(scheduler: str, tmp_path: Path) -> None:
    def run(folder: Path) -> Front:
        settings = StudySettings(goals=GOALS, budget=Budget(10))
        make = SCHEDULERS[scheduler]
        return Study(folder, ClimbingEvaluator(), NSGA2, settings, make_scheduler=make).run()

    front = run(tmp_path / "whole")
    trials = measured(tmp_path / "whole")
    assert len(trials) < len(Run.read(tmp_path / "whole").history.trials)
    assert costs(front.goals["strong"]) == best(points(trials, "gain", "price"))
    cut(tmp_path / "whole", tmp_path / "cut", 50)
    assert run(tmp_path / "cut").to_csv() == front.to_csv()
    whole = Run.read(tmp_path / "whole").history.asked.values()
    again = Run.read(tmp_path / "cut").history.asked.values()
    assert [(a.candidate, a.fidelity) for a in again] == [(a.candidate, a.fidelity) for a in whole]

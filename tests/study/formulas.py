"""An evaluator whose values are formulas, and a study on it that other processes can run."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ExportError
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Direction, Objective
from niwaki.evaluation.base import Evaluator, Export, Provenance
from niwaki.search.nsga2 import NSGA2, NSGA2Settings
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.study.budget import Budget
from niwaki.study.study import SearcherFactory, Study, StudySettings
from niwaki.study.wishes import GoalSettings

SPACE = ChoiceSpace(tuple(Choice(f"x{i}", tuple(range(6))) for i in range(6)))


@dataclass(frozen=True)
class FormulaEvaluator(Evaluator):
    """Two objectives in conflict, and a count that costs nothing.

    Attributes:
        visits: File that gets a line for every evaluation; None for no file.
        seconds: How long one takes.
        fails: Whether candidates with `x0` 5 fail.
    """

    visits: Path | None = None
    seconds: float = 0.0
    fails: bool = False

    @property
    def space(self) -> ChoiceSpace:
        return SPACE

    @property
    def values(self) -> tuple[Objective, ...]:
        return (
            Objective("gain", Direction.MAXIMIZE),
            Objective("price", Direction.MINIMIZE, "ms"),
            Objective("weight", Direction.MINIMIZE),
        )

    @property
    def exports(self) -> bool:
        return False

    def prepare(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def baseline(self) -> Candidate:
        return SPACE.decide(lambda _, options: options[-2])

    def initial(self) -> tuple[Candidate, ...]:
        return ()

    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        return {"weight": float(sum(_levels(candidate)))}

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        if self.visits is not None:
            with self.visits.open("a") as file:
                file.write(candidate.key + "\n")
        time.sleep(self.seconds)
        levels = _levels(candidate)
        if self.fails and levels[0] == 5:
            raise ValueError("x0 is 5")
        gain = sum(level * (i + 1) for i, level in enumerate(levels))
        price = sum(level**2 for level in levels)
        values = {"gain": float(gain), "price": float(price), **self.cheap(candidate)}
        return Measurement(key=candidate.key, values=values)

    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        raise ExportError("a formula has no network")

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        return list(exports)


def formula_study(
    folder: Path,
    evaluator: Evaluator,
    *,
    n: int = 40,
    constraints: Sequence[str] = (),
    seed: int = 0,
) -> Study:
    """Return a study of `gain` against `price`."""
    settings = StudySettings(
        objectives=("gain", "price"),
        constraints=constraints,
        budget=Budget(n),
        seed=seed,
        searcher="nsga2",
    )
    return Study(folder, evaluator, NSGA2, settings)


GOALS = {
    "strong": GoalSettings(("gain", "price")),
    "light": GoalSettings(("weight", "gain"), ("price <= 0.5 * baseline",)),
}
BREEDING: SearcherFactory = partial(NSGA2, settings=NSGA2Settings(population_size=6))


def goals_study(
    folder: Path,
    evaluator: Evaluator,
    *,
    goals: Mapping[str, GoalSettings] = GOALS,
    n: int = 40,
    constraints: Sequence[str] = (),
    n_finalists: int = 3,
    make_searcher: SearcherFactory = BREEDING,
) -> Study:
    """Return a study of several goals, whose searchers learn from early on."""
    settings = StudySettings(
        goals=goals,
        constraints=constraints,
        budget=Budget(n),
        n_finalists=n_finalists,
        searcher="nsga2",
    )
    return Study(folder, evaluator, make_searcher, settings)


def _levels(candidate: Candidate) -> list[int]:
    return [int(str(candidate.decisions[f"x{i}"])) for i in range(6)]


if __name__ == "__main__":
    run_folder, n_evaluations, pause = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    run_folder.parent.mkdir(parents=True, exist_ok=True)
    visited = run_folder.parent / "visits"
    formula_study(run_folder, FormulaEvaluator(visited, pause), n=n_evaluations).run()
    os._exit(0)

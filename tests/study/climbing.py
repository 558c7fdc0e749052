"""Formulas that know several fidelities, and a scheduled study that other processes can run."""

import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from niwaki.core.candidate import Candidate
from niwaki.core.fidelity import Fidelities
from niwaki.core.measurement import Measurement
from niwaki.core.randomness import stream
from niwaki.search.nsga2 import NSGA2
from niwaki.search.schedulers.asha import ASHA
from niwaki.search.schedulers.hyperband import Hyperband
from niwaki.search.schedulers.ladder import LadderSettings
from niwaki.study.budget import Budget
from niwaki.study.study import SchedulerFactory, Study, StudySettings
from tests.study.formulas import FormulaEvaluator

LEVELS = Fidelities(levels=(0.1, 0.3, 1.0))
SCHEDULERS: dict[str, SchedulerFactory] = {
    "asha": partial(ASHA, settings=LadderSettings(keep=0.4)),
    "hyperband": Hyperband,
}


@dataclass(frozen=True)
class ClimbingEvaluator(FormulaEvaluator):
    """A gain that comes with effort, and with luck as long as effort is small.

    Attributes:
        fidelities: What it can be asked for.
    """

    fidelities: Fidelities = LEVELS

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        full = super().evaluate(candidate, fidelity=fidelity, seed=seed)
        luck = float(stream(seed, "luck", candidate.key, str(fidelity)).normal(0.0, 5.0))
        gain = full.values["gain"] * (0.5 + 0.5 * fidelity) + (1.0 - fidelity) * luck
        values = {**full.values, "gain": gain, "seed": float(seed)}
        return replace(full, values=values, fidelity=fidelity)


def climbing_study(
    folder: Path, evaluator: ClimbingEvaluator, *, n: int = 15, scheduler: str = "asha"
) -> Study:
    """Return a study of `gain` against `price`, paid for as `n` full evaluations."""
    settings = StudySettings(
        objectives=("gain", "price"), budget=Budget(n), searcher="nsga2", scheduler=scheduler
    )
    return Study(folder, evaluator, NSGA2, settings, make_scheduler=SCHEDULERS[scheduler])


if __name__ == "__main__":
    run_folder, n_evaluations, pause = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    run_folder.parent.mkdir(parents=True, exist_ok=True)
    visited = run_folder.parent / "visits"
    climbing_study(
        run_folder,
        ClimbingEvaluator(visited, pause),
        n=n_evaluations,
        scheduler=sys.argv[4],
    ).run()
    os._exit(0)

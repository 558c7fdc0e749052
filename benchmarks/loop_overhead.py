"""What the loop itself costs per evaluation: ask, tell and ledger, with a free evaluator.

Run: python benchmarks/loop_overhead.py [--evaluations 10000] [--searchers nsga2 random ...]
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from niwaki import Budget, Candidate, Direction, Measurement, Objective, Study, StudySettings
from niwaki.core import Trial
from niwaki.core.errors import ExportError
from niwaki.evaluation.base import Evaluator, Export, Provenance
from niwaki.search.base import Problem, Searcher
from niwaki.search.nsga2 import NSGA2
from niwaki.search.random_search import RandomSearch
from niwaki.search.regularized_evolution import RegularizedEvolution
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.study.description import StudyDescription
from niwaki.study.record.history import History
from niwaki.study.watching.observer import Silence

SPACE = ChoiceSpace(tuple(Choice(f"layer{i}", (0, 1, 2, 3)) for i in range(30)))
SEARCHERS: dict[str, Callable[[Problem], Searcher]] = {
    "random": RandomSearch,
    "nsga2": NSGA2,
    "regularized_evolution": RegularizedEvolution,
}


class FreeEvaluator(Evaluator):
    """Two objectives that cost nothing to compute."""

    @property
    def space(self) -> ChoiceSpace:
        return SPACE

    @property
    def values(self) -> tuple[Objective, ...]:
        return Objective("a", Direction.MINIMIZE), Objective("b", Direction.MINIMIZE)

    @property
    def exports(self) -> bool:
        return False

    def prepare(self, folder: Path) -> None:
        """Do nothing: there is nothing to prepare."""

    def baseline(self) -> Candidate:
        return SPACE.decide(lambda _, options: options[0])

    def initial(self) -> tuple[Candidate, ...]:
        return ()

    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        return {}

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        levels = np.array([value for _, value in candidate.items], dtype=float)
        a, b = float(levels.sum()), float(((3 - levels) ** 2).sum())
        return Measurement(candidate.key, {"a": a, "b": b})

    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        raise ExportError("nothing to export")

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        return list(exports)


class Clock(Silence):
    """Notes the time of every told trial."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def begin(self, description: StudyDescription, history: History) -> None:
        self.times.append(time.perf_counter())

    def told(self, trial: Trial) -> None:
        self.times.append(time.perf_counter())


def measure(name: str, n: int, folder: Path) -> dict[str, float]:
    """Run one study and return milliseconds per evaluation."""
    clock = Clock()
    settings = StudySettings(objectives=("a", "b"), budget=Budget(n), searcher=name)
    Study(folder / name, FreeEvaluator(), SEARCHERS[name], settings, observer=clock).run()
    per_evaluation_ms = 1000 * np.diff(clock.times)
    share = max(1, n // 10)
    return {
        "mean_ms": float(per_evaluation_ms.mean()),
        "p99_ms": float(np.percentile(per_evaluation_ms, 99)),
        "first_ms": float(per_evaluation_ms[:share].mean()),
        "last_ms": float(per_evaluation_ms[-share:].mean()),
        "last_over_first": float(
            per_evaluation_ms[-share:].mean() / per_evaluation_ms[:share].mean()
        ),
    }


def main() -> None:
    """Measure every searcher and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=10_000)
    parser.add_argument("--searchers", nargs="*", default=list(SEARCHERS))
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            name: measure(name, arguments.evaluations, Path(folder)) for name in arguments.searchers
        }
    print(f"{arguments.evaluations} evaluations, in process; first and last tenth")
    for name, figure in figures.items():
        print(f"{name:<22} " + "  ".join(f"{k} {v:.3f}" for k, v in figure.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())

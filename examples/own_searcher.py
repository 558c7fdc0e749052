"""A searcher of one's own, on a problem that costs nothing: `python examples/own_searcher.py`.

In a configuration it is named by its file:
`searcher: {kind: "examples/own_searcher.py:HillClimbing", exploration: 0.3}`.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from niwaki import Budget, Candidate, Direction, Front, Measurement, Objective, Study, StudySettings
from niwaki.core import Trial
from niwaki.core.errors import ExportError
from niwaki.core.limits import require_share
from niwaki.core.pareto import non_dominated
from niwaki.evaluation.base import Evaluator, Export, Provenance
from niwaki.search.asked import Asked
from niwaki.search.base import Problem, Searcher
from niwaki.spaces import Choice, ChoiceSpace

SPACE = ChoiceSpace(tuple(Choice(f"layer{i}.width", (8, 16, 32, 64)) for i in range(6)))


@dataclass(frozen=True)
class HillClimbingSettings:
    """Settings of `HillClimbing`.

    Attributes:
        exploration: Share of candidates that are drawn at random.
    """

    exploration: float = 0.2

    def __post_init__(self) -> None:
        require_share(self, "exploration")


class HillClimbing(Searcher):
    """Mutates a random model of the front so far.

    `Asked` remembers what was asked for, and draws the i-th candidate from a random stream of its
    own, named after i. That is what makes a killed search continue as if nothing had happened, so a
    searcher needs no file.
    """

    def __init__(self, problem: Problem, settings: HillClimbingSettings | None = None) -> None:
        self._problem = problem
        self._settings = settings or HillClimbingSettings()
        self._asked = Asked(problem)
        self._trials: list[Trial] = []

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        return self._asked.draw(n, self._propose)

    def tell(self, trials: Sequence[Trial]) -> None:
        self._asked.told(trials)
        self._trials += [trial for trial in trials if trial.measurement.complete]

    def resume(self, asked: Sequence[Candidate]) -> None:
        self._asked.resume(asked)

    def _propose(self, rng: np.random.Generator) -> Candidate:
        """Return a candidate; one that was asked for before is mutated until it is new."""
        front = self._front()
        if not front or rng.random() < self._settings.exploration:
            return self._problem.space.sample(rng)
        return self._problem.space.mutate(front[int(rng.integers(len(front)))], rng)

    def _front(self) -> list[Candidate]:
        on_front = non_dominated(self._problem.costs(self._trials))
        return [t.candidate for t, on in zip(self._trials, on_front, strict=True) if on]


@dataclass(frozen=True)
class WidthEvaluator(Evaluator):
    """Makes up a quality and a cost from widths; a real one would train and measure."""

    @property
    def space(self) -> ChoiceSpace:
        return SPACE

    @property
    def values(self) -> tuple[Objective, ...]:
        return (Objective("quality", Direction.MAXIMIZE), Objective("cost", Direction.MINIMIZE))

    @property
    def exports(self) -> bool:
        return False

    def prepare(self, folder: Path) -> None:
        """Do nothing: there is nothing to prepare."""

    def baseline(self) -> Candidate:
        return SPACE.decide(lambda _, options: options[-1])

    def initial(self) -> tuple[Candidate, ...]:
        return (SPACE.decide(lambda _, options: options[0]),)

    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        widths = _widths(candidate)
        return {"cost": float(sum(a * b for a, b in pairwise(widths)))}

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        quality = sum(width**0.5 / (i + 1) for i, width in enumerate(_widths(candidate)))
        values = {"quality": quality, **self.cheap(candidate)}
        return Measurement(candidate.key, values, fidelity=fidelity, seed=seed)

    def export(
        self,
        candidate: Candidate,
        folder: Path,
        *,
        provenance: Provenance,
        seed: int,
    ) -> Export:
        raise ExportError("there are no networks here: nothing can be exported")

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        return list(exports)


def _widths(candidate: Candidate) -> list[int]:
    return [int(str(width)) for width in candidate.decisions.values()]


def search(folder: Path) -> Front:
    """Search for 60 evaluations; calling it again on the same folder finds everything done."""
    settings = StudySettings(
        objectives=("quality", "cost"),
        constraints=("cost <= 0.5 * baseline",),
        budget=Budget(60),
        searcher="hill climbing",
    )
    return Study(folder, WidthEvaluator(), HillClimbing, settings).run()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch) / "hill-climbing"
        for model in search(place).models:
            print(f"{model.values['quality']:8.3f} {model.values['cost']:8.0f}  {model.key}")

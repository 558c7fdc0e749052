"""Evaluators that configurations of the tests name by path."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement
from niwaki.evaluation.registry import Ingredients
from tests.study.formulas import FormulaEvaluator


@dataclass(frozen=True)
class FormulaSettings:
    """What formulas do beside their sums.

    Attributes:
        visits: File that gets a line for every evaluation; empty for no file.
        seconds: How long one takes.
        fails: Whether candidates with `x0` 5 fail.
        dies_once: File that is made by the first process to evaluate, which then kills itself;
            empty if none does.
    """

    visits: str = ""
    seconds: float = 0.0
    fails: bool = False
    dies_once: str = ""


@dataclass(frozen=True)
class MortalEvaluator(FormulaEvaluator):
    """Kills the first process that evaluates.

    Attributes:
        marker: Made before dying; None for immortality.
    """

    marker: Path | None = None

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        if self.marker is not None and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(candidate, fidelity=fidelity, seed=seed)


def create(settings: FormulaSettings, ingredients: Ingredients) -> MortalEvaluator:
    """Return the evaluator that a configuration describes."""
    return MortalEvaluator(
        Path(settings.visits) if settings.visits else None,
        settings.seconds,
        settings.fails,
        Path(settings.dies_once) if settings.dies_once else None,
    )

"""One run of a comparison, and its figures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.fidelity import FULL
from niwaki.core.measurement import Status
from niwaki.core.objectives import Objective, in_user_direction
from niwaki.study.comparison.figures import SHARES, best_of, needed_for
from niwaki.study.comparison.reading import NamedRun
from niwaki.study.comparison.scale import Scale
from niwaki.study.comparison.spread import Steps
from niwaki.study.comparison.trace import Trace
from niwaki.study.results.run import Run

Points: TypeAlias = "set[tuple[float, ...]]"
EVALUATIONS, SECONDS = "evaluations", "seconds"  # along which a run is followed


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Attributes:
        named: The run, under the name that tells it from the others.
        trace: Its models that count, by the objectives of the comparison.
        volumes: (n,) hypervolume on the common scale, after each model of `trace`.
        figures: Numbers by name. NaN: there is none. Of `needed_<percent>`, inf: it never came to
            that share.
    """

    named: NamedRun
    trace: Trace
    volumes: NDArray[np.float64]
    figures: Mapping[str, float]

    @property
    def name(self) -> str:
        """That tells it from the others."""
        return self.named.name

    @property
    def run(self) -> Run:
        """What was read of it."""
        return self.named.run

    def steps(self, along: str) -> Steps:
        """Return its hypervolume along what it spent, `evaluations` or `seconds`."""
        if along == SECONDS:
            return Steps(self.trace.seconds, self.volumes, self.run.history.seconds)
        return Steps(self.trace.spent, self.volumes, self.run.history.effort)


def points_of(trace: Trace) -> Points:
    """Return what a run had, points of equal costs once."""
    return set(map(tuple, trace.costs.tolist()))


def compared(
    named: NamedRun,
    trace: Trace,
    objectives: Sequence[Objective],
    scale: Scale,
    *,
    others: Points,
    followed: bool,
) -> ComparedRun:
    """Return a run with its figures.

    Args:
        named: The run.
        trace: Its models that count.
        objectives: Of the comparison.
        scale: Of the comparison.
        others: What runs of other searches had of the joined front.
        followed: Whether `trace` says when the run had each model, so that shares took something.
    """
    volumes = scale.volumes(trace.costs)
    volume = float(volumes[-1]) if len(volumes) else 0.0
    on_joined = points_of(trace) & scale.rows
    best = trace.costs.min(axis=0) if len(trace.costs) else np.full(len(objectives), math.nan)
    values = in_user_direction(best[None], objectives)[0].tolist()
    figures = {
        **_spent(named.run),
        **{best_of(o): value for o, value in zip(objectives, values, strict=True)},
        "front": len(trace.front),
        "hypervolume": volume,
        "share": volume / scale.volume if scale.volume else math.nan,
        "on_joined": len(on_joined),
        "alone": len(on_joined - others),
        **(_needed(trace, volumes, scale) if followed else {}),
    }
    return ComparedRun(named, trace, volumes, figures)


def _needed(trace: Trace, volumes: NDArray[np.float64], scale: Scale) -> dict[str, float]:
    """Return after how many evaluations each share was had; inf for those that never were."""
    rows = {share: scale.first(volumes, share) for share in SHARES}
    return {
        needed_for(share): math.inf if row is None else round(float(trace.spent[row]), 6)
        for share, row in rows.items()
    }


def _spent(run: Run) -> dict[str, float]:
    """Return what became of a run's evaluations, and how long they took."""
    measured = [trial.measurement for trial in run.history.trials]
    complete = [m for m in measured if m.complete]
    return {
        EVALUATIONS: round(run.history.effort, 6),
        "full": sum(m.fidelity >= FULL for m in complete),
        "partial": sum(m.fidelity < FULL for m in complete),
        "failed": len(run.failures),
        "infeasible": sum(m.status is Status.INFEASIBLE for m in measured),
        SECONDS: round(run.history.seconds, 3),
    }

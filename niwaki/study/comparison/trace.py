"""What a run had found, and spent, at every moment."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.measurement import Measurement, Status
from niwaki.core.objectives import Objective, minimised
from niwaki.core.pareto import non_dominated
from niwaki.study.results.growth import counts
from niwaki.study.results.run import Run


@dataclass(frozen=True)
class Trace:
    """The models of a run that count: they have all objectives and keep to all bounds.

    Attributes:
        costs: (n, m) minimised, without NaN.
        numbers: (n,) of their trials; -1 for the baseline.
        spent: (n,) full evaluations that were paid for until each was told, its own among them; 0
            for the baseline, which every search measures.
        seconds: (n,) of study time until then.
    """

    costs: NDArray[np.float64]
    numbers: NDArray[np.int64]
    spent: NDArray[np.float64]
    seconds: NDArray[np.float64]

    @property
    def front(self) -> NDArray[np.int64]:
        """Positions of the models that no other one dominates, in the order of the first cost."""
        on = np.flatnonzero(non_dominated(self.costs))
        return on[np.lexsort(self.costs[on].T[::-1])]


def trace_of(run: Run, objectives: Sequence[Objective]) -> Trace:
    """Return what a search measured at full effort, in the order of telling, the baseline first.

    Args:
        run: Its own bounds say what counts.
        objectives: m of them.
    """
    history = run.history
    measured: list[tuple[Measurement, int, float, float]] = []
    if history.baseline is not None:
        measured.append((history.baseline.measurement, -1, 0.0, history.baseline_at))
    spent = 0.0
    for trial, at in zip(history.trials, history.told_at, strict=True):
        turned_away = trial.measurement.status is Status.INFEASIBLE
        spent += 0.0 if turned_away else history.asked[trial.number].effort
        measured.append((trial.measurement, trial.number, spent, at))
    rows = [each for each in measured if counts(each[0], run.bounds)]
    costs = minimised([measurement.values for measurement, *_ in rows], objectives)
    known = ~np.isnan(costs).any(axis=1)
    numbers, effort, seconds = (
        np.array([each[place] for each in rows], dtype=np.float64)[known] for place in (1, 2, 3)
    )
    return Trace(costs[known], numbers.astype(np.int64), effort, seconds)


def exported_trace_of(run: Run, objectives: Sequence[Objective]) -> Trace:
    """Return the front that a run hands back, by what exported files measured.

    All of it was had when everything was spent. Where nothing was exported, there is nothing.

    Args:
        run: Its own bounds say what counts, relative to the baseline's own file.
        objectives: m of them.
    """
    models = run.front.models if run.history.exported else ()
    costs = minimised([model.values for model in models], objectives)
    known = ~np.isnan(costs).any(axis=1)
    numbers = np.array([model.number for model in models], dtype=np.int64)[known]
    ends = np.ones(len(numbers))
    history = run.history
    return Trace(costs[known], numbers, history.effort * ends, history.seconds * ends)

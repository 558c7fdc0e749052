"""How much a front has grown: a number that never falls while a search goes on."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from niwaki.core.constraints import Bound
from niwaki.core.fidelity import FULL
from niwaki.core.measurement import Measurement
from niwaki.core.pareto import grown, hypervolume, own_volume, reference_point

N_FIRST = 10


class Growth:
    """The front so far, and its hypervolume over that of the first `N_FIRST` models.

    The reference point and the scale are those of the first models, and stay: a little worse than
    the worst of them in every objective. So the number is 1 once they are there, and nothing that
    comes later takes any of it away. A model that is worse than all of them in one objective adds
    nothing, however good it is otherwise: the report has the curve with all of them inside.

    Args:
        n_objectives: m of them.
    """

    def __init__(self, n_objectives: int) -> None:
        self._front = np.empty((0, n_objectives))
        self._first: list[NDArray[np.float64]] = []
        self._low, self._width = np.zeros(n_objectives), np.ones(n_objectives)
        self._reference = np.full(n_objectives, np.nan)
        self._first_volume = self._volume = np.nan

    def __len__(self) -> int:
        """Return the size of the front, models of equal values counted once."""
        return len(self._front)

    def add(self, costs: NDArray[np.float64]) -> None:
        """Take note of a feasible model.

        Args:
            costs: (m,) minimised; with a NaN it does not count.
        """
        if np.isnan(costs).any():
            return
        before, self._front = self._front, grown(self._front, costs)
        if len(self._first) < N_FIRST:
            self._first.append(costs)
            if len(self._first) == N_FIRST:
                self._settle(np.array(self._first))
        elif self._front is not before:
            point, others = self._scaled(costs), self._scaled(before)
            self._volume += own_volume(point, others, self._reference)

    def _settle(self, first: NDArray[np.float64]) -> None:
        """Fix scale and reference point: in units of the first models, no volume is 0 or inf."""
        self._low, high = first.min(axis=0), first.max(axis=0)
        self._width = np.where(high > self._low, high - self._low, np.maximum(np.abs(high), 1.0))
        self._reference = reference_point(self._scaled(first))
        self._volume = self._first_volume = hypervolume(self._scaled(self._front), self._reference)

    def _scaled(self, costs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((costs - self._low) / self._width)

    @property
    def factor(self) -> float | None:
        """The hypervolume over that of the first models, at least 1; None before these."""
        if len(self._first) < N_FIRST:
            return None
        return self._volume / self._first_volume

    def __str__(self) -> str:
        factor = self.factor
        size = f"{len(self)} point{'' if len(self) == 1 else 's'}"
        if factor is None:
            return size
        return f"{size}, hypervolume {factor:.2f} times that of the first {N_FIRST} models"


def growth_text(growths: Mapping[str, Growth]) -> str:
    """Return how far the fronts of goals have grown, or the only one, whose goal has no name."""
    return "; ".join(f"{goal}: {each}" if goal else str(each) for goal, each in growths.items())


def counts(measurement: Measurement, bounds: Sequence[Bound]) -> bool:
    """Whether a model can be on the front: measured at full effort, and within all bounds."""
    full = measurement.complete and measurement.fidelity >= FULL
    return full and all(bound.is_kept(measurement.values) for bound in bounds)

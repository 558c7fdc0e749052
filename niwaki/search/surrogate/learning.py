"""What is learned from trials once in a while, and brought up to date for each candidate."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.predictors.gaussian.column import fit_column
from niwaki.predictors.gaussian.layout import UNKNOWN, Layout
from niwaki.search.surrogate.beliefs import Learned, Warped, learn
from niwaki.search.surrogate.boxes import Decomposition
from niwaki.search.surrogate.history import History, signs_of
from niwaki.search.surrogate.outlook import Outlook
from niwaki.search.surrogate.pool import Pool
from niwaki.search.surrogate.warps import Straight

Array = NDArray[np.float64]

FEWEST = 3  # values of each objective, before anything is learned


@dataclass(frozen=True)
class Lessons:
    """Warps and hyper-parameters, learned from the first trials.

    Attributes:
        values: By name, of values that are not cheap.
        success: Of 1 for success and 0 for failure; None if nothing failed, or everything.
    """

    values: Mapping[str, Learned]
    success: Learned | None

    def outlook(self, history: History, pending: Pool) -> Outlook:
        """Return what is believed after a history, each pending candidate taken as believed."""
        history = history.without_penalties(self.values)
        front = history.front()
        known = {name: history.known(name) for name in self.values}
        learned = {name: self.values[name].given(*known[name]) for name in known}
        success = self.success.given(*history.outcomes()) if self.success else None
        parts = Decomposition.empty(front.shape[1])
        for point in front:
            parts = parts.with_point(point)
        outlook = Outlook(history.problem, learned, success, front, parts)
        if len(pending) == 0:
            return outlook
        believed = {
            name: learned[name].given(
                np.concatenate([features, pending.features]),
                np.append(values, learned[name].belief(pending.features).quantile()),
            )
            for name, (features, values) in known.items()
        }
        expected = np.stack([belief.quantile() for belief in outlook.beliefs(pending)], axis=1)
        return Outlook(history.problem, believed, success, front, parts).joined_by(expected)


def lessons(history: History, cheap: frozenset[str], layout: Layout = UNKNOWN) -> Lessons | None:
    """Learn every value that is not cheap; None if there is too little to learn from.

    Args:
        history: What was measured.
        cheap: Names of values that are known of every candidate.
        layout: Of the features, as in `Catalogue.layout`.
    """
    values: dict[str, Learned] = {}
    objectives = {objective.name for objective in history.problem.objectives}
    bounded = {bound.name for bound in history.problem.bounds}
    wanted = [name for name in signs_of(history.problem) if name not in cheap]
    history = history.without_penalties(wanted)
    for name in wanted:
        features, known = history.known(name)
        if len(known) >= FEWEST:
            values[name] = learn(features, known, layout, has_plateaus=name not in bounded)
        elif name in objectives:
            return None
    return Lessons(values, _success(history, layout))


def _success(history: History, layout: Layout) -> Learned | None:
    features, succeeded = history.outcomes()
    if len(succeeded) == 0 or succeeded.min() == succeeded.max():
        return None
    column = fit_column(features, succeeded, layout=layout)
    return Learned((Warped(Straight(), column),))

"""Asynchronous successive halving for several objectives."""

from collections.abc import Sequence

from niwaki.search.schedulers.ladder import LadderScheduler


class ASHA(LadderScheduler):
    """Starts every candidate at the lowest rung.

    References:
        Li, Jamieson, Rostamizadeh, Gonina, Hardt, Recht and Talwalkar, MLSys 2020, "A system for
        massively parallel hyperparameter tuning", algorithm 2. Here a rung never promotes more than
        its share of what finished there, so that effort goes as planned; and candidates are
        compared by what they are expected to be at full effort, for which the published algorithm
        has no need as it ranks one objective without constraints.
    """

    def _starts(self, n_rungs: int) -> Sequence[int]:  # noqa: ARG002
        return (0,)

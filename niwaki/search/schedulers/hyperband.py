"""Asynchronous Hyperband for several objectives."""

from collections.abc import Sequence

from niwaki.search.schedulers.ladder import LadderScheduler


class Hyperband(LadderScheduler):
    """Has one bracket for each rung to start from, in case little effort misleads.

    The last bracket starts at full effort. Each gets the same effort in the long run.

    References:
        Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar, JMLR 2018, "Hyperband: a novel
        bandit-based approach to hyperparameter optimization", algorithm 1; its brackets are run
        asynchronously and side by side, as by Li et al., MLSys 2020, section 3.
    """

    def _starts(self, n_rungs: int) -> Sequence[int]:
        return range(n_rungs)

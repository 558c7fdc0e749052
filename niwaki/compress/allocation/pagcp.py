"""PAGCP as published: one group after the other, each as far as every task's bound allows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from niwaki.compress.allocation.base import (
    Allocation,
    Counts,
    Floats,
    Ladder,
    Oracle,
    Price,
    with_count,
)
from niwaki.compress.allocation.tolerances import local_tolerances
from niwaki.core.errors import ConfigError
from niwaki.core.limits import require_positive, require_share

_PROBE = 6  # twentieths of a group
_STEPS = range(1, 20)  # likewise
_LEAST_LOSS = 1e-5  # of the least network's: below, a loss is rounding


@dataclass(frozen=True)
class PagcpSettings:
    """Settings of `Pagcp`.

    Attributes:
        first_tolerance: Relative rise of any task's loss that the first group may cause.
        global_tolerance: Relative loss that all groups together may end with.
        kept_groups: Share of the groups that are pruned in the end: those of the least rise of the
            loss per saving.

    Raises:
        ConfigError: On a number out of its range.
    """

    first_tolerance: float = 0.06
    global_tolerance: float = 6.0
    kept_groups: float = 0.8

    def __post_init__(self) -> None:
        require_positive(self, "first_tolerance", "global_tolerance")
        require_share(self, "kept_groups")


@dataclass(frozen=True)
class _Pruned:
    group: int
    count: int
    rise_per_saving: float


class Pagcp:
    """Prunes group by group, each until a task's loss breaks its bound.

    The bound of each task is a ratio to its running reference; the groups that save most get the
    widest tolerances: they come first where tolerances fall, and last where they rise, as they do
    where few groups share a wide global tolerance. Of the groups, those that cost least loss for
    what they save are kept.

    What we do differently, each a fault of the released loop: a group that never breaks the bound
    is pruned to the end in both passes; ratios that remove nothing are passed over; the oracle
    looks at calibration data. Counts are those of the ladder.

    Args:
        oracle: Judges states by their losses.
        price: What is saved.
        ladder: Counts that groups may have.
        settings: Tolerances.

    References:
        Ye, Zhang, Chen, Fan, Zhang, IEEE TPAMI 2023, "Performance-aware approximation of global
        channel pruning for multitask CNNs" (arXiv 2303.11923).
    """

    def __init__(
        self,
        oracle: Oracle,
        price: Price,
        ladder: Ladder,
        settings: PagcpSettings | None = None,
    ) -> None:
        self._oracle, self._price, self._ladder = oracle, price, ladder
        self._settings = settings or PagcpSettings()

    def allocate(self, *, progress: Callable[[Counts], None] | None = None) -> Allocation:
        """Return the counts of one round. There is no budget to ask for.

        Args:
            progress: Told the state after each group.

        Raises:
            ConfigError: As `reference_losses`.
        """
        whole = self._ladder.whole
        order = self._order(whole)
        tolerances = local_tolerances(
            self._settings.first_tolerance, self._settings.global_tolerance, max(1, len(order))
        )
        if tolerances[-1] > tolerances[0]:
            order.reverse()
        reference = reference_losses(self._oracle, self._ladder)
        state, n_judged, pruned = whole, 2, list[_Pruned]()
        for group, tolerance in zip(order, tolerances, strict=False):
            count, losses, n_tried = self._furthest(state, group, (1.0 + tolerance) * reference)
            n_judged += n_tried
            if losses is None:
                continue
            after = with_count(state, group, count)
            saved = float(self._price.of(state) - self._price.of(after))
            ratios = np.divide(losses, reference, out=np.ones_like(losses), where=reference > 0.0)
            rise = float(np.max(ratios)) - 1.0
            pruned.append(_Pruned(group, count, rise / max(saved, 1e-12)))
            state, reference = after, np.maximum(reference, losses)
            if progress is not None:
                progress(state)
        counts = self._filtered(whole, pruned)
        skills = self._oracle.judge([counts]).skills[0]
        cost = float(self._price.of(counts))
        return Allocation(counts, skills, cost, True, n_judged + 1, self._note(pruned))

    def _note(self, pruned: list[_Pruned]) -> str:
        if pruned:
            return ""
        return (
            "nothing is pruned: each group's least step raises the loss of a task by more than "
            f"its tolerance, {self._settings.first_tolerance:.3g} for the first group. Raise "
            "first_tolerance and global_tolerance of pruning.pagcp, or take another "
            "pruning.allocation, such as greedy"
        )

    def _order(self, whole: Counts) -> list[int]:
        """Return the groups by what pruning 30% of each alone saves, most first."""
        prunable = [g for g in range(len(whole)) if self._ladder.below(g, whole[g])]
        probes = [
            with_count(whole, g, self._ladder.at_most(g, _without(whole[g], _PROBE)))
            for g in prunable
        ]
        costs = [float(self._price.of(probe)) for probe in probes]
        return [prunable[i] for i in np.argsort(costs, kind="stable")]

    def _furthest(self, state: Counts, group: int, limit: Floats) -> tuple[int, Floats | None, int]:
        """Prune a group ratio by ratio, until a task's loss is above its limit."""
        allowed = [self._ladder.at_most(group, _without(state[group], n)) for n in _STEPS]
        tried = [count for count in dict.fromkeys(allowed) if count < state[group]]
        count, accepted, n_tried = int(state[group]), None, 0
        for smaller in tried:
            losses = self._oracle.judge([with_count(state, group, smaller)]).losses[0]
            n_tried += 1
            if not np.all(losses <= limit):
                break
            count, accepted = smaller, losses
        return count, accepted, n_tried

    def _filtered(self, whole: Counts, pruned: list[_Pruned]) -> Counts:
        n_kept = int(np.ceil(self._settings.kept_groups * len(pruned)))
        counts = whole.copy()
        for each in sorted(pruned, key=lambda p: p.rise_per_saving)[:n_kept]:
            counts[each.group] = each.count
        return counts


def reference_losses(oracle: Oracle, ladder: Ladder) -> Floats:
    """Return (t,) losses of the whole network, which bounds are ratios to.

    Args:
        oracle: Judges the whole and the least network.
        ladder: Counts that groups may have.

    Raises:
        ConfigError: If one is zero, up to rounding, and grows as channels go: so it does where
            targets are the network's own answers.
    """
    whole: Floats
    whole, least = oracle.judge([ladder.whole, ladder.least]).losses
    vanishing = np.flatnonzero(whole < _LEAST_LOSS * least)
    if len(vanishing):
        names = ", ".join(f"'{oracle.tasks[task]}'" for task in vanishing)
        raise ConfigError(
            f"pagcp bounds the rise of each loss relative to the model's own, but that of {names} "
            "is zero, as where targets are its own answers, so that nothing could be pruned: give "
            "targets, or take another pruning.allocation, such as greedy, under another name"
        )
    return whole


def _without(count: int, n_twentieths: int) -> float:
    """Return what is left of a count: a whole number where it is one, and not just below."""
    return count * (20 - n_twentieths) / 20

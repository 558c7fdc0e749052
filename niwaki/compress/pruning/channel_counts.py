"""Which numbers of channels are worth keeping on a target."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from niwaki.compress.pruning.groups import ChannelGroups, Member
from niwaki.core.limits import require_at_least


@dataclass(frozen=True)
class ChannelGrain:
    """What a target asks of channel counts.

    Attributes:
        grain: Multiple that counts should have: others cost as much as the next multiple. 1 asks
            nothing.
        latency_ms: Measured latency by channel count, if known. A count is never chosen when a
            larger one is as fast; counts that were not measured are judged by the grain alone.

    Raises:
        ConfigError: If the grain is below 1.
    """

    grain: int = 1
    latency_ms: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        require_at_least(self, {"grain": 1})


def allowed_counts(
    groups: ChannelGroups, name: str, *, grain: ChannelGrain | None = None
) -> tuple[int, ...]:
    """Return the numbers of units that a group may keep, ascending; all of them is the last.

    A count is allowed if every layer that computes the channels then has a multiple of the grain,
    and at least one grain of this group, and if the code of the model goes the same way then. A
    group smaller than one grain stays whole. A layer whose channels belong to several groups counts
    this group's own, with what is fixed in it.

    Args:
        groups: Of the model.
        name: Of the group.
        grain: What the target asks.
    """
    grain = grain or ChannelGrain()
    group = groups[name]
    fixed = [_fixed_part(groups, member) for member in group.writers]

    def fits(n: int) -> bool:
        return all(
            (n * member.width + rest) % grain.grain == 0 and n * member.width >= grain.grain
            for member, rest in zip(group.writers, fixed, strict=True)
        )

    counts = [n for n in range(1, group.n_units) if n not in group.not_allowed and fits(n)]
    widest = max(range(len(fixed)), key=lambda i: group.writers[i].width)
    member, rest = group.writers[widest], fixed[widest]
    return tuple(
        n
        for n in [*counts, group.n_units]
        if n == group.n_units
        or not _has_faster(n * member.width + rest, group.n_units * member.width + rest, grain)
    )


def _has_faster(count: int, most: int, grain: ChannelGrain) -> bool:
    """Whether more channels are known to be at least as fast."""
    mine = grain.latency_ms.get(count)
    if mine is None:
        return False
    return any(
        count < other <= most and latency_ms <= mine
        for other, latency_ms in grain.latency_ms.items()
    )


def _fixed_part(groups: ChannelGroups, member: Member) -> int:
    """Return the indices of a member's dimension that belong to no group."""
    taken = sum(
        other.indices.size
        for group in groups.groups
        for other in group.members
        if (other.kind, other.owner, other.dim) == (member.kind, member.owner, member.dim)
    )
    return member.size - taken

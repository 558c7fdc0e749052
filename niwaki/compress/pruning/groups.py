"""Channel groups: sets of channels in many layers that can only be removed together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from niwaki.compress.pruning.atoms import AxisKind
from niwaki.compress.pruning.costs import CostModel
from niwaki.compress.pruning.plan import AttributeChange, Cut, PruningPlan, StatisticsCut
from niwaki.compress.pruning.provenance import Role, Statistics
from niwaki.core.errors import SpaceError
from niwaki.core.registry import nearest

_N_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Member:
    """One dimension of one parameter, buffer or attribute, of which every unit has a part.

    Attributes:
        kind: Parameter or buffer, attribute of a module, or positions of a normalisation.
        owner: Name of the parameter; `path:attribute`; or the site of the normalisation.
        dim: Dimension of the parameter; 0 otherwise.
        size: Its whole size.
        indices: (n_units, width) int64: what unit u loses.
        role: What it has to do with the channel.
    """

    kind: AxisKind
    owner: str
    dim: int
    size: int
    indices: NDArray[np.int64]
    role: Role

    @property
    def width(self) -> int:
        """Indices that one unit has here."""
        return int(self.indices.shape[1])

    @property
    def layer(self) -> str:
        """Path of the module that owns the parameter."""
        return self.owner.rpartition(".")[0] or self.owner

    def __str__(self) -> str:
        return f"{self.owner}[{self.dim}]" if self.kind is AxisKind.TENSOR else self.owner


@dataclass(frozen=True)
class RuledOut:
    """Numbers of units with which the code of the model would go another way.

    Attributes:
        counts: Ascending; all of the units is none of them.
        because: What it compares.
    """

    counts: tuple[int, ...]
    because: str


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Units that are interchangeable: each takes the same number of indices from each member.

    Attributes:
        name: Stable and readable: the layer that computes the channels.
        n_units: How many there are; at least one has to stay.
        members: All that loses something with each unit.
        outputs: Names of the model's outputs that it can change.
        because: The operations that bind its members together.
        ruled_out: Numbers of units that cannot stay.
    """

    name: str
    n_units: int
    members: tuple[Member, ...]
    outputs: tuple[str, ...]
    because: tuple[str, ...]
    ruled_out: tuple[RuledOut, ...] = ()

    @property
    def not_allowed(self) -> frozenset[int]:
        """Numbers of units that cannot stay; where that would be all, proofs have to tell."""
        found = frozenset(count for each in self.ruled_out for count in each.counts)
        return frozenset() if len(found) >= self.n_units - 1 else found

    def require_allowed(self, count: int) -> None:
        """Check that the code of the model goes the same way with so many units.

        Raises:
            SpaceError: If it does not; with what it compares, and the nearest counts that may stay.
        """
        if count not in self.not_allowed:
            return
        because = next(each.because for each in self.ruled_out if count in each.counts)
        free = [n for n in range(1, self.n_units + 1) if n not in self.not_allowed]
        fewer, more = [n for n in free if n < count][-1:], [n for n in free if n > count][:1]
        raise SpaceError(
            f"group '{self.name}' cannot keep {count} of its {self.n_units} units: {because}, and "
            f"would go another way then. Keep {' or '.join(map(str, fewer + more))}"
        )

    @property
    def tensors(self) -> tuple[Member, ...]:
        """The members that are parameters or buffers."""
        return tuple(m for m in self.members if m.kind is AxisKind.TENSOR)

    @property
    def writers(self) -> tuple[Member, ...]:
        """The members that compute the channels; all tensors if that is not known."""
        writers = tuple(m for m in self.tensors if m.role is Role.WRITES)
        return writers or self.tensors

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of the modules that lose the channel."""
        return tuple(dict.fromkeys(member.layer for member in self.tensors))

    @property
    def width(self) -> int:
        """Channels that one unit has in the layers that compute it; the most, if they differ."""
        return max(member.width for member in self.writers)

    def __str__(self) -> str:
        layers = list(self.layers)
        shown = ", ".join(layers[:_N_SHOWN])
        rest = f" and {len(layers) - _N_SHOWN} more" if len(layers) > _N_SHOWN else ""
        noun = "layer loses" if len(layers) == 1 else "layers lose"
        channels = "channel" if self.width == 1 else f"{self.width} channels"
        why = "; ".join(self.because[:_N_SHOWN]) or "nothing else reads them"
        reach = ", ".join(self.outputs) or "no output"
        return (
            f"{self.name}: {self.n_units} units; with each, these {len(layers)} {noun} the same "
            f"{channels}: {shown}{rest}; because {why}; it can change: {reach}"
        )


@dataclass(frozen=True)
class Refusal:
    """Channels that are left alone.

    Attributes:
        name: Parameter and dimension, such as `head.weight[0]`.
        n_channels: How many of its indices stay for this reason.
        reason: Why.
    """

    name: str
    n_channels: int
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.n_channels} stay, because {self.reason}"


@dataclass(frozen=True, eq=False)
class ChannelGroups:
    """All that may be removed from a model, what may not, and what it saves.

    Attributes:
        groups: In the order of execution.
        refused: What is left alone, with the reason.
        outputs: Names of the model's outputs.
        costs: Multiply-accumulates and parameters from kept units, in the order of `groups`.
        statistics: Normalisations over channels, by the name of their members.
    """

    groups: tuple[ChannelGroup, ...]
    refused: tuple[Refusal, ...]
    outputs: tuple[str, ...]
    costs: CostModel
    statistics: Mapping[str, Statistics] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups, in order."""
        return tuple(group.name for group in self.groups)

    @property
    def n_units(self) -> NDArray[np.int64]:
        """(n_groups,) units of each group."""
        return np.array([group.n_units for group in self.groups], np.int64)

    def __getitem__(self, name: str) -> ChannelGroup:
        for group in self.groups:
            if group.name == name:
                return group
        raise SpaceError(f"there is no channel group '{name}'{nearest(name, list(self.names))}")

    def without(self, parameters: Collection[str]) -> "ChannelGroups":
        """Return what is left of groups and costs if some parameters, by name, do not matter.

        Groups of nothing else are left out, and what is multiplied by nothing else costs nothing.
        """
        mattering = set(self.costs.params_of.owners) - set(parameters)
        numbers = [
            number
            for number, group in enumerate(self.groups)
            if mattering & {member.owner for member in group.tensors}
        ]
        groups = tuple(self.groups[number] for number in numbers)
        return replace(self, groups=groups, costs=self.costs.without(parameters).of_groups(numbers))

    def plan(self, kept: Mapping[str, Sequence[int] | NDArray[np.int64]]) -> PruningPlan:
        """Return the plan that keeps these units of these groups; other groups stay whole.

        Args:
            kept: Units to keep, in [0, n_units), by name of the group; at least one of each.

        Raises:
            SpaceError: If a group is unknown, or a unit, nothing is kept of one, or so many that
                the code of the model would go another way.
        """
        for name, units in kept.items():
            self[name].require_allowed(len(np.unique(units)))
        return self.plan_to_try(kept)

    def plan_to_try(self, kept: Mapping[str, Sequence[int] | NDArray[np.int64]]) -> PruningPlan:
        """Return the plan as `plan` does, whatever the code of the model would do.

        Raises:
            SpaceError: If a group is unknown, or a unit, or nothing is kept of one.
        """
        removed = {name: self._removed(self[name], units) for name, units in kept.items()}
        removed = {name: units for name, units in removed.items() if len(units)}
        lost: dict[tuple[AxisKind, str, int], list[NDArray[np.int64]]] = {}
        sizes: dict[tuple[AxisKind, str, int], int] = {}
        for name, units in removed.items():
            for member in self[name].members:
                key = (member.kind, member.owner, member.dim)
                lost.setdefault(key, []).append(member.indices[units].reshape(-1))
                sizes[key] = member.size
        indices = {
            key: tuple(np.unique(np.concatenate(parts)).tolist()) for key, parts in lost.items()
        }
        return PruningPlan(
            kept={name: tuple(np.unique(kept[name]).tolist()) for name in removed},
            cuts=tuple(
                Cut(owner, dim, sizes[kind, owner, dim], gone)
                for (kind, owner, dim), gone in indices.items()
                if kind is AxisKind.TENSOR
            ),
            attributes=tuple(
                AttributeChange(owner, sizes[kind, owner, dim], sizes[kind, owner, dim] - len(gone))
                for (kind, owner, dim), gone in indices.items()
                if kind is AxisKind.ATTRIBUTE
            ),
            statistics=tuple(
                self._statistics_cut(owner, sizes[kind, owner, dim], gone)
                for (kind, owner, dim), gone in indices.items()
                if kind is AxisKind.STATISTICS
            ),
        )

    def _removed(
        self, group: ChannelGroup, kept: Sequence[int] | NDArray[np.int64]
    ) -> NDArray[np.int64]:
        wanted = np.unique(np.asarray(kept, np.int64))
        if not len(wanted) or wanted[0] < 0 or wanted[-1] >= group.n_units:
            raise SpaceError(
                f"group '{group.name}' has units 0 to {group.n_units - 1}, of which at least one "
                f"stays, but the units to keep are {wanted[:10].tolist()}"
            )
        return np.setdiff1d(np.arange(group.n_units), wanted, assume_unique=True)

    def _statistics_cut(self, owner: str, size: int, gone: tuple[int, ...]) -> StatisticsCut:
        known = self.statistics[owner]
        return StatisticsCut(known.site, known.n_groups, known.shape, size, gone)

    def report(self) -> str:
        """Return the groups and what is left alone, one per line."""
        lines = [str(group) for group in self.groups]
        by_reason: dict[str, list[str]] = {}
        for refusal in self.refused:
            by_reason.setdefault(refusal.reason, []).append(refusal.name)
        if by_reason:
            lines += ["", "left alone:"]
        for reason, names in by_reason.items():
            rest = f" and {len(names) - _N_SHOWN} more" if len(names) > _N_SHOWN else ""
            lines.append(f"{', '.join(names[:_N_SHOWN])}{rest}: {reason}")
        return "\n".join(lines)

"""A pruning plan: what is removed from which parameter, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from niwaki.compress.pruning.call_sites import CallSite
from niwaki.core.errors import ConfigError
from niwaki.core.jsonable import JSON, fingerprint
from niwaki.core.registry import nearest


@dataclass(frozen=True)
class Cut:
    """Indices that one dimension of a parameter or buffer loses.

    Attributes:
        tensor: Its name in the model.
        dim: The dimension.
        size: Its size before.
        removed: Ascending indices.
    """

    tensor: str
    dim: int
    size: int
    removed: tuple[int, ...]


@dataclass(frozen=True)
class AttributeChange:
    """An integer of a module that counts channels.

    Attributes:
        name: `path:attribute`, or `path:attribute[position][position]` inside of lists or tuples.
        before: Its value before.
        after: Its value after.
    """

    name: str
    before: int
    after: int


@dataclass(frozen=True)
class StatisticsCut:
    """Positions that a normalisation over channels loses.

    A removed channel is simply not there for a layer norm, but a masked one would be a zero that
    counts. Masked evaluation leaves these positions out of the mean and variance.

    Attributes:
        site: The call.
        n_groups: Of a group norm; 1 otherwise.
        shape: What a mask over `size` positions is reshaped to, to broadcast with the input.
        size: Positions before.
        removed: Ascending positions.
    """

    site: CallSite
    n_groups: int
    shape: tuple[int, ...]
    size: int
    removed: tuple[int, ...]


@dataclass(frozen=True)
class PruningPlan:
    """Everything needed to prune any checkpoint of one model, without analysing it again.

    Attributes:
        kept: Units that each pruned group keeps, by name of the group; what the plan was made from.
        cuts: What parameters and buffers lose.
        attributes: Numbers of modules that change with them.
        statistics: For masked evaluation.
    """

    kept: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))
    cuts: tuple[Cut, ...] = ()
    attributes: tuple[AttributeChange, ...] = ()
    statistics: tuple[StatisticsCut, ...] = ()

    def __post_init__(self) -> None:
        frozen = {str(name): tuple(int(u) for u in units) for name, units in self.kept.items()}
        object.__setattr__(self, "kept", MappingProxyType(frozen))

    @property
    def key(self) -> str:
        """A short name: equal for equal plans."""
        return fingerprint(self.to_json())

    @property
    def n_kept(self) -> dict[str, int]:
        """Number of units that each pruned group keeps."""
        return {name: len(units) for name, units in self.kept.items()}

    def to_json(self) -> dict[str, JSON]:
        """Return the plan as a JSON object."""
        return {
            "kept": {name: list(units) for name, units in self.kept.items()},
            "cuts": [
                {"tensor": c.tensor, "dim": c.dim, "size": c.size, "removed": list(c.removed)}
                for c in self.cuts
            ],
            "attributes": [
                {"name": a.name, "before": a.before, "after": a.after} for a in self.attributes
            ],
            "statistics": [_statistics_json(s) for s in self.statistics],
        }

    @classmethod
    def from_json(cls, data: object) -> "PruningPlan":
        """Read what `to_json` wrote.

        Raises:
            ConfigError: If `data` is not a plan.
        """
        names = ["kept", "cuts", "attributes", "statistics"]
        if not isinstance(data, Mapping):
            raise ConfigError(f"a pruning plan is a JSON object, but this came: {str(data)[:80]}")
        for key in data:
            if key not in names:
                raise ConfigError(f"a pruning plan has no key '{key}'{nearest(str(key), names)}")
        try:
            return cls(
                {str(name): tuple(map(int, units)) for name, units in data["kept"].items()},
                tuple(_cut(item) for item in data["cuts"]),
                tuple(
                    AttributeChange(str(i["name"]), int(i["before"]), int(i["after"]))
                    for i in data["attributes"]
                ),
                tuple(_statistics(item) for item in data["statistics"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"this is not a pruning plan as niwaki writes it: {type(error).__name__} {error}. "
                "Write it with PruningPlan.to_json, and change nothing by hand"
            ) from error

    def __hash__(self) -> int:
        return hash((self.cuts, self.attributes, self.statistics))


def _statistics_json(cut: StatisticsCut) -> dict[str, JSON]:
    return {
        "module": cut.site.module,
        "invocation": cut.site.invocation,
        "ordinal": cut.site.ordinal,
        "n_groups": cut.n_groups,
        "shape": list(cut.shape),
        "size": cut.size,
        "removed": list(cut.removed),
    }


def _cut(item: Mapping[str, Any]) -> Cut:
    size, removed = int(item["size"]), _indices(item["removed"], int(item["size"]))
    return Cut(str(item["tensor"]), int(item["dim"]), size, removed)


def _statistics(item: Mapping[str, Any]) -> StatisticsCut:
    site = CallSite(str(item["module"]), int(item["invocation"]), int(item["ordinal"]))
    shape = tuple(int(side) for side in item["shape"])
    size = int(item["size"])
    return StatisticsCut(site, int(item["n_groups"]), shape, size, _indices(item["removed"], size))


def _indices(values: Sequence[int], size: int) -> tuple[int, ...]:
    indices = tuple(int(value) for value in values)
    if list(indices) != sorted(set(indices)) or not all(0 <= i < size for i in indices):
        raise ValueError(f"indices must ascend from 0 to below {size}")
    return indices

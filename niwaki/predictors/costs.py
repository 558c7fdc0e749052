"""Cost features: what a network's layers add up to, which is most of what latency depends on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError


@dataclass(frozen=True)
class LayerCosts:
    """Costs of the layers of n networks; absent layers cost nothing.

    The l-th layer is the same one in every network, a slot that some networks leave empty. A layer
    that may run in two precisions takes two slots.

    Attributes:
        macs: (n, l) multiply-accumulates.
        elements: (n, l) values read and written.
        weights: (n, l) values of the weights.
    """

    macs: NDArray[np.float64]
    elements: NDArray[np.float64]
    weights: NDArray[np.float64]

    def __post_init__(self) -> None:
        shapes = {self.macs.shape, self.elements.shape, self.weights.shape}
        if len(shapes) > 1 or self.macs.ndim != 2:
            raise DataError(f"costs of layers have one shape (n, l), but {sorted(shapes)} came")


def cost_features(
    costs: LayerCosts, groups: Mapping[str, NDArray[np.bool_]]
) -> NDArray[np.float64]:
    """Return (n, 7 g) features: for each group its sums, their logarithms, and how many layers.

    Time is a sum over layers, each limited by arithmetic, by memory, or by being started at all:
    so sums of MACs, of elements and of layers predict it from few measurements, where decisions one
    by one would take many. Logarithms serve where values are learned as logarithms.

    Args:
        costs: Of n networks with up to l layers.
        groups: (l,) members by name, such as all, kinds of layers, stages, precisions; a layer may
            belong to several.

    Raises:
        DataError: If a group is of another length.
    """
    present = (costs.macs > 0.0).astype(np.float64)
    columns: list[NDArray[np.float64]] = []
    for name, members in groups.items():
        if members.shape != (costs.macs.shape[1],):
            raise DataError(
                f"group '{name}' has shape {members.shape}, but there are {costs.macs.shape[1]} "
                "layers: say of each whether it belongs to the group"
            )
        sums = [
            each[:, members].sum(axis=1) for each in (costs.macs, costs.elements, costs.weights)
        ]
        columns += [*sums, *(np.log1p(each) for each in sums), present[:, members].sum(axis=1)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(costs.macs), 0))

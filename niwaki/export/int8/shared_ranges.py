"""Which tensors share one scale, and whose observed ranges decide it.

What a moving operation gives has the integers of what it reads. What is read by a concatenation
alone is written in the concatenation's scale at once: its values end there anyhow, one rounding is
saved, and the runtime concatenates by copying. Not so what a ReLU gives beside values below zero:
the runtime drops a ReLU, and computes the layer before it in integers, only where the integers
behind it end where it clips.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from niwaki.export.graph.index import GraphIndex
from niwaki.export.int8.layers import clipped_between
from niwaki.export.int8.regions import JOINING, MEAN, Regions, find_operations


class SharedRanges:
    """The scales of a graph's quantized tensors, each named after one tensor.

    Args:
        index: Of the float graph.
        regions: What runs in int8 there.
    """

    def __init__(self, index: GraphIndex, regions: Regions) -> None:
        self._index, self._outputs = index, frozenset(index.outputs)
        self._regions = regions
        operations = find_operations(index)
        # Also those that stay float: the ranges of what they read are known for any plan.
        self._moved = {n: op for op in operations if op.moving for n in op.outputs}
        self._joined = {op.outputs[0]: op for op in operations if op.op == JOINING}
        self._origins: dict[str, str] = {}
        self._sources: dict[str, set[str]] = {}
        self._adopted = self._adoptions()
        # Only now is it known which concatenation a scale ends in, by way of others.
        fitting = [tensor for tensor in self._adopted if self._ends_where_it_clips(tensor)]
        self._adopted = {tensor: self._adopted[tensor] for tensor in fitting}

    @property
    def names(self) -> list[str]:
        """The scales in use, in no particular order of the graph, each once."""
        return sorted({self.scale_of(tensor) for tensor in self._regions.quantized})

    def scale_of(self, tensor: str) -> str:
        """Return the name of the scale in which a quantized tensor is written."""
        root = self._origin(tensor)
        while root in self._adopted:
            root = self._adopted[root]
        return root

    def sources(self, scale: str) -> set[str]:
        """Return the tensors whose ranges the scale must hold."""
        if scale not in self._sources:
            operation = self._joined.get(scale)
            read = () if operation is None else map(self._origin, operation.inputs)
            self._sources[scale] = set().union(*map(self.sources, read)) or {scale}
        return self._sources[scale]

    def ends(self, scale: str) -> tuple[float, float]:
        """Return what the integers of a scale may not reach beyond, for a Clip to be dropped."""
        lows, highs = zip(*map(self._clipped, self.sources(scale)), strict=True)
        return min(lows), max(highs)

    def _origin(self, tensor: str) -> str:
        """Follow a tensor back to where its values were computed or joined."""
        if tensor not in self._origins:
            origin = tensor
            while origin in self._moved:
                origin = self._moved[origin].inputs[0]
            self._origins[tensor] = origin
        return self._origins[tensor]

    def _adoptions(self) -> Mapping[str, str]:
        """Return the concatenation whose scale a tensor takes, where it is read there alone.

        Not a mean, whose steps go by those of what it is of.
        """
        adopted = {}
        operations = self._regions.operations
        means = {name for each in operations if each.op == MEAN for name in each.outputs}
        moving = {i for each in operations if each.moving for i in each.nodes}
        same: dict[str, list[str]] = defaultdict(list)
        for tensor in self._regions.quantized:
            same[self._origin(tensor)].append(tensor)
        for operation in operations:
            for name in operation.inputs if operation.op == JOINING else ():
                origin = self._origin(name)
                readers = self._readers(same[origin]) - moving
                if origin not in means and readers == set(operation.nodes):
                    adopted[origin] = operation.outputs[0]
        return adopted

    def _ends_where_it_clips(self, origin: str) -> bool:
        """Whether nothing in the scale of a tensor goes beyond what clips the tensor itself."""
        low, high = self._clipped(origin)
        joined = [self._clipped(source) for source in self.sources(self.scale_of(origin))]
        return all(low <= least and most <= high for least, most in joined)

    def _clipped(self, tensor: str) -> tuple[float, float]:
        """Return between what constants a tensor is clipped where it is computed."""
        maker = self._index.producer.get(tensor)
        return (-math.inf, math.inf) if maker is None else clipped_between(self._index, maker)

    def _readers(self, tensors: Sequence[str]) -> set[int]:
        """Return the nodes that read any of some tensors; -1 is among them for an output."""
        outputs = {-1 for tensor in tensors if tensor in self._outputs}
        return outputs.union(*map(self._index.consumers, tensors))


def ranges_needed(index: GraphIndex, regions: Regions) -> set[str]:
    """Return the tensors whose ranges must be known to quantize these regions."""
    shared = SharedRanges(index, regions)
    return {source for name in shared.names for source in shared.sources(name)}

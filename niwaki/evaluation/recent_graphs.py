"""Float graphs that were made ready to be quantized, kept for candidates of the same network."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from niwaki.evaluation.deployment import FloatGraph

_MOST_BYTES = 2**29


class RecentGraphs:
    """Keeps the graphs that were asked for last, since calibrating one may take seconds.

    Args:
        most_bytes: Of all that are kept, but for the latest, which is kept whatever its size.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes, self._n_bytes = most_bytes, 0
        self._graphs: OrderedDict[Hashable, tuple[FloatGraph, int]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], FloatGraph]) -> FloatGraph:
        """Return the graph of that name, made if it is not kept."""
        if key not in self._graphs:
            graph = make()
            size = graph.model.ByteSize()
            self._graphs[key] = graph, size
            self._n_bytes += size
            while self._n_bytes > self._most_bytes and len(self._graphs) > 1:
                _, (_, gone) = self._graphs.popitem(last=False)
                self._n_bytes -= gone
        self._graphs.move_to_end(key)
        return self._graphs[key][0]

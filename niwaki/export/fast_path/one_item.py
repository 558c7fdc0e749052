"""Whether calls that were followed for several items are right for one, too.

`if batch_size != positions.shape[0]: positions = positions.expand(batch_size, -1)` has another
answer for one item, of which nothing comes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn

from niwaki.export.fast_path.stand_ins import StandIns
from niwaki.export.fast_path.tracer import Held

# They give what they read, if that has the shape that is asked for.
_GROWING = ("expand", "expand_as", "repeat", torch.Tensor.expand, torch.broadcast_to, torch.tile)


def is_same_for_one(
    module: nn.Module,
    several: fx.Graph,
    one: fx.Graph,
    inputs: Sequence[tuple[Sequence[int], str]],
) -> bool:
    """Whether the calls for one item are those for several, but for such as do nothing to one.

    Args:
        module: Whose calls they are.
        several: Its calls for two items and more.
        one: Its calls for one item.
        inputs: Shape of each input, whose first dimension is the batch, and type of its numbers.
    """
    idle = {
        node: read
        for graph in (several, one)
        for node, read in _idle(graph, StandIns(module, graph, inputs, 1)).items()
    }
    calls = [[node for node in graph.nodes if node not in idle] for graph in (several, one)]
    numbers = {node: i for each in calls for i, node in enumerate(each)}
    for node, read in reversed(idle.items()):  # in the order of execution
        if read is not None:
            numbers[node] = numbers[read]
    return len(calls[0]) == len(calls[1]) and all(
        _is_same(node, other, numbers) for node, other in zip(*calls, strict=True)
    )


def _idle(graph: fx.Graph, shapes: StandIns) -> dict[fx.Node, fx.Node | None]:
    """Return the calls that do nothing, the last first, with what they give again.

    With them goes what is computed for nothing else, which gives nothing.
    """
    found: dict[fx.Node, fx.Node | None] = {}
    for node in reversed(graph.nodes):
        if _does_nothing(node, shapes):
            found[node] = node.args[0]
        elif node.users and all(u in found and found[u] is not node for u in node.users):
            found[node] = None
    return found


def _does_nothing(node: fx.Node, shapes: StandIns) -> bool:
    if node.target not in _GROWING or not node.args or not isinstance(node.args[0], fx.Node):
        return False
    return shapes.value_of(node) == shapes.value_of(node.args[0])


def _is_same(node: fx.Node, other: fx.Node, numbers: Mapping[fx.Node, int]) -> bool:
    """Whether two calls are the same, of what has the same numbers."""
    if node.op != other.op or not _is_same_target(node.target, other.target):
        return False
    mine, theirs = (
        fx.map_arg((each.args, each.kwargs), lambda used: _Numbered(numbers[used]))
        for each in (node, other)
    )
    return bool(mine == theirs)


class _Numbered(int):
    """The number of a call, which is no number that a call is given."""

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Numbered) and int(self) == int(other)

    __hash__ = int.__hash__


def _is_same_target(target: Any, other: Any) -> bool:
    if isinstance(target, Held) and isinstance(other, Held):
        return torch.equal(target.tensor, other.tensor)
    return bool(target == other)

"""What calls give that read no input, such as biases that a table gives for relative positions.

They are computed when a graph is written, and are constants of the graph.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from niwaki.export.fast_path.in_place import changed_by
from niwaki.export.fast_path.stand_ins import holds_tensors
from niwaki.export.graph.writer import Varying

# A constant may be larger than what it is computed from, but not by much.
_NUMBERS = 1_000_000
_TIMES = 4
_SEEDS = (0, 1)


def constants_of(
    root: nn.Module, graph: fx.Graph, values: Mapping[fx.Node, object]
) -> dict[fx.Node, object]:
    """Return what calls give that read parameters, buffers and known sizes alone.

    What differs from time to time is not among them, nor what is much larger than all it reads.

    Args:
        root: The traced module; nothing in it is changed.
        graph: Its calls, of which each that changes a tensor is read for what it changed.
        values: What is known of what each gives.
    """
    found = _Constants(root, graph, values)
    for node in graph.nodes:
        if node.op not in ("placeholder", "output") and holds_tensors(values[node]):
            found.compute(node)
    return found.known


class _Constants(fx.Interpreter):
    """Computes calls one by one; `known` is what they gave."""

    def __init__(self, root: nn.Module, graph: fx.Graph, values: Mapping[fx.Node, object]) -> None:
        super().__init__(root, garbage_collect_values=False, graph=graph)
        self.known: dict[fx.Node, object] = {}
        self._values = values
        self._device = next((each.device for each in root.parameters()), torch.device("cpu"))

    def compute(self, node: fx.Node) -> None:
        """Compute a call, if all that it reads is known."""
        if node.op == "get_attr":
            self.known[node] = self.fetch_attr(str(node.target))
        elif all(
            used in self.known or _is_plain(self._values[used]) for used in node.all_input_nodes
        ):
            changed = changed_by(self.module, node)
            first, second = (self._called(node, changed, seed) for seed in _SEEDS)
            if _same(first, second) and self._is_small(node, first):
                self.known[node] = first

    def _called(self, node: fx.Node, changed: fx.Node | None, seed: int) -> object:
        def value_of(used: fx.Node) -> Any:
            value = self.known.get(used, self._values[used])
            if isinstance(value, torch.device):  # a stand-in's
                return self._device
            return value.clone() if used is changed and isinstance(value, Tensor) else value

        args: Any = fx.map_arg(node.args, value_of)
        kwargs: Any = fx.map_arg(node.kwargs, value_of)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return getattr(self, node.op)(node.target, args, kwargs)

    def _is_small(self, node: fx.Node, value: object) -> bool:
        n_read = sum(_size(self.known.get(used)) for used in node.all_input_nodes)
        return _size(value) <= max(_NUMBERS, _TIMES * n_read)


def _is_plain(value: object) -> bool:
    """Whether a value is the same for all inputs, and no tensor."""
    match value:
        case tuple() | list():
            return all(map(_is_plain, value))
        case Varying():
            return False
    return not holds_tensors(value)


def _size(value: object) -> int:
    match value:
        case Tensor():
            return value.numel()
        case tuple() | list():
            return sum(map(_size, value))
    return 0


def _same(first: object, second: object) -> bool:
    match first, second:
        case Tensor(), Tensor():
            return torch.equal(first.nan_to_num(), second.nan_to_num())
        case ((tuple() | list()), (tuple() | list())):
            return all(map(_same, first, second))
    return first == second

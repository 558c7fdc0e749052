"""What calls give, without computing it: tensors that have a shape and a type, and no numbers."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import fx, nn
from torch.func import functional_call

from niwaki.export.fast_path.shape_rules import FUNCTION_RULES, MODULE_RULES
from niwaki.export.graph.writer import TensorType

_NONE: Mapping[str, torch.Tensor] = MappingProxyType({})


class StandIns(fx.Interpreter):
    """Runs the calls of a graph on tensors without storage, for one size of the batch.

    Args:
        module: Whose calls they are.
        graph: Of the calls; more may be added.
        inputs: Shape of each input, whose first dimension is the batch, and type of its numbers.
        batch: Its size.
        attributes: Tensors of the module by name, where it may have put others in their place.
    """

    def __init__(
        self,
        module: nn.Module,
        graph: fx.Graph,
        inputs: Sequence[tuple[Sequence[int], str]],
        batch: int,
        *,
        attributes: Mapping[str, torch.Tensor] = _NONE,
    ) -> None:
        super().__init__(module, garbage_collect_values=False, graph=graph)
        self._attributes = attributes
        self._seen: dict[fx.Node, object] = {}
        self.args_iter = iter(
            torch.empty((batch, *shape[1:]), dtype=getattr(torch, kind), device="meta")
            for shape, kind in inputs
        )
        self._last = next(iter(graph.nodes)).prev  # the graph's root, before all calls

    def value_of(self, node: fx.Node) -> object:
        """Return what a call gives: numbers, and `TensorType` for each tensor in it.

        All calls up to the last are run first. It raises what they raise.
        """
        return self.values()[node]

    def values(self) -> dict[fx.Node, object]:
        """Return what each call gives, in the same way."""
        with torch.no_grad():
            while (node := self._last.next).op not in ("root", "output"):
                self.env[node] = self.run_node(node)
                self._last = node
        return self._seen

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):  # what is made of nothing is made on a device
            result = result.to("meta")
        self._seen[n] = _described(result)
        return result

    def call_module(
        self, target: fx.node.Target, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        module = self.fetch_attr(str(target))
        rule = MODULE_RULES.get(type(module))
        if rule and _are_floats(args):
            return rule(module, *args, **kwargs)
        state = dict((*module.named_parameters(), *module.named_buffers()))
        return functional_call(module, {n: t.to("meta") for n, t in state.items()}, args, kwargs)

    def get_attr(
        self, target: fx.node.Target, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        kept = self._attributes.get(str(target))
        value = super().get_attr(target, args, kwargs) if kept is None else kept
        return value.to("meta") if isinstance(value, torch.Tensor) else value

    def call_function(
        self, target: fx.node.Target, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if _are_floats(args) and (rule := FUNCTION_RULES.get(target)):
            return rule(*args, **kwargs)
        if target is F.interpolate:
            # Which values it picks makes no difference to the shape, but much to the time.
            kwargs = {**kwargs, "mode": "nearest", "align_corners": None, "antialias": False}
            args = args[:3]
        if target is torch.full and len(args) > 1 and isinstance(args[1], torch.Tensor):
            kwargs = {**kwargs, "dtype": kwargs.get("dtype") or args[1].dtype}
            args = (args[0], 0)  # it would ask for the number
        return super().call_function(target, args, kwargs)

    def call_method(
        self, target: fx.node.Target, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if _are_floats(args) and (rule := FUNCTION_RULES.get(target)):
            return rule(*args, **kwargs)
        if target == "new_full" and isinstance(args[2], torch.Tensor):
            args = (*args[:2], 0)
        return super().call_method(target, args, kwargs)


def _are_floats(args: tuple[Any, ...]) -> bool:
    """Whether a call computes with tensors of reals alone, whose types are no matter of rules."""
    flat = [item for arg in args for item in (arg if isinstance(arg, list | tuple) else [arg])]
    tensors = [item for item in flat if isinstance(item, torch.Tensor)]
    return bool(tensors) and all(tensor.is_floating_point() for tensor in tensors)


def _described(value: object) -> object:
    """Replace tensors by their shapes, in any nesting."""
    match value:
        case torch.Tensor():
            return TensorType(tuple(value.shape), str(value.dtype).removeprefix("torch."))
        case tuple() | list():
            return tuple(_described(item) for item in value)
        case dict():
            return {key: _described(item) for key, item in value.items()}
        case _:
            return value


def holds_tensors(value: object) -> bool:
    """Whether what a call gives is a tensor, or has any in it."""
    match value:
        case tuple():
            return any(map(holds_tensors, value))
        case dict():
            return any(map(holds_tensors, value.values()))
    return isinstance(value, TensorType)

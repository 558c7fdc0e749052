"""A module's forward pass as a list of calls, with the shape of every value."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from niwaki.compress.pruning.model_calls import repeatable
from niwaki.core.errors import ExportError
from niwaki.export.fast_path.code_called import CodeCalled
from niwaki.export.fast_path.constants import constants_of
from niwaki.export.fast_path.in_place import leave_out_unread, read_changes
from niwaki.export.fast_path.lengths import in_code_of, integers_called, lengths_followed
from niwaki.export.fast_path.one_item import is_same_for_one
from niwaki.export.fast_path.stand_ins import StandIns
from niwaki.export.fast_path.tracer import (
    ForwardTracer,
    batches_of,
    integer,
    is_callable,
    is_instance,
    require_no_hooks,
)
from niwaki.export.graph.writer import FLOAT, TensorType, Varying
from niwaki.export.user_code import place_of

_BATCHES = (2, 4099)  # far apart, so that halves of them differ, and sums
_AS_IN_TRAINING = (_DropoutNd, _BatchNorm)


@dataclass(frozen=True)
class Trace:
    """What a module does when called.

    Attributes:
        nodes: Calls, in order, without those whose results nobody reads. A call that changes its
            input in place is read by all who read that input later.
        values: What each call returns: `TensorType` where the module computes a tensor, and the
            plain value where it computes with shapes; nested in tuples, lists and dicts.
        constants: What calls give that read no input, such as parameters.
        module: The traced module.
    """

    nodes: tuple[fx.Node, ...]
    values: Mapping[fx.Node, object]
    constants: Mapping[fx.Node, object]
    module: nn.Module

    @property
    def inputs(self) -> list[fx.Node]:
        """The calls that stand for the module's arguments."""
        return [node for node in self.nodes if node.op == "placeholder"]


def trace(
    module: nn.Module,
    input_shapes: Sequence[Sequence[int]],
    input_types: Sequence[str] | None = None,
) -> Trace:
    """Follow a module symbolically; nothing is computed.

    Args:
        module: In eval mode.
        input_shapes: Shape of each input; the first dimension is the batch, whatever its size.
        input_types: Of their numbers, as torch calls them; all float32 by default.

    Raises:
        ExportError: If the module is in training mode, decides by values, changes a buffer, takes
            another number of inputs, or fails on inputs of these shapes.
    """
    if module.training:
        raise ExportError("the module is in training mode: call its eval() before exporting it")
    require_no_hooks("", module)
    kinds = [FLOAT] * len(input_shapes) if input_types is None else list(input_types)
    inputs = list(zip(input_shapes, kinds, strict=True))
    try:
        graph, changed = _graph_of(module, inputs)
    except ExportError:
        raise
    # The module's own code runs here, on stand-ins for tensors: it may raise anything.
    except Exception as error:
        place = place_of(error)
        where = f" at {place}" if place else ""
        raise ExportError(
            f"{type(module).__name__} cannot be traced symbolically{where}: {error}. "
            "Use export_module, which follows Python control flow"
        ) from error
    if changed:
        raise ExportError(
            f"{type(module).__name__} changes its buffer '{changed[0]}' when it is called. Use "
            "export_module, or change a copy"
        )
    nodes = tuple(graph.nodes)
    _require_evaluation(module, nodes)
    given = [node for node in nodes if node.op == "placeholder"]
    n_inputs = len(given)
    if n_inputs != len(input_shapes):
        raise ExportError(
            f"{type(module).__name__} takes {n_inputs} inputs, but {len(input_shapes)} shapes "
            "came: give one shape per input, batch first"
        )
    with _failures_told(module, inputs):
        first, second = (StandIns(module, graph, inputs, batch).values() for batch in _BATCHES)
    values = {node: _merged(first[node], second[node]) for node in nodes if node.op != "output"}
    read_changes(module, graph, values)
    leave_out_unread(module, graph)
    with _failures_told(module, inputs):
        constants = constants_of(module, graph, values)
    return Trace(tuple(graph.nodes), values, constants, module)


def _graph_of(
    module: nn.Module, inputs: Sequence[tuple[Sequence[int], str]]
) -> tuple[fx.Graph, list[str]]:
    """Return the calls, and the buffers that were changed by calls that are not among them."""
    code, batches = CodeCalled(module), batches_of(module)
    try:
        return _followed(module, code, ForwardTracer(inputs, batches=batches))
    except Exception:
        pass
    try:
        # What is made for each item, such as zeros to begin with, has to have a stand-in, too.
        return _followed(module, code, ForwardTracer(inputs, follows_all=True, batches=batches))
    except fx.proxy.TraceError:
        found = _followed_for_several(module, code, inputs, batches)
        if found is None:
            raise
        return found


def _followed_for_several(
    module: nn.Module,
    code: CodeCalled,
    inputs: Sequence[tuple[Sequence[int], str]],
    batches: Sequence[int],
) -> tuple[fx.Graph, list[str]] | None:
    """Return the calls for two items and more, if they are right for one, too."""
    one, *several = batches
    try:
        tracer = ForwardTracer(inputs, follows_all=True, batches=several)
        graph, changed = _followed(module, code, tracer)
        alone, _ = _followed(module, code, ForwardTracer(inputs, follows_all=True, batches=(one,)))
    except fx.proxy.TraceError:
        return None
    return (graph, changed) if is_same_for_one(module, graph, alone, inputs) else None


def _followed(
    module: nn.Module, code: CodeCalled, tracer: ForwardTracer
) -> tuple[fx.Graph, list[str]]:
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    # Some models keep what they computed for the next pass: here, stand-ins for tensors.
    with (
        repeatable(module),
        lengths_followed(code),
        in_code_of(code, "isinstance", is_instance),
        in_code_of(code, "callable", is_callable),
        integers_called(code, integer),
    ):
        graph = tracer.trace(module)
        # No stand-ins: what is done to them in place is done, and in no graph.
        changed = [n for n, b in module.named_buffers() if _differs(b, buffers.get(n))]
    return graph, changed


@contextmanager
def _failures_told(
    module: nn.Module, inputs: Sequence[tuple[Sequence[int], str]]
) -> Iterator[None]:
    """Tell what the module's calls raise inside of the block."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        shapes = ", ".join(str(tuple(shape)) for shape, _ in inputs)
        reason = str(error).split("\n", 1)[0]
        raise ExportError(
            f"{type(module).__name__} fails on inputs of shape {shapes}: {reason}"
        ) from error


def _differs(now: Any, before: torch.Tensor | None) -> bool:
    """Whether a tensor has changed in place; one that was put in another's place is followed."""
    return (
        before is not None
        and not isinstance(now, fx.Proxy)
        and now.shape == before.shape
        and not torch.equal(torch.nan_to_num(now), torch.nan_to_num(before))
    )


def _number_of_parts(value: object) -> int | None:
    match value:
        case TensorType(dims):
            return len(dims)
        case tuple():
            return len(value)
    return None


def _require_evaluation(module: nn.Module, nodes: Sequence[fx.Node]) -> None:
    """Refuse a module of which a part drops, or normalises by the batch, in evaluation too."""
    for path in sorted({str(node.target) for node in nodes if node.op == "call_module"}):
        part = module.get_submodule(path)
        if part.training and isinstance(part, _AS_IN_TRAINING):
            raise ExportError(
                f"{path} ({type(part).__name__}) is in training mode: call its eval() before "
                "exporting"
            )


def path_of(node: fx.Node) -> str:
    """Return the qualified path of a call: the module's, or the enclosing module's and the op's."""
    if node.op in ("call_module", "get_attr"):
        return str(node.target)
    scope = scope_of(node)
    name = str(node.target) if node.op == "call_method" else op_name(node)
    return f"{scope}.{name}" if scope else name


def scope_of(node: fx.Node) -> str:
    """Return the path of the module that an operation is in; empty for the whole module."""
    stack = node.meta.get("nn_module_stack") or {}
    return str(next(reversed(stack.values()))[0]) if stack else ""


def op_name(node: fx.Node) -> str:
    """Return what a call calls, for people."""
    name = getattr(node.target, "__name__", str(node.target))
    return str(name).strip("_")


def _merged(first: object, second: object) -> object:
    """Keep what two batch sizes agree on.

    Raises:
        ExportError: If there are more axes, or parts, of more inputs.
    """
    if _number_of_parts(first) != _number_of_parts(second):
        raise ExportError(
            "how many axes or parts there are depends on how many inputs there are. Use "
            "export_module, which follows Python control flow"
        )
    match first, second:
        case TensorType(a, kind), TensorType(b):
            dims = tuple(x if x == y else None for x, y in zip(a, b, strict=True))
            return TensorType(dims, kind)
        case tuple(), tuple():
            return tuple(_merged(x, y) for x, y in zip(first, second, strict=True))
        case dict(), dict():
            return {key: _merged(first[key], second[key]) for key in first}
        case int(a), int(b) if a != b:
            times, rest = divmod(a, _BATCHES[0])
            return Varying(times if rest == 0 and b == times * _BATCHES[1] else None)
        case _:
            return first if type(first) is type(second) and first == second else Varying()

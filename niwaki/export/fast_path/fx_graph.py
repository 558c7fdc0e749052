"""The fast path from a module to ONNX: a symbolic trace, written node by node.

torch's exporter takes seconds per network; this takes tens of milliseconds, because nothing is
computed and each call of the trace is written by one small converter (`operators`). What it
cannot follow or write, it refuses by name: `export_module` is there for the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from types import MappingProxyType
from typing import Any, cast

import onnx
import torch
from torch import fx, nn

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.folding import LAYERS, affine_of, foldable, in_double
from niwaki.export.fast_path.operators import Call, Converter, converter_of
from niwaki.export.fast_path.operators.table import alike, held_as, to_numpy
from niwaki.export.fast_path.stand_ins import holds_tensors
from niwaki.export.fast_path.tracing import Trace, op_name, path_of, scope_of, trace
from niwaki.export.graph.biased_products import join_biases
from niwaki.export.graph.file_room import require_room
from niwaki.export.graph.layer_names import recurrent_layer
from niwaki.export.graph.writer import (
    FLOAT,
    GraphWriter,
    Tensor,
    TensorType,
    claimed,
    require_apart,
)

_PRODUCTS = (
    *("matmul", "bmm", "mm", "addmm", "linear", "conv1d", "conv2d", "conv3d"),
    *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
)
_TURNS = ("t", "transpose", "swapaxes", "swapdims", "adjoint")  # of a matrix
# Of what `x.max(dim)` and the like return.
_NAMED_PARTS: Mapping[Any, int] = MappingProxyType({"values": 0, "indices": 1})

# To a tensor in the tuples that a call gives.
_Path = tuple[int, ...]


@dataclass(frozen=True)
class WrittenGraph:
    """A graph, and the calls that it was written from.

    Attributes:
        model: The float graph.
        traced: The calls.
        tensors: Name in the graph of what each call gives, for calls that give one tensor.
        folded: Batch norms and factors that were folded, by the layer they were folded into.
    """

    model: onnx.ModelProto
    traced: Trace
    tensors: Mapping[fx.Node, str]
    folded: Mapping[fx.Node, tuple[fx.Node, ...]]


def build_graph(
    module: nn.Module,
    input_shapes: Sequence[Sequence[int]],
    *,
    input_types: Sequence[str] | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Return the float ONNX graph of a module: opset 20, dynamic batch, batch norm folded.

    Nodes and their outputs are named by the qualified path of their layer, such as
    `encoder.stages.1.0.conv1`, and its weights `<path>.weight` and `<path>.bias`. An operation
    without a module of its own is named after the module it is in and itself: `encoder.add`.
    A product with a weight is a layer, and named after the module that the weight is of if it is
    called `weight`, else after the module it is in: `attention`. A name that occurs again is
    numbered, layers before other operations: `encoder.act:2`. A recurrent module of several layers
    has a node for each: `rnn.l0`, `rnn.l1`, as torch names their weights.

    Args:
        module: In eval mode. May take several tensors, and return a tensor or a tuple, list or
            dict of tensors, nested or not.
        input_shapes: Shape of each input; the first dimension is the batch, whatever its size.
        input_types: Type of each input's numbers, such as `int64`; by default, all are float32.
        input_names: Name of each input; by default, of `forward`'s arguments.
        output_names: Name of each output, in order; by default the keys of the dict, `output` if
            there is one, or `output_0`, `output_1`, ...

    Raises:
        ExportError: If the module cannot be traced, is too large for one file, or an operation
            cannot be written: names the operation and the layer.
    """
    return write_graph(
        module,
        input_shapes,
        input_types=input_types,
        input_names=input_names,
        output_names=output_names,
    ).model


def write_graph(
    module: nn.Module,
    input_shapes: Sequence[Sequence[int]],
    *,
    input_types: Sequence[str] | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> WrittenGraph:
    """Return the graph as `build_graph` does, with the calls that it was written from.

    Raises:
        ExportError: As `build_graph` does.
    """
    require_room(module)
    traced = trace(module, input_shapes, input_types)
    inputs = _inputs(traced, input_names)
    returned = _returned(traced, output_names)
    require_apart([tensor.name for tensor in inputs.values()], list(returned))
    folded = foldable(module, traced.nodes, traced.values, traced.constants)
    writer = GraphWriter(list(inputs.values()), list(returned), _layer_names(traced))
    results = _write_calls(traced, writer, inputs, folded)
    tensors = {node: result for node, result in results.items() if isinstance(result, Tensor)}
    outputs = {name: _part(results[node], path) for name, (node, path) in returned.items()}
    model = writer.model(outputs)
    join_biases(model.graph)
    given = {name for node in model.graph.node for name in node.output} | {
        info.name for info in model.graph.input
    }
    # Closing the graph gave outputs the names they shall have.
    renamed = {tensor.name: name for name, tensor in reversed(outputs.items())}
    names = {
        node: tensor.name if tensor.name in given else renamed.get(tensor.name, tensor.name)
        for node, tensor in tensors.items()
    }
    return WrittenGraph(model, traced, names, folded)


def _inputs(traced: Trace, names: Sequence[str] | None) -> dict[fx.Node, Tensor]:
    nodes = traced.inputs
    chosen = [str(node.target) for node in nodes] if names is None else list(names)
    if len(chosen) != len(nodes) or len(set(chosen)) != len(chosen):
        raise ExportError(f"{len(nodes)} different input names are needed, but {chosen} came")
    inputs: dict[fx.Node, Tensor] = {}
    for node, name in zip(nodes, chosen, strict=True):
        value = traced.values[node]
        assert isinstance(value, TensorType)
        if value.dtype != FLOAT and held_as(value.dtype) == FLOAT:
            raise ExportError(
                f"input '{name}' is of {value.dtype}, and a graph has reals in {FLOAT} alone. "
                "Use export_module, or convert it"
            )
        inputs[node] = Tensor(name, value.dims, value.dtype)
    return inputs


def _returned(traced: Trace, names: Sequence[str] | None) -> dict[str, tuple[fx.Node, _Path]]:
    """Return the call behind each output, and which part of its result, by the output's name."""
    (result,) = traced.nodes[-1].args
    error = ExportError(f"the module returns {result}: only tensors can be outputs of a graph")
    found: list[tuple[str, tuple[fx.Node, _Path]]] = []
    for leaf, node in _leaves(result, ""):
        if node is None:  # it is left out where answers are named, too
            continue
        if not isinstance(node, fx.Node):
            raise error
        for name, path in _parts(traced.values[node], leaf):
            if path is None:
                raise error
            found.append((name, (node, path)))
    if not found:
        raise error
    defaults = [name or "output" for name, _ in found]
    chosen = defaults if names is None else list(names)
    if len(chosen) != len(found) or len(set(chosen)) != len(chosen):
        raise ExportError(
            f"the module returns {len(found)} tensors ({', '.join(defaults)}), so as many "
            f"different output names are needed, but {chosen} came"
        )
    return {name: leaf for name, (_, leaf) in zip(chosen, found, strict=True)}


def _parts(value: object, name: str) -> list[tuple[str, _Path | None]]:
    """Return name and place of each tensor that a call gives, or no place if it gives none."""
    if isinstance(value, TensorType):
        return [(name, ())]
    if not isinstance(value, tuple):
        return [(name, None)]
    return [
        (leaf, None if path is None else (i, *path))
        for i, item in enumerate(value)
        for leaf, path in _parts(item, f"{name or 'output'}_{i}")
    ]


def _part(result: object, path: _Path) -> Tensor:
    for place in path:
        assert isinstance(result, list | tuple)
        result = result[place]
    assert isinstance(result, Tensor)
    return result


def _leaves(value: object, name: str) -> list[tuple[str, object]]:
    """Return the nodes in a nested result, each with the default name of its output."""
    match value:
        case Mapping():
            items = [(str(key), item) for key, item in value.items()]
        case tuple() | list():
            items = [(f"{name or 'output'}_{i}", item) for i, item in enumerate(value)]
        case _:
            return [(name, value)]
    prefix = f"{name}_" if name and isinstance(value, Mapping) else ""
    return [leaf for key, item in items for leaf in _leaves(item, prefix + key)]


def _layer_names(traced: Trace) -> set[str]:
    """Return the names that layers will have, which nothing else may take before them."""
    names: set[str] = set()
    for node in traced.nodes:
        module = _module_of(traced, node) if node.op == "call_module" else None
        if isinstance(module, nn.RNNBase):
            for layer in range(module.num_layers):
                claimed(recurrent_layer(_path(traced, node), layer, module.num_layers), names)
        elif isinstance(module, LAYERS) or _weight_of(traced, node) is not None:
            claimed(_path(traced, node), names)
    return names


def _path(traced: Trace, node: fx.Node) -> str:
    """Return the path that a call is written by."""
    weight = _weight_of(traced, node)
    if weight is None:
        return path_of(node)
    parameter = _unturned(traced, weight)
    owner, _, kind = str(parameter.target).rpartition(".")
    is_own = parameter.op == "get_attr" and owner and kind == "weight"
    return owner if is_own else scope_of(node) or path_of(node)


def _weight_of(traced: Trace, node: fx.Node) -> fx.Node | None:
    """Return what a product multiplies by, if that is a constant."""
    if node.op not in ("call_function", "call_method") or op_name(node) not in _PRODUCTS:
        return None
    position = 2 if node.target in (torch.addmm, "addmm") else 1
    given = (*node.args, None, None, None)[position]
    named = [node.kwargs[name] for name in ("weight", "other", "mat2") if name in node.kwargs]
    factor = named[0] if named else given
    return factor if isinstance(factor, fx.Node) and factor in traced.constants else None


def _unturned(traced: Trace, weight: fx.Node) -> fx.Node:
    """Return the matrix that a constant is the transpose of, however often it is turned."""
    value = traced.constants[weight]
    is_matrix = isinstance(value, torch.Tensor) and value.ndim == 2
    is_turned = op_name(weight) in _TURNS or weight.args[1:] in (("T",), ("mT",))
    if weight.op == "get_attr" or not (is_matrix and is_turned):
        return weight
    (source, *_) = weight.all_input_nodes
    return _unturned(traced, source)


def _write_calls(
    traced: Trace,
    writer: GraphWriter,
    inputs: Mapping[fx.Node, Tensor],
    folded: Mapping[fx.Node, Sequence[fx.Node]],
) -> "_Results":
    """Write every call, and return what the calls gave."""
    results = _Results(traced, writer, inputs)
    layer_of = {call: layer for layer, calls in folded.items() for call in calls}
    for node in traced.nodes:
        if node.op in ("placeholder", "output") or node in traced.constants:
            continue
        value = traced.values[node]
        if node in layer_of:
            results[node] = results[layer_of[node]]
        elif not holds_tensors(value):
            results[node] = value
        elif not _picks_part(node, results):
            path = _path(traced, node)
            behind = affine_of(traced.module, folded.get(node, ()), in_double)
            call = Call(writer, path, _types_in(value, path), behind)
            results[node] = _convert(traced, node, call, results)
    return results


class _Results(dict[fx.Node, Any]):
    """What calls gave in the graph; constants are written when they are first read."""

    def __init__(
        self, traced: Trace, writer: GraphWriter, inputs: Mapping[fx.Node, Tensor]
    ) -> None:
        super().__init__(inputs)
        self._traced, self._writer = traced, writer

    def __missing__(self, node: fx.Node) -> object:
        value = self._traced.constants[node]
        self[node] = self._written(value, _path(self._traced, node))
        return self[node]

    def _written(self, value: object, path: str) -> object:
        if isinstance(value, torch.Tensor):
            values = to_numpy(value)
            return Tensor(
                self._writer.constant(path, values), tuple(value.shape), str(values.dtype)
            )
        if isinstance(value, tuple | list):
            return [self._written(item, f"{path}.{i}") for i, item in enumerate(value)]
        return value


def _picks_part(node: fx.Node, results: _Results) -> bool:
    """Resolve `parts[i]`, or `parts.values`, of a call that returned several tensors."""
    source = node.args[0] if node.args else None
    parts = results.get(source) if isinstance(source, fx.Node) else None
    if not isinstance(parts, list | tuple) or op_name(node) not in ("getitem", "getattr"):
        return False
    part: Any = node.args[1]
    results[node] = parts[_NAMED_PARTS[part] if isinstance(part, str) else part]
    return True


def _convert(traced: Trace, node: fx.Node, call: Call, results: _Results) -> object:
    converter, leading = _converter(traced, node, call)
    # What is put in place of nodes is ours, so torch's type for arguments does not fit.
    args: Any = fx.map_arg(node.args, lambda used: cast(Any, results[used]))
    kwargs: Any = fx.map_arg(node.kwargs, lambda used: cast(Any, results[used]))
    try:
        bound = signature(converter).bind(call, *leading, *args, **kwargs)
    except TypeError as error:
        raise call.unsupported(f"{op_name(node)} is called in a way not known: {error}") from error
    try:
        result = converter(*bound.args, **bound.kwargs)
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
        # Torch takes more than a converter was written for, and the general path may know it.
        what = f"{type(error).__name__}: {error}"
        raise call.unsupported(f"{op_name(node)} is called in a way not known: {what}") from error
    for given, wanted in zip(_flat(result), call.results, strict=True):
        if not alike(given.dtype, wanted.dtype):
            raise call.unsupported(
                f"it gives {wanted.dtype}, and would be written as {given.dtype}"
            )
    return result


def _flat(result: object) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    assert isinstance(result, list | tuple)
    return [tensor for part in result for tensor in _flat(part)]


def _converter(traced: Trace, node: fx.Node, call: Call) -> tuple[Converter, list[nn.Module]]:
    """Return the converter of a call, and the module that comes before its arguments."""
    module = _module_of(traced, node) if node.op == "call_module" else None
    if (converter := converter_of(traced.module, node)) is not None:
        return converter, [] if module is None else [module]
    what = f"'{op_name(node)}'" if module is None else type(module).__name__
    raise call.unsupported(f"there is no converter for {what}")


def _module_of(traced: Trace, node: fx.Node) -> nn.Module:
    return traced.module.get_submodule(str(node.target))


def _types_in(value: object, path: str) -> tuple[TensorType, ...]:
    """Return the types of what a call gives, in tuples of tuples or not.

    Raises:
        ExportError: If it gives anything else beside tensors.
    """
    if isinstance(value, TensorType):
        return (value,)
    if isinstance(value, tuple):
        return tuple(each for item in value for each in _types_in(item, path))
    raise ExportError(
        f"layer '{path}' cannot be written by the fast path: it gives more than tensors. "
        "Use export_module, or replace the operation"
    )

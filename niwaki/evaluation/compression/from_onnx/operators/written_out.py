"""Norms that exporters write out in several nodes: read as the layers that they are.

Written out, a mean over channels keeps all of them; as a layer, it is known how to prune it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from niwaki.evaluation.compression.from_onnx.call import Call, as_torch
from niwaki.evaluation.compression.from_onnx.operators.norms import is_plain


@dataclass(frozen=True, eq=False)
class _Affine:
    """What is multiplied and added after a norm, and the nodes of it, in order."""

    last: str
    scale: NDArray[Any] | None = None
    bias: NDArray[Any] | None = None
    nodes: tuple[onnx.NodeProto, ...] = ()


def read_layer_norm(call: Call) -> None:
    """Write a layer norm for all that begins with this mean, if it is one.

    Its nodes: ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div, and perhaps Mul and Add.
    """
    source, mean = call.node.input[0], call.node.output[0]
    axes, rank = _axes(call), call.rank()
    if axes != list(range(min(axes, default=rank), rank)):
        return
    centred = [node for node in _users(call, mean) if list(node.input) == [source, mean]]
    if not centred or any(node.op_type != "Sub" for node in centred):
        return
    ends = [user for node in centred for user in _users(call, node.output[0])]
    for divided in (node for node in ends if node.op_type == "Div"):
        epsilon = _epsilon(call, divided, {node.output[0] for node in centred}, axes)
        if epsilon is not None and divided.input[0] in {node.output[0] for node in centred}:
            shape = [dim[0] for dim in call.shape()[axes[0] :]]
            affine = _affine(call, divided.output[0], shape)
            is_alone = affine.scale is not None and is_plain(affine.scale, affine.bias)
            make = partial(_layer_norm, shape, affine, epsilon)
            _write(call, affine, make, epsilon, mean if is_alone else "")
            return


def read_group_norm(call: Call) -> None:
    """Write a group norm for all that begins with this reshape, if it is one.

    Its nodes: Reshape, InstanceNormalization by ones and zeros, Reshape, and perhaps Mul and Add.
    """
    norm = call.known.only_consumer(call.node.output[0])
    if norm is None or norm.op_type != "InstanceNormalization":
        return
    back = call.known.only_consumer(norm.output[0])
    before, apart = call.shape(), call.result_shape()
    if back is None or back.op_type != "Reshape" or len(before) < 3 or len(apart) != 3:
        return
    inner = Call(norm, call.known, call.writer)
    has_weights = not is_plain(inner.constant(1), inner.constant(2))
    if has_weights or call.known.shape(back.output[0]) != before or apart[0] != before[0]:
        return
    n_groups, n_channels = apart[1][0], before[1][0]
    affine = _affine(call, back.output[0], [n_channels, *[1] * (len(before) - 2)])
    if affine.scale is not None and is_plain(affine.scale, affine.bias):
        affine = _Affine(affine.last)
    epsilon = inner.attribute("epsilon", 1e-5)
    make = partial(_group_norm, n_groups, n_channels, affine, epsilon)
    _write(call, affine, make, n_groups, epsilon)


def _write(call: Call, affine: _Affine, make: Callable[[], nn.Module], *settings: object) -> None:
    at = Call(affine.nodes[0], call.known, call.writer) if affine.nodes else call
    of_input = call.known.of_input
    kept = [[name for name in node.input if name not in of_input] for node in affine.nodes]
    weight = list(affine.nodes[0].input).index(kept[0][0]) if affine.nodes else -1
    also = (*settings, *(name for names in kept for name in names))
    found = at.layer(make, call.data(), weight=weight, also=also)
    call.writer.values[affine.last] = found


def _layer_norm(shape: Sequence[int], affine: _Affine, epsilon: float) -> nn.Module:
    layer = nn.LayerNorm(
        list(shape),
        eps=epsilon,
        elementwise_affine=affine.scale is not None,
        bias=affine.bias is not None,
    )
    return _with_affine(layer, affine, shape)


def _group_norm(n_groups: int, n_channels: int, affine: _Affine, epsilon: float) -> nn.Module:
    layer = nn.GroupNorm(n_groups, n_channels, eps=epsilon, affine=affine.scale is not None)
    return _with_affine(layer, affine, [n_channels])


def _with_affine(layer: nn.Module, affine: _Affine, shape: Sequence[int]) -> nn.Module:
    for name, values in (("weight", affine.scale), ("bias", affine.bias)):
        if values is not None:
            setattr(layer, name, nn.Parameter(as_torch(values.reshape(shape))))
        elif affine.scale is not None and isinstance(layer, nn.GroupNorm):
            nn.init.zeros_(layer.bias)
    return layer


def _affine(call: Call, name: str, shape: Sequence[int]) -> _Affine:
    """Return what follows a norm of values of this shape."""
    found = _Affine(name)
    scaled = call.known.only_consumer(name)
    if scaled is None or scaled.op_type != "Mul":
        return found
    scale = _constant(call, scaled, name, shape)
    if scale is None:
        return found
    found = _Affine(scaled.output[0], scale, None, (scaled,))
    shifted = call.known.only_consumer(scaled.output[0])
    if shifted is None or shifted.op_type != "Add":
        return found
    bias = _constant(call, shifted, scaled.output[0], shape)
    return found if bias is None else _Affine(shifted.output[0], scale, bias, (scaled, shifted))


def _constant(
    call: Call, node: onnx.NodeProto, name: str, shape: Sequence[int]
) -> NDArray[Any] | None:
    """Return the other operand if it is a constant of one value for each of this shape."""
    others = [each for each in node.input if each != name]
    if len(others) != 1 or others[0] in call.known.of_input:
        return None
    first, second = call.known.values(others[0])
    trimmed = (
        first.reshape(first.shape[first.ndim - len(shape) :]) if _leads(first, shape) else first
    )
    is_one_each = trimmed.shape == tuple(shape) and np.array_equal(first, second)
    return trimmed if is_one_each else None


def _leads(values: NDArray[Any], shape: Sequence[int]) -> bool:
    return values.ndim > len(shape) and values.size == np.prod(shape)


def _epsilon(
    call: Call, divided: onnx.NodeProto, centred: set[str], axes: list[int]
) -> float | None:
    """Return what is added to the mean of squares that is divided by; None if it is no such."""
    root = _maker(call, divided.input[1], "Sqrt")
    added = None if root is None else _maker(call, root.input[0], "Add")
    if added is None:
        return None
    numbers = [name for name in added.input if name not in call.known.of_input]
    means = [name for name in added.input if name in call.known.of_input]
    mean = _maker(call, means[0], "ReduceMean") if len(means) == 1 else None
    if mean is None or _axes(Call(mean, call.known, call.writer)) != axes:
        return None
    square = _maker(call, mean.input[0], "Pow", "Mul")
    values = call.known.values(numbers[0])[0]
    if square is None or values.size != 1 or not set(square.input[:1]) <= centred:
        return None
    if square.op_type == "Mul" and set(square.input) <= centred:
        return float(values.item())
    exponent = square.input[1]
    is_two = exponent not in call.known.of_input and call.known.values(exponent)[0].tolist() == 2
    return float(values.item()) if square.op_type == "Pow" and is_two else None


def _axes(call: Call) -> list[int]:
    axes = call.integers("axes", 1) or []
    keeps = call.attribute("keepdims", 1)
    return sorted(axis % call.rank() for axis in axes) if keeps else []


def _users(call: Call, name: str) -> Iterator[onnx.NodeProto]:
    yield from (node for node in call.known.graph.node if name in node.input)


def _maker(call: Call, name: str, *kinds: str) -> onnx.NodeProto | None:
    nodes = call.known.graph.node
    return next((n for n in nodes if name in n.output and n.op_type in kinds), None)

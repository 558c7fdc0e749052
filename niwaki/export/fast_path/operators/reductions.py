"""Sums, variances, largest and smallest values along axes."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)

from niwaki.export.fast_path.operators.table import Call, function_converter, in_type
from niwaki.export.graph.writer import Shape, Tensor

Axes = int | Sequence[int]


def _reduced(
    call: Call, op: str, x: Tensor, dim: Axes | None, *, shape: Shape, keepdim: bool
) -> Tensor:
    axes = _axes(call, x, dim)
    name = call.writer.integers(f"{call.path}.axes", axes)
    return call.writer.node(op, [x, name], shape, name=call.path, keepdims=int(keepdim))


def _axes(call: Call, x: Tensor, dim: Axes | None) -> list[int]:
    if dim is None or dim == () or dim == []:
        raise call.unsupported("all dimensions are put together, and the batch with them")
    if not x.rank:
        raise call.unsupported("it has no axes")
    return sorted(axis % x.rank for axis in ([dim] if isinstance(dim, int) else dim))


@function_converter(torch.sum, "sum")
def convert_sum(
    call: Call,
    input: Tensor,
    dim: Axes | None = None,
    keepdim: bool = False,
    *,
    dtype: object = None,  # noqa: ARG001  (as the result tells)
) -> Tensor:
    """Write ReduceSum, in the type that torch sums in."""
    x = in_type(call, input, call.dtype)
    return _reduced(call, "ReduceSum", x, dim, shape=call.shape, keepdim=keepdim)


@function_converter(torch.var, "var")
def convert_variance(
    call: Call,
    input: Tensor,
    dim: Axes | None = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """Write the mean of the squares of what is off the mean, and Mul where it is unbiased."""
    if isinstance(dim, bool):  # torch takes it for `unbiased`, of all values
        raise call.unsupported("all dimensions are put together, and the batch with them")
    axes, writer, path = _axes(call, input, dim), call.writer, call.path
    sizes = [input.shape[axis] for axis in axes]
    if None in sizes:
        raise call.unsupported("it is of values along the batch")
    less = float(unbiased) if correction is None else correction
    n_values = math.prod(size for size in sizes if size is not None)
    if n_values <= less:
        raise call.unsupported(f"there are {n_values} values, of which {less} are left out")
    name = writer.integers(f"{path}.axes", axes)
    means = tuple(1 if i in axes else size for i, size in enumerate(input.shape))
    mean = writer.node("ReduceMean", [input, name], means, name=f"{path}.mean", keepdims=1)
    off = writer.node("Sub", [input, mean], input.shape, name=f"{path}.off")
    squares = writer.node("Mul", [off, off], input.shape, name=f"{path}.squares")
    y = writer.node("ReduceMean", [squares, name], call.shape, name=path, keepdims=int(keepdim))
    if not less:
        return y
    factor = writer.scalar(f"{path}.factor", n_values / (n_values - less))
    return writer.node("Mul", [y, factor], call.shape, name=f"{path}.unbiased")


@function_converter(torch.std, "std")
def convert_deviation(
    call: Call,
    input: Tensor,
    dim: Axes | None = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """Write the root of the variance."""
    variance = convert_variance(call, input, dim, unbiased, keepdim, correction=correction)
    return call.writer.node("Sqrt", [variance], call.shape, name=call.path)


def _register_extreme(op: str, functions: Sequence[Any], with_places: Sequence[Any]) -> None:
    @function_converter(*functions)
    def convert(call: Call, input: Tensor, dim: Axes = (), keepdim: bool = False) -> Tensor:
        return _reduced(call, f"Reduce{op}", input, dim, shape=call.shape, keepdim=keepdim)

    @function_converter(*with_places)
    def convert_with_places(
        call: Call, input: Tensor, dim: Any = None, keepdim: bool = False
    ) -> list[Tensor] | Tensor:
        if isinstance(dim, Tensor):  # the larger of two tensors
            inputs = [in_type(call, x, call.dtype) for x in (input, dim)]
            return call.writer.node(op, inputs, call.shape, name=call.path)
        [axis] = _axes(call, input, dim)
        values, places = call.shapes
        found = _reduced(call, f"Reduce{op}", input, axis, shape=values, keepdim=keepdim)
        place = _place(call, f"Arg{op}", input, axis, shape=places, keepdim=keepdim)
        return [found, place]


_register_extreme("Max", (torch.amax, "amax"), (torch.max, "max"))
_register_extreme("Min", (torch.amin, "amin"), (torch.min, "min"))


def _place(call: Call, op: str, x: Tensor, axis: int, *, shape: Shape, keepdim: bool) -> Tensor:
    name = f"{call.path}.{op.lower()}"
    return call.writer.node(op, [x], shape, name=name, axis=axis, keepdims=int(keepdim))


def _register_place(op: str, *functions: Callable[..., Any] | str) -> None:
    @function_converter(*functions)
    def convert(call: Call, input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        [axis] = _axes(call, input, dim)
        return _place(call, op, input, axis, shape=call.shape, keepdim=keepdim)


_register_place("ArgMax", torch.argmax, "argmax")
_register_place("ArgMin", torch.argmin, "argmin")


@function_converter(torch.linalg.norm)
def convert_norm_of_matrices(
    call: Call,
    input: Tensor,
    ord: float | str | None = None,
    dim: Axes | None = None,
    keepdim: bool = False,
) -> Tensor:
    """Write ReduceL2, or ReduceL1; of two axes, numbers name other norms than these."""
    if ord not in (None, "fro") and not isinstance(dim, int) and len(dim or ()) != 1:
        raise call.unsupported(f"a norm of matrices of power {ord}")
    return convert_norm(call, input, ord, dim, keepdim)


@function_converter(torch.linalg.vector_norm)
def convert_norm_of_vectors(
    call: Call,
    x: Tensor,
    ord: float | str = 2,
    dim: Axes | None = None,
    keepdim: bool = False,
    *,
    dtype: None = None,  # noqa: ARG001
) -> Tensor:
    """Write ReduceL2, or ReduceL1."""
    return convert_norm(call, x, ord, dim, keepdim)


@function_converter(torch.norm, "norm")
def convert_norm(
    call: Call,
    input: Tensor,
    p: float | str | None = 2,
    dim: Axes | None = None,
    keepdim: bool = False,
    *,
    out: None = None,  # noqa: ARG001
    dtype: None = None,  # noqa: ARG001
) -> Tensor:
    """Write ReduceL2, or ReduceL1."""
    p = 2 if p in ("fro", None) else p
    if p not in (1, 2):
        raise call.unsupported(f"a norm of power {p}")
    return _reduced(call, f"ReduceL{int(p)}", input, dim, shape=call.shape, keepdim=keepdim)


@function_converter(F.normalize)
def convert_normalisation(
    call: Call,
    input: Tensor,
    p: float = 2.0,
    dim: Axes = 1,
    eps: float = 1e-12,
    out: None = None,  # noqa: ARG001
) -> Tensor:
    """Write a quotient by ReduceL2, or ReduceL1, which is `eps` at least."""
    if p not in (1.0, 2.0):
        raise call.unsupported(f"it normalises by a norm of power {p}")
    numbers = _axes(call, input, dim)
    shape = tuple(1 if i in numbers else size for i, size in enumerate(input.shape))
    axes = call.writer.integers(f"{call.path}.axes", numbers)
    norm = call.writer.node(f"ReduceL{int(p)}", [input, axes], shape, name=f"{call.path}.norm")
    least = call.writer.scalar(f"{call.path}.eps", eps)
    clipped = call.writer.node("Clip", [norm, least], shape, name=f"{call.path}.clip")
    return call.writer.node("Div", [input, clipped], call.shape, name=call.path)

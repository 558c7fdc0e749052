"""Tensors made of nothing but a shape, and tensors repeated to one."""

from collections.abc import Sequence

import numpy as np
import torch

from niwaki.export.fast_path.operators.reshaping import write_reshape
from niwaki.export.fast_path.operators.table import (
    Call,
    function_converter,
    gives_views,
    held_as,
    in_type,
)
from niwaki.export.graph.writer import Shape, Tensor, Varying


@function_converter(torch.arange)
def convert_range(call: Call, *bounds: object, **options: object) -> Tensor:
    """Write Range over the batch; all else that is known is a constant of its own."""
    named = [options[name] for name in ("start", "end", "step") if name in options]
    match (*bounds, *named):
        case (Varying(times=1),) | (0, Varying(times=1)) | (0, Varying(times=1), 1):
            pass
        case _:
            raise call.unsupported("it counts as far as the batch goes")
    if call.dtype != "int64":
        raise call.unsupported(f"it counts in {call.dtype}")
    writer, path = call.writer, call.path
    first = writer.integers(f"{path}.first", [0])
    end = writer.node("Squeeze", [writer.batch_size(f"{path}.batch"), first], (), name=f"{path}.n")
    bounds = (
        writer.scalar(f"{path}.start", 0, "int64"),
        end,
        writer.scalar(f"{path}.step", 1, "int64"),
    )
    return writer.node("Range", bounds, call.shape, name=path)


@function_converter(torch.repeat_interleave, "repeat_interleave")
def convert_repeated_items(
    call: Call,
    input: Tensor,
    repeats: object,
    dim: int | None = None,
    *,
    output_size: int | None = None,  # noqa: ARG001  (a hint)
) -> Tensor:
    """Write Unsqueeze, Expand and Reshape."""
    if not isinstance(repeats, int) or dim is None:
        raise call.unsupported("it repeats each item another number of times, or all numbers")
    return write_reshape(call, repeated_items(call, input, repeats, dim % input.rank))


def repeated_items(call: Call, x: Tensor, times: int, axis: int) -> Tensor:
    """Write Unsqueeze and Expand: an axis of copies behind another."""
    name = call.writer.integers(f"{call.path}.axis", [axis + 1])
    single = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
    apart = call.writer.node("Unsqueeze", [x, name], single, name=f"{call.path}.apart")
    shape = (*x.shape[: axis + 1], times, *x.shape[axis + 1 :])
    sizes = [1] * len(shape)
    sizes[axis + 1] = times
    target = call.writer.integers(f"{call.path}.sizes", sizes)
    return call.writer.node("Expand", [apart, target], shape, name=f"{call.path}.copies")


def _constant(call: Call, values: np.ndarray) -> Tensor:
    return Tensor(call.writer.constant(call.path, values), call.shape, str(values.dtype))


def _filled(call: Call, value: object, like: Tensor | None = None) -> Tensor:
    """Write a constant; where its shape grows with the batch, a number repeated.

    It grows as another tensor does, or as the batch itself.
    """
    if isinstance(value, Tensor) and not value.rank and call.writer.is_constant(value.name):
        value = call.writer.values(value.name).item()
    if not isinstance(value, int | float):
        raise call.unsupported(f"it is filled with {value!r}")
    held = held_as(call.dtype)
    sizes = [size for size in call.shape if size is not None]
    if len(sizes) == len(call.shape):
        return _constant(call, np.full(sizes, value, held))
    number = Tensor(call.writer.scalar(f"{call.path}.value", value, held), (), held)
    return (
        _repeated(call, number) if like is None else repeated_like(call, number, like, call.shape)
    )


def repeated_like(call: Call, x: Tensor, other: Tensor, shape: Shape) -> Tensor:
    """Write Expand to the shape of another tensor, of which any axis may grow with the batch."""
    sizes = call.writer.node("Shape", [other], (other.rank,), name=f"{call.path}.shape")
    return call.writer.node("Expand", [x, sizes], shape, name=call.path)


def _repeated(call: Call, x: Tensor) -> Tensor:
    """Write Expand to the shape that the call returns."""
    missing = len(call.shape) - x.rank
    before = (*[1] * missing, *x.shape)
    if before == call.shape and not missing:
        return x
    grows = [axis for axis, size in enumerate(call.shape) if size is None and before[axis]]
    if len(grows) > 1:
        raise call.unsupported(f"axes {grows} grow with the batch")
    # Of two sizes, Expand takes the larger: 1 is for what stays as it is.
    target = _joined_sizes(call, [1 if size is None else size for size in call.shape], grows)
    return call.writer.node("Expand", [x, target], call.shape, name=call.path)


def _joined_sizes(call: Call, sizes: list[int], grows: Sequence[int]) -> Tensor | str:
    """Write the sizes of axes, of which one, or none, is the batch."""
    if not grows:
        return call.writer.integers(f"{call.path}.sizes", sizes)
    [at] = grows
    parts: list[Tensor | str] = [call.writer.batch_size(f"{call.path}.batch")]
    if at:
        parts.insert(0, call.writer.integers(f"{call.path}.before", sizes[:at]))
    if sizes[at + 1 :]:
        parts.append(call.writer.integers(f"{call.path}.behind", sizes[at + 1 :]))
    name = f"{call.path}.shape"
    return call.writer.node("Concat", parts, (len(sizes),), name=name, axis=0)


# Of a list, torch calls the other.
@function_converter(torch.meshgrid, torch._C._VariableFunctions.meshgrid)  # type: ignore[attr-defined]
def convert_grid(
    call: Call, *tensors: Tensor | Sequence[Tensor], indexing: str = "ij"
) -> list[Tensor]:
    """Write Reshape and Expand for each."""
    flat = [x for each in tensors for x in ([each] if isinstance(each, Tensor) else each)]
    if any(x.rank != 1 or None in x.shape for x in flat):
        raise call.unsupported("a grid of something else than rows of a known size")
    grids = []
    for number, (x, shape) in enumerate(zip(flat, call.shapes, strict=True)):
        axis = 1 - number if indexing == "xy" and number < 2 and len(flat) > 1 else number
        sizes = [1] * len(flat)
        sizes[axis] = x.shape[0] or 0
        along = call.writer.integers(f"{call.path}.along", sizes)
        whole = call.writer.integers(f"{call.path}.sizes", [size or 0 for size in shape])
        row = call.writer.node("Reshape", [x, along], tuple(sizes), name=f"{call.path}.row")
        grids.append(call.writer.node("Expand", [row, whole], shape, name=call.path))
    return grids


@function_converter("expand_as")
@gives_views
def convert_expand_as(call: Call, input: Tensor, other: Tensor) -> Tensor:
    """Write Expand, or nothing where the shapes are the same."""
    if None not in call.shape:
        return _repeated(call, input)
    return repeated_like(call, input, other, call.shape)


@function_converter("expand", torch.broadcast_to)
@gives_views
def convert_expand(call: Call, input: Tensor, *sizes: object) -> Tensor:
    """Write Expand; sizes are known from the shapes that were traced."""
    _require_batch(call, sizes)
    return _repeated(call, input)


def _flat(sizes: Sequence[object]) -> list[object]:
    return [s for each in sizes for s in (each if isinstance(each, tuple | list) else [each])]


def _require_batch(call: Call, sizes: Sequence[object]) -> None:
    """Check that sizes are known, or the batch itself."""
    if any(isinstance(size, Varying) and size.times != 1 for size in _flat(sizes)):
        raise call.unsupported("a size depends on the batch, and is not that of the batch")


@function_converter("repeat", torch.tile, "tile")
def convert_repeat(call: Call, input: Tensor, *repeats: object) -> Tensor:
    """Write Expand where axes of one value are repeated, else Tile."""
    flat = _flat(repeats)
    flat = [1] * (input.rank - len(flat)) + flat  # `tile` may name the last axes alone
    before = (*[1] * (len(flat) - input.rank), *input.shape)
    if all(size == 1 or times == 1 for size, times in zip(before, flat, strict=True)):
        _require_batch(call, flat)
        return _repeated(call, input)
    grows = [axis for axis, times in enumerate(flat) if not isinstance(times, int)]
    if len(flat) != input.rank or len(grows) > 1:
        raise call.unsupported("it repeats more than axes of one value")
    _require_batch(call, flat)
    times = [each if isinstance(each, int) else 1 for each in flat]
    name = _joined_sizes(call, times, grows)
    return call.writer.node("Tile", [input, name], call.shape, name=call.path)


@function_converter(torch.zeros, "new_zeros", torch.empty, "new_empty")
def convert_zeros(call: Call, *sizes: object, **options: object) -> Tensor:
    """Write a constant, or zeros for each item; what is empty may hold anything."""
    return _of_sizes(call, (*sizes, options.get("size", ())), 0)


@function_converter(torch.ones, "new_ones")
def convert_ones(call: Call, *sizes: object, **options: object) -> Tensor:
    """Write a constant, or ones for each item."""
    return _of_sizes(call, (*sizes, options.get("size", ())), 1)


def _of_sizes(call: Call, sizes: Sequence[object], value: float) -> Tensor:
    _require_batch(call, sizes)
    return _filled(call, value)


@function_converter(torch.zeros_like, torch.empty_like)
def convert_zeros_like(call: Call, input: Tensor, **_options: object) -> Tensor:
    """Write a constant, or zeros in the shape of a tensor that grows with the batch."""
    return _filled(call, 0, input)


@function_converter(torch.ones_like)
def convert_ones_like(call: Call, input: Tensor, **_options: object) -> Tensor:
    """Write a constant, or ones in the shape of a tensor that grows with the batch."""
    return _filled(call, 1, input)


@function_converter(torch.full)
def convert_full(call: Call, size: Sequence[object], fill_value: object, **_: object) -> Tensor:
    """Write a constant, or numbers for each item."""
    _require_batch(call, size)
    return _filled(call, fill_value)


@function_converter("new_full")
def convert_new_full(
    call: Call,
    input: Tensor,  # noqa: ARG001
    size: Sequence[object],
    fill_value: object,
    **_: object,
) -> Tensor:
    """Write a constant, or numbers for each item."""
    _require_batch(call, size)
    return _filled(call, fill_value)


@function_converter(torch.full_like)
def convert_full_like(call: Call, input: Tensor, fill_value: object, **_: object) -> Tensor:
    """Write a constant, or numbers in the shape of a tensor that grows with the batch."""
    return _filled(call, fill_value, input)


def _register_triangle(upper: int, *functions: object) -> None:
    @function_converter(*functions)  # type: ignore[arg-type]
    def convert(call: Call, input: Tensor, diagonal: int = 0) -> Tensor:
        name = call.writer.constant(f"{call.path}.diagonal", np.array(diagonal, np.int64))
        return call.writer.node("Trilu", [input, name], call.shape, name=call.path, upper=upper)


_register_triangle(1, torch.triu, "triu")
_register_triangle(0, torch.tril, "tril")


@function_converter(torch.cumsum, "cumsum")
def convert_running_sum(call: Call, input: Tensor, dim: int, *, dtype: object = None) -> Tensor:  # noqa: ARG001
    """Write CumSum, in the type that torch sums in."""
    axis = call.writer.constant(f"{call.path}.axis", np.array(dim % input.rank, np.int64))
    inputs: list[Tensor | str] = [in_type(call, input, call.dtype), axis]
    return call.writer.node("CumSum", inputs, call.shape, name=call.path)

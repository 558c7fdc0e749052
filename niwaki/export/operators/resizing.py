"""Interpolation."""

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from numpy.typing import NDArray
from torch import nn

from niwaki.export.graph_writer import Attribute, Shape, Tensor
from niwaki.export.operators.table import Call, function_converter, module_converter

Scales = float | Sequence[float]


@function_converter(F.interpolate)
def convert_interpolate(
    call: Call,
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: Scales | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Write Resize, by scales where they are exact, so that the runtime's fast kernels match."""
    if antialias:
        raise call.unsupported("interpolation with antialiasing")
    attributes = _coordinates(call, mode, bool(align_corners))
    before, after = _spatial(call, input.shape), _spatial(call, call.shape)
    given = None if recompute_scale_factor or size is not None else scale_factor
    scales = _exact_scales(before, after, given)
    if scales is not None:
        name = call.writer.constant(f"{call.path}.scales", _float_vector([1.0, 1.0, *scales]))
        return call.writer.node(
            "Resize", [input, "", name], call.shape, name=call.path, **attributes
        )
    name = call.writer.integers(f"{call.path}.sizes", after)
    axes = list(range(2, input.rank))
    return call.writer.node(
        "Resize", [input, "", "", name], call.shape, name=call.path, axes=axes, **attributes
    )


@module_converter(nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d)
def convert_upsample(call: Call, module: nn.Upsample, x: Tensor) -> Tensor:
    """Write Resize."""
    return convert_interpolate(
        call,
        x,
        module.size,
        module.scale_factor,
        module.mode,
        module.align_corners,
        module.recompute_scale_factor,
    )


def _coordinates(call: Call, mode: str, align_corners: bool) -> dict[str, Attribute]:
    """Return the attributes by which Resize computes what torch computes."""
    match mode:
        case "nearest":
            return {
                "mode": "nearest",
                "coordinate_transformation_mode": "asymmetric",
                "nearest_mode": "floor",
            }
        case "nearest-exact":
            return {
                "mode": "nearest",
                "coordinate_transformation_mode": "half_pixel",
                "nearest_mode": "round_prefer_ceil",
            }
        case "bilinear" | "linear":
            centres = "align_corners" if align_corners else "half_pixel"
            return {"mode": "linear", "coordinate_transformation_mode": centres}
    raise call.unsupported(f"interpolation mode '{mode}'")


def _spatial(call: Call, shape: Shape) -> list[int]:
    sizes = [size for size in shape[2:] if size is not None]
    if len(sizes) < len(shape) - 2:
        raise call.unsupported(f"it resizes to {shape}, which grows with the batch")
    return sizes


def _exact_scales(
    before: Sequence[int], after: Sequence[int], given: Scales | None
) -> list[float] | None:
    """Return the scale of each axis: as given, or where one size is a multiple of the other."""
    if given is not None:
        return [float(given)] * len(before) if isinstance(given, int | float) else list(given)
    if all(a % b == 0 or b % a == 0 for b, a in zip(before, after, strict=True)):
        return [a / b for b, a in zip(before, after, strict=True)]
    return None


def _float_vector(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32)

"""Interpolation, and sampling at given places."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from numpy.typing import NDArray
from torch import nn

from niwaki.export.fast_path.operators.table import Call, function_converter, module_converter
from niwaki.export.graph.writer import Attribute, Shape, Tensor

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
    """Write Resize by scales: the runtime's fast kernels want them.

    By sizes of the last axes alone, ONNX Runtime 1.32 refuses models whose other layers run in
    int8: it takes them for the sizes of all axes.
    """
    if antialias:
        raise call.unsupported("interpolation with antialiasing")
    attributes = _coordinates(call, mode, bool(align_corners))
    before, after = _spatial(call, input.shape), _spatial(call, call.shape)
    given = None if recompute_scale_factor or size is not None else scale_factor
    factors = _factors(given, before, after)
    axes = [_Axis(mode, *each) for each in zip(before, after, factors, strict=True)]
    scales = [scale for axis in axes if (scale := axis.scale()) is not None]
    if len(scales) < len(axes):
        if not mode.startswith("nearest"):
            raise call.unsupported(f"interpolation from {before} to {after} by {factors}")
        return _picked(call, input, axes)
    name = call.writer.constant(f"{call.path}.scales", _float_vector([1.0, 1.0, *scales]))
    return call.writer.node("Resize", [input, "", name], call.shape, name=call.path, **attributes)


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


_SAMPLED = {"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic"}


@function_converter(F.grid_sample)
def convert_grid_sample(
    call: Call,
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Write GridSample."""
    if input.rank != 4:
        raise call.unsupported(f"it samples {input.rank} axes")
    return call.writer.node(
        "GridSample",
        [input, grid],
        call.shape,
        name=call.path,
        mode=_SAMPLED[mode],
        padding_mode=padding_mode,
        align_corners=int(bool(align_corners)),
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
        case "linear" | "bilinear" | "trilinear":
            centres = "align_corners" if align_corners else "half_pixel"
            return {"mode": "linear", "coordinate_transformation_mode": centres}
        case "bicubic":
            centres = "align_corners" if align_corners else "half_pixel"
            return {
                "mode": "cubic",
                "coordinate_transformation_mode": centres,
                "cubic_coeff_a": -0.75,
            }
    raise call.unsupported(f"interpolation mode '{mode}'")


def _spatial(call: Call, shape: Shape) -> list[int]:
    sizes = [size for size in shape[2:] if size is not None]
    if len(sizes) < len(shape) - 2:
        raise call.unsupported(f"it resizes to {shape}, which grows with the batch")
    return sizes


def _factors(given: Scales | None, before: Sequence[int], after: Sequence[int]) -> Sequence[float]:
    """Return by what torch multiplies each side."""
    if given is None:
        return [a / b for b, a in zip(before, after, strict=True)]
    return [float(given)] * len(before) if isinstance(given, int | float) else given


@dataclass(frozen=True)
class _Axis:
    """One axis that is resized by a factor, from so many values to so many."""

    mode: str
    before: int
    after: int
    factor: float

    def scale(self) -> float | None:
        """Return the scale by which the runtime gives torch's size and values; None if none does.

        The runtime knows scales in float32, and cuts the product with the size: of 10 values, 1.9
        would make 18.
        """
        plain = np.float32(self.factor)
        for scale in (plain, np.nextafter(plain, np.float32(np.inf))):
            if int(self.before * float(scale)) == self.after and self._picks_alike(scale):
                return float(scale)
        return None

    def places(self) -> NDArray[np.int64]:
        """Return which values torch picks, where it picks the nearest."""
        return self._cut(self._positions() * np.float32(1.0 / self.factor))

    def _picks_alike(self, scale: np.float32) -> bool:
        if not self.mode.startswith("nearest"):
            return True
        return np.array_equal(self._cut(self._positions() / scale), self.places())

    def _positions(self) -> NDArray[np.float32]:
        centre = 0.5 if self.mode == "nearest-exact" else 0.0
        return np.arange(self.after, dtype=np.float32) + np.float32(centre)

    def _cut(self, positions: NDArray[np.float32]) -> NDArray[np.int64]:
        return np.minimum(positions, self.before - 1).astype(np.int64)


def _picked(call: Call, x: Tensor, axes: Sequence[_Axis]) -> Tensor:
    """Write the nearest values as such."""
    for number, axis in enumerate(axes, 2):
        places = call.writer.integers(f"{call.path}.places", axis.places().tolist())
        shape = (*x.shape[:number], axis.after, *x.shape[number + 1 :])
        x = call.writer.node("Gather", [x, places], shape, name=call.path, axis=number)
    return x


def _float_vector(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32)

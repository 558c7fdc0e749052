"""Images made larger or smaller."""

import math
from typing import Any

import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import fx

from niwaki.evaluation.compression.from_onnx.call import Call, operator_named
from niwaki.evaluation.compression.from_onnx.open_batch import MARGIN

_LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}


@operator_named("Resize", "Upsample")
def read_resize(call: Call) -> fx.Node:
    """Read an interpolation to the size, or by the scales, that the file gives."""
    call.require_given(1, 2, 3)
    before, after = call.shape(), call.result_shape()
    if before[:2] != after[:2]:
        raise call.refusal("it resizes the batch or channels")
    target = _target(call)
    mode = call.attribute("mode", "nearest")
    where = call.attribute("coordinate_transformation_mode", "half_pixel")
    picked = call.attribute("nearest_mode", "round_prefer_floor")
    if _is_old(call):
        where = "asymmetric"
        picked = "floor" if all(a >= b for b, a in zip(before, after, strict=True)) else "ceil"
    call.require("antialias", 0)
    if mode == "nearest":
        how = (where, picked)
        is_plain = all(a[0] % b[0] == 0 for b, a in zip(before[2:], after[2:], strict=True))
        if how == ("asymmetric", "floor") or is_plain:
            return call.function(F.interpolate, call.data(), mode="nearest", **target)
        if where in ("half_pixel", "pytorch_half_pixel"):
            return call.function(F.interpolate, call.data(), mode="nearest-exact", **target)
        raise call.refusal(f"it picks the nearest values by {how}")
    if where not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise call.refusal(f"it interpolates by '{where}' coordinates")
    if mode == "cubic" and abs(call.attribute("cubic_coeff_a", -0.75) + 0.75) > 1e-6:
        raise call.refusal("its cubic coefficient is not torch's")
    names = {"linear": _LINEAR.get(call.rank(), ""), "cubic": "bicubic"}
    return call.function(
        F.interpolate,
        call.data(),
        mode=names[mode],
        align_corners=where == "align_corners",
        **target,
    )


def _is_old(call: Call) -> bool:
    return call.node.op_type == "Upsample" or call.known.opset < 11


def _target(call: Call) -> dict[str, Any]:
    """Return the size as torch takes it; or scales, where they cut off parts of a pixel.

    Pixels lie where the scale says then, and not where the two sizes would say.
    """
    before, after = ([dim[0] for dim in dims[2:]] for dims in (call.shape(), call.result_shape()))
    scales = _scales(call)
    if len(scales) == len(before):
        exact = [size * scale for size, scale in zip(before, scales, strict=True)]
        cut = max(size - whole for size, whole in zip(exact, after, strict=True))
        if cut > 2 * MARGIN and [math.floor(size) for size in exact] == after:
            return {"scale_factor": tuple(scales), "recompute_scale_factor": False}
    return {"size": tuple(after)}


def _scales(call: Call) -> list[float]:
    """Return the scales along the axes behind the channels; none if the file gives sizes."""
    given = call.optional(1 if _is_old(call) else 2)
    scales = call.attribute("scales", []) if given is None else given.tolist()
    axes = call.attribute("axes") or range(len(scales))
    by_axis = {axis % call.rank(): scale for axis, scale in zip(axes, scales, strict=False)}
    return [by_axis.get(axis, 1.0) for axis in range(2, call.rank())] if by_axis else []

"""Images made larger or smaller."""

import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import fx

from niwaki.evaluation.compression.from_onnx.call import Call, operator_named

_LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}


@operator_named("Resize", "Upsample")
def read_resize(call: Call) -> fx.Node:
    """Read an interpolation to the size that the file gives."""
    call.require_given(1, 2, 3)
    before, after = call.shape(), call.result_shape()
    if before[:2] != after[:2]:
        raise call.refusal("it resizes the batch or channels")
    size = tuple(dim[0] for dim in after[2:])
    mode = call.attribute("mode", "nearest")
    where = call.attribute("coordinate_transformation_mode", "half_pixel")
    if call.node.op_type == "Upsample" or call.known.opset < 11:
        where = "asymmetric"
    call.require("antialias", 0)
    if mode == "nearest":
        how = (where, call.attribute("nearest_mode", "round_prefer_floor"))
        is_plain = all(a[0] % b[0] == 0 for b, a in zip(before[2:], after[2:], strict=True))
        if how == ("asymmetric", "floor") or is_plain:
            return call.function(F.interpolate, call.data(), size=size, mode="nearest")
        if where in ("half_pixel", "pytorch_half_pixel"):
            return call.function(F.interpolate, call.data(), size=size, mode="nearest-exact")
        raise call.refusal(f"it picks the nearest values by {how}")
    if where not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise call.refusal(f"it interpolates by '{where}' coordinates")
    if mode == "cubic" and abs(call.attribute("cubic_coeff_a", -0.75) + 0.75) > 1e-6:
        raise call.refusal("its cubic coefficient is not torch's")
    names = {"linear": _LINEAR.get(call.rank(), ""), "cubic": "bicubic"}
    return call.function(
        F.interpolate,
        call.data(),
        size=size,
        mode=names[mode],
        align_corners=where == "align_corners",
    )

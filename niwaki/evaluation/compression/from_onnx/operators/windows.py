"""Windows that move over axes: how many values are added on either side."""

from collections.abc import Sequence

from niwaki.evaluation.compression.from_onnx.call import Call


def pads_of(
    call: Call, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return the pads before and after, axis by axis."""
    n_axes = len(kernel)
    automatic = call.attribute("auto_pad", "NOTSET")
    if automatic == "VALID":
        return [0] * n_axes, [0] * n_axes
    if automatic == "NOTSET":
        pads = list(call.attribute("pads", [0] * 2 * n_axes))
        return pads[:n_axes], pads[n_axes:]
    before, after = [], []
    sizes = [dim[0] for dim in call.shape()[2:]]
    for size, width, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        n_out = -(-size // stride)
        total = max((n_out - 1) * stride + (width - 1) * dilation + 1 - size, 0)
        first = total // 2 if automatic == "SAME_UPPER" else total - total // 2
        before.append(first)
        after.append(total - first)
    return before, after


def torch_pads(before: Sequence[int], after: Sequence[int]) -> tuple[int, ...]:
    """Return pads in the order of `F.pad`: from the last axis to the first."""
    pairs = zip(reversed(before), reversed(after), strict=True)
    return tuple(n for pair in pairs for n in pair)

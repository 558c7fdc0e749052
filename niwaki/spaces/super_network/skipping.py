"""Convolutions of one pixel that get only the pixels that they do not skip."""

from types import MethodType

from torch import Tensor, nn
from torch.nn import functional


def skip_first(convolution: nn.Conv2d) -> None:
    """Let a convolution of one pixel get only the pixels that it does not skip: the same, sooner.

    On processors, torch writes the gradient of narrow ones that skip beyond its memory (oneDNN,
    issue 6035).
    """
    # Below the module's hooks: what calls this, as training with quantization does, is spared too.
    convolution._conv_forward = MethodType(_convolve_kept, convolution)  # type: ignore[method-assign]


def skip_inside(convolution: nn.Conv2d) -> None:
    """Take back what `skip_first` did, if it did."""
    convolution.__dict__.pop("_conv_forward", None)


def _convolve_kept(layer: nn.Conv2d, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    margins = layer._reversed_padding_repeated_twice
    if any(margins):
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        images = functional.pad(images, margins, mode=mode)
    down, across = layer.stride
    return functional.conv2d(images[..., ::down, ::across], weight, bias, groups=layer.groups)

"""Convolutions that torch cannot train channels last on a processor.

The gradient of the weights of a convolution of one pixel that skips pixels, with fewer input
channels than a vector holds, is written beyond its memory: the process crashes, or hangs, or
gradients are wrong. If it gets only the pixels that it does not skip, they are right.

References:
    oneDNN, the library that torch convolves with on processors: issue 6035, "1x1 convolution
    backward_weights writes past the rtus workspace (nhwc, IC < ic_block)".
"""

from typing import TypeVar

from torch import nn

from niwaki.spaces.super_network.skipping import skip_first, skip_inside

M = TypeVar("M", bound=nn.Module)

_VECTOR = 16  # numbers in fp32, of the widest vectors that there are


def spared(module: M, *, narrow: bool) -> M:
    """Return the module, its narrow convolutions getting what they do not skip, or all again.

    Args:
        module: Changed in place; its attributes, and so its exported graph, stay as they are.
        narrow: Whether pixels are to be skipped before.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and _is_affected(layer):
            (skip_first if narrow else skip_inside)(layer)
    return module


def _is_affected(layer: nn.Conv2d) -> bool:
    skips = max(layer.stride) > 1 and max(layer.kernel_size) == 1
    return skips and layer.in_channels // layer.groups < _VECTOR

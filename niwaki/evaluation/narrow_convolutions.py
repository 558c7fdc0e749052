"""Convolutions that torch cannot train channels last on a processor.

The gradient of the weights of a convolution of one pixel that skips pixels, with fewer input
channels than a vector holds, is written beyond its memory: the process crashes, or hangs, or
gradients are wrong. In the plain layout it is right.

References:
    oneDNN, the library that torch convolves with on processors: issue 6035, "1x1 convolution
    backward_weights writes past the rtus workspace (nhwc, IC < ic_block)".
"""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)

_VECTOR = 16  # numbers in fp32, of the widest vectors that there are


def spared(module: M, *, narrow: bool) -> M:
    """Return the module, its narrow convolutions in the plain layout, or no longer kept there.

    Args:
        module: Changed in place.
        narrow: Whether they are to be kept in the plain layout, whatever their inputs come in.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and _is_affected(layer):
            _let_go(layer)
            if narrow:
                layer.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
                layer.register_forward_pre_hook(_plain)
    return module


def _is_affected(layer: nn.Conv2d) -> bool:
    skips = max(layer.stride) > 1 and max(layer.kernel_size) == 1
    return skips and layer.in_channels // layer.groups < _VECTOR


def _let_go(layer: nn.Conv2d) -> None:
    for number, hook in list(layer._forward_pre_hooks.items()):
        if hook is _plain:
            del layer._forward_pre_hooks[number]


def _plain(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor]:  # noqa: ARG001
    [images] = inputs
    # Not `contiguous`: that ignores strides of single channels, by which the layout is told.
    return (images.clone(memory_format=torch.contiguous_format),)

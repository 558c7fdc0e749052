"""Batch norms that normalise by statistics of their own, as modules or as calls of a function."""

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, fx, nn

_MODULES = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class BatchNorm:
    """What a batch norm computes with; its tensors are those of the traced module.

    Attributes:
        mean: (channels,) running mean.
        variance: (channels,) running variance.
        weight: (channels,), or None where there is none.
        bias: (channels,), or None where there is none.
        eps: Added to the variance.
    """

    mean: Tensor
    variance: Tensor
    weight: Tensor | None
    bias: Tensor | None
    eps: float

    def affine(self) -> tuple[Tensor, Tensor]:
        """Return (channels,) scale and shift such that the norm computes scale * x + shift.

        In the type of its tensors; gradients flow to its weight and bias.
        """
        scale = torch.rsqrt(self.variance + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        shift = -self.mean * scale
        return scale, shift if self.bias is None else shift + self.bias

    def double(self) -> "BatchNorm":
        """Return the same in float64, on the CPU, without gradients."""
        mean, variance, weight, bias = (
            None if each is None else each.detach().double().cpu()
            for each in (self.mean, self.variance, self.weight, self.bias)
        )
        assert mean is not None and variance is not None
        return BatchNorm(mean, variance, weight, bias, self.eps)


def batch_norm_of(root: nn.Module, node: fx.Node) -> BatchNorm | None:
    """Return the batch norm that a call computes; None if it computes none, or by its batch's own.

    Args:
        root: The traced module.
        node: One of its calls.
    """
    if node.op == "call_module":
        module = root.get_submodule(str(node.target))
        return _of_module(module) if type(module) in _MODULES else None
    if node.target is not F.batch_norm:
        return None
    given = signature(F.batch_norm).bind(*node.args, **node.kwargs)
    given.apply_defaults()
    _, mean, variance, weight, bias, training, _, eps = given.arguments.values()
    read = [each for each in (mean, variance, weight, bias) if each is not None]
    found = [_attribute(root, each) for each in read]
    if training or mean is None or variance is None or any(each is None for each in found):
        return None
    tensors: Any = dict(zip(read, found, strict=True))
    return BatchNorm(tensors[mean], tensors[variance], tensors.get(weight), tensors.get(bias), eps)


def _of_module(module: Any) -> BatchNorm | None:
    """Return what a module of torch's computes with; None if it has no statistics."""
    if module.running_mean is None or module.running_var is None:
        return None
    return BatchNorm(
        module.running_mean, module.running_var, module.weight, module.bias, module.eps
    )


def _attribute(root: nn.Module, value: object) -> Tensor | None:
    """Return the parameter or buffer that is read; None if it is anything else."""
    if not isinstance(value, fx.Node) or value.op != "get_attr":
        return None
    owner, _, name = str(value.target).rpartition(".")
    found = getattr(root.get_submodule(owner), name)
    return found if isinstance(found, Tensor) else None


def along_outputs(scale: Tensor, weight: Tensor, *, groups: int | None = None) -> Tensor:
    """Shape (C_out,) scales so that they multiply a weight of which they are the outputs'.

    Args:
        scale: (C_out,).
        weight: (C_out, C_in / groups, ...), or of a transposed convolution (C_in, C_out / groups,
            ...).
        groups: Of a transposed convolution; None for all other layers.
    """
    spatial: Sequence[int] = [1] * (weight.ndim - 2)
    if groups is None:
        return scale.reshape(-1, 1, *spatial)
    per_group = scale.reshape(groups, 1, -1).expand(-1, weight.shape[0] // groups, -1)
    return per_group.reshape(weight.shape[0], -1, *spatial)

"""What zero-cost proxies are given, and what they share."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from niwaki.core.errors import DataError

Loss: TypeAlias = Callable[[Any, Any], Tensor]


@dataclass(frozen=True)
class Batch:
    """A few labelled inputs.

    Attributes:
        inputs: (B, ...) of the network, B >= 2.
        targets: What `loss` compares its outputs with: (B,) classes for the default.
        loss: Mean loss of a batch, from outputs and targets.
    """

    inputs: Tensor
    targets: Any
    loss: Loss = functional.cross_entropy


# Takes an initialised network, which it leaves as it is, and gives one number: more is better.
Proxy: TypeAlias = Callable[[nn.Module, Batch], float]

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED, nn.Linear)
RECURRENT = (nn.RNNBase, nn.RNNCellBase)
# What torch, and modules and losses of one's own, raise on what does not fit.
_FAULTS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError)


def training_copy(module: nn.Module) -> nn.Module:
    """Return a copy in training mode: batch-norm then uses the batch, not statistics it lacks.

    What is frozen in the network is not in the copy.

    Raises:
        DataError: If it cannot be copied.
    """
    try:
        network = copy.deepcopy(module).train()
    except RuntimeError as error:
        raise DataError(
            f"the network cannot be copied ({error}): let its modules hold parameters and buffers "
            "alone, none computed from others"
        ) from error
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.is_floating_point() or parameter.is_complex())
    return network


def weights_of(module: nn.Module) -> list[Tensor]:
    """Return the weights of convolutions and linear layers, without biases, each once.

    The projections of attention, and the linear maps of recurrent layers, are such layers too.

    Raises:
        DataError: If there is none.
    """
    found = [weight for layer in module.modules() for weight in weights_in(layer)]
    weights = list({id(weight): weight for weight in found}.values())
    if not weights:
        raise DataError("the network has no convolution and no linear layer: nothing can be judged")
    return weights


def weights_in(layer: nn.Module) -> list[Tensor]:
    """Return the weights that a layer has itself: none if it is of another kind."""
    if isinstance(layer, WEIGHTED):
        return [layer.weight]
    if isinstance(layer, (nn.MultiheadAttention, *RECURRENT)):
        own = layer.named_parameters(recurse=False)
        return [parameter for name, parameter in own if "weight" in name]
    return []


def gradients(value: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient of `value` by each of `weights`, zeros where it does not depend on it."""
    found: Sequence[Tensor | None] = torch.autograd.grad(value, weights, allow_unused=True)
    return [
        torch.zeros_like(weight) if gradient is None else gradient
        for weight, gradient in zip(weights, found, strict=True)
    ]


def loss_gradients(module: nn.Module, batch: Batch, weights: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient of the loss by each of `weights`.

    Raises:
        DataError: If the network, the targets and the loss do not fit.
    """
    return gradients(_loss(answers(module, batch.inputs), batch), weights)


def answers(module: nn.Module, inputs: Tensor) -> Any:
    """Return what a network puts out.

    Raises:
        DataError: If it fails.
    """
    try:
        return module(inputs)
    except _FAULTS as fault:
        raise DataError(
            f"the network fails on inputs of {form_of(inputs)}: {fault}. Give a batch of what it "
            "was made for"
        ) from fault


def _loss(outputs: Any, batch: Batch) -> Tensor:
    try:
        found: object = batch.loss(outputs, batch.targets)  # of the user
    except _FAULTS as fault:
        raise DataError(
            f"the loss fails for outputs of {form_of(outputs)} and targets of "
            f"{form_of(batch.targets)}: {fault}. Give targets and a loss that fit the network: "
            "`Batch(inputs, targets, loss)`"
        ) from fault
    if not isinstance(found, Tensor) or found.numel() != 1 or not found.requires_grad:
        raise DataError(
            f"the loss gives {form_of(found)}, but one number that depends on the weights was "
            "wanted: give the mean loss of a batch, not detached"
        )
    return found


def form_of(value: Any) -> str:
    """Return what to say of a value in a message: shape and type of a tensor, type of others."""
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')}"
    return f"type {type(value).__name__}"


def total(outputs: Any) -> Tensor:
    """Return the sum of all numbers that a network puts out."""
    if isinstance(outputs, Tensor):
        return outputs.sum()
    tensors = outputs.values() if isinstance(outputs, dict) else outputs
    return torch.stack([total(each) for each in tensors]).sum()


@contextmanager
def hooks(handles: Sequence[RemovableHandle]) -> Iterator[None]:
    """Remove hooks at the end of the block."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

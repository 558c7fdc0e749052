"""SynFlow: how much can flow through the network, data aside."""

import math

import torch
from torch import nn

from niwaki.core.errors import DataError
from niwaki.predictors.proxies.base import (
    Batch,
    answers,
    gradients,
    total,
    training_copy,
    weights_of,
)

INDICES = (torch.int32, torch.int64)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def synflow(module: nn.Module, batch: Batch) -> float:
    """Return the logarithm of the sum over weights of |gradient x weight| of the flow.

    The flow is the sum of all outputs for an input of ones, every parameter replaced by its
    absolute value, and batch-norms taken out. Only the shape of the batch matters. A network
    through which nothing flows has minus infinity.

    Raises:
        DataError: If the network has no weights, or its inputs are indices, as of words: nothing
            flows out of an index.

    References:
        Tanaka, Kunin, Yamins and Ganguli, NeurIPS 2020, "Pruning neural networks without any data
        by iteratively conserving synaptic flow", equation 3; summed over the network as in
        Abdelfattah et al., ICLR 2021. The logarithm is ours: sums of deep networks overflow.
    """
    if batch.inputs.dtype in INDICES:
        raise DataError(
            f"synflow lets ones flow into the network, but its inputs are of {batch.inputs.dtype}, "
            "as indices are: choose another proxy"
        )
    network = without_norms(training_copy(module)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.abs())
    weights = weights_of(network)
    flow = total(answers(network, torch.ones_like(batch.inputs[:1], dtype=torch.float64)))
    found = gradients(flow, weights)
    summed = sum((g * w).abs().sum().item() for g, w in zip(found, weights, strict=True))
    return math.log(summed) if summed > 0.0 else -math.inf


def without_norms(module: nn.Module) -> nn.Module:
    """Replace every batch-norm inside `module` by the identity, in place, and return it."""
    for name, child in module.named_children():
        if isinstance(child, NORMS):
            setattr(module, name, nn.Identity())
        else:
            without_norms(child)
    return module

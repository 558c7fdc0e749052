"""SNIP: how much the loss would feel the weights being cut."""

from torch import nn

from niwaki.predictors.proxies.base import Batch, loss_gradients, training_copy, weights_of


def snip(module: nn.Module, batch: Batch) -> float:
    """Return the sum over weights of |gradient x weight|.

    References:
        Lee, Ajanthan and Torr, ICLR 2019, "SNIP: single-shot network pruning based on connection
        sensitivity", equation 5, summed over the network as in Abdelfattah et al., ICLR 2021.
    """
    network = training_copy(module)
    weights = weights_of(network)
    found = loss_gradients(network, batch, weights)
    return float(sum((g * w).abs().sum().item() for g, w in zip(found, weights, strict=True)))

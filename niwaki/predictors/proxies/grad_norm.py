"""Gradient norm: how strongly the loss pulls at the untrained weights."""

from torch import nn

from niwaki.predictors.proxies.base import Batch, loss_gradients, training_copy, weights_of


def grad_norm(module: nn.Module, batch: Batch) -> float:
    """Return the sum over layers of the Euclidean norm of the loss's gradient.

    References:
        Abdelfattah, Mehrotra, Dudziak and Lane, ICLR 2021, "Zero-cost proxies for lightweight NAS",
        section 3.2.
    """
    network = training_copy(module)
    found = loss_gradients(network, batch, weights_of(network))
    return float(sum(gradient.norm().item() for gradient in found))

"""Jacobian covariance: whether inputs that differ pull the network in different directions."""

import torch
from torch import Tensor, nn

from niwaki.core.errors import DataError
from niwaki.predictors.proxies.base import Batch, answers, total, training_copy

_LEAST = 1e-5


def jacov(module: nn.Module, batch: Batch) -> float:
    """Return the score of the correlations between the inputs' gradients.

    At best it is minus the number of inputs, where no two gradients are correlated. Needs at least
    two inputs. Minus infinity if a gradient is constant or not finite: then there is no
    correlation.

    Raises:
        DataError: If the inputs are whole numbers: there is no gradient by words.

    References:
        Mellor, Turner, Storkey and Crowley, 2020, "Neural architecture search without training",
        arXiv 2006.04647 version 1, equation 3.
    """
    if not batch.inputs.is_floating_point():
        raise DataError(
            f"jacov takes gradients by the inputs, but those are of {batch.inputs.dtype}: choose "
            "another proxy, or give inputs of floating point"
        )
    network = training_copy(module)
    inputs = batch.inputs.detach().clone().requires_grad_()
    # A copy, which networks that work in place may overwrite.
    [gradient] = torch.autograd.grad(total(answers(network, inputs.clone())), [inputs])
    correlations = _correlations(gradient.flatten(1).double())
    if not torch.isfinite(correlations).all():
        return -float("inf")
    eigenvalues = torch.linalg.eigvalsh(correlations).clamp_min(0.0) + _LEAST
    return -float((eigenvalues.log() + 1.0 / eigenvalues).sum())


def _correlations(rows: Tensor) -> Tensor:
    """Return the (B, B) correlations of (B, d) rows; NaN for a constant one."""
    centred = rows - rows.mean(dim=1, keepdim=True)
    unit = centred / centred.norm(dim=1, keepdim=True)
    correlations: Tensor = unit @ unit.T
    return correlations

"""ZiCo: gradients that are large, and agree from one part of the data to the next."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from niwaki.core.errors import DataError
from niwaki.predictors.proxies.base import (
    Batch,
    form_of,
    loss_gradients,
    training_copy,
    weights_of,
)

N_PARTS = 2


def zico(module: nn.Module, batch: Batch) -> float:
    """Return the sum over layers of log(sum over weights of mean |gradient| / its deviation).

    Means and deviations are over `N_PARTS` parts of the batch, one after the other, as the authors
    take two batches. Weights whose gradients do not differ are left out, and so are layers without
    any other; 0 if no layer is left.

    Raises:
        DataError: If the batch is too small to be parted, or its targets cannot be.

    References:
        Li, Yang, Bhardwaj and Marculescu, ICLR 2023, "ZiCo: zero-shot NAS via inverse coefficient
        of variation on gradients".
    """
    if len(batch.inputs) < 2 * N_PARTS:
        raise DataError(f"zico needs {2 * N_PARTS} inputs or more, but {len(batch.inputs)} came")
    network = training_copy(module)
    weights = weights_of(network)
    inputs, targets = batch.inputs.chunk(N_PARTS), _parted(batch.targets)
    parts = [
        loss_gradients(network, Batch(x, t, batch.loss), weights)
        for x, t in zip(inputs, targets, strict=True)
    ]
    score = 0.0
    for per_part in zip(*parts, strict=True):
        sizes = torch.stack([gradient.abs() for gradient in per_part])
        mean, deviation = sizes.mean(dim=0), sizes.std(dim=0, correction=0)
        differs = deviation > 0.0
        if differs.any():
            score += math.log((mean[differs] / deviation[differs]).sum().item())
    return score


def _parted(targets: Any) -> list[Any]:
    """Return the targets of each part; of several tasks, a mapping for each."""
    if isinstance(targets, Tensor):
        return list(targets.chunk(N_PARTS))
    if not isinstance(targets, Mapping):
        raise DataError(
            f"zico parts the targets of a batch, but those are of {form_of(targets)}: give a "
            "tensor, or a mapping of tensors"
        )
    parts = {name: _parted(each) for name, each in targets.items()}
    return [{name: each[part] for name, each in parts.items()} for part in range(N_PARTS)]

"""The number of multiply-accumulates: the other proxy to beat."""

from typing import Any

import torch
from torch import Tensor, nn

from niwaki.predictors.proxies.base import WEIGHTED, Batch, hooks, training_copy


def macs(module: nn.Module, batch: Batch) -> float:
    """Return the multiply-accumulates of convolutions and linear layers, for one input."""
    network = training_copy(module).eval()
    counted = 0

    def count(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal counted
        assert isinstance(layer, WEIGHTED)
        if isinstance(layer, nn.Linear):
            counted += output.numel() * layer.in_features
            return
        n_positions = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        # Each position of a channel of the output (of the input, if transposed) takes one product
        # for every weight that its channel has.
        counted += n_positions.numel() * layer.weight[0].numel()

    layers = [layer for layer in network.modules() if isinstance(layer, WEIGHTED)]
    with torch.no_grad(), hooks([layer.register_forward_hook(count) for layer in layers]):
        network(batch.inputs[:1])
    return float(counted)

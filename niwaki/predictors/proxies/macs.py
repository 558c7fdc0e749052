"""The number of multiply-accumulates: the other proxy to beat."""

from typing import Any

import torch
from torch import Tensor, nn

from niwaki.predictors.proxies.base import (
    RECURRENT,
    TRANSPOSED,
    Batch,
    answers,
    hooks,
    training_copy,
    weights_in,
)

_ATTENDED = ("query", "key", "value")


def macs(module: nn.Module, batch: Batch) -> float:
    """Return the multiply-accumulates of convolutions and linear layers, for one input.

    Those of attention's projections and of recurrent layers are among them; the products of
    queries, keys and values are not.
    """
    network = training_copy(module).eval()
    counted = 0

    def count(layer: nn.Module, inputs: Any, named: dict[str, Any], output: Any) -> None:
        nonlocal counted
        given = (*inputs, *named.values())
        if isinstance(layer, nn.MultiheadAttention):
            counted += _of_attention(layer, **dict(zip(_ATTENDED, inputs, strict=False)) | named)
        elif isinstance(layer, RECURRENT):
            n_steps = given[0].data.numel() // layer.input_size  # of a packed sequence, too
            counted += n_steps * sum(weight.numel() for weight in weights_in(layer))
        elif isinstance(layer, nn.Linear):
            counted += output.numel() * layer.in_features
        else:
            # Each position of a channel of the output (of the input, if transposed) takes one
            # product for every weight that its channel has.
            positions = given[0] if isinstance(layer, TRANSPOSED) else output
            counted += positions.numel() * weights_in(layer)[0][0].numel()

    layers = [layer for layer in network.modules() if weights_in(layer)]
    handles = [layer.register_forward_hook(count, with_kwargs=True) for layer in layers]
    with torch.no_grad(), hooks(handles):
        answers(network, batch.inputs[:1])
    return float(counted)


def _of_attention(
    layer: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor, **_: Any
) -> int:
    """Return the products of the projections in and out."""
    projected = query.numel() + key.numel() + value.numel()
    return (projected + query.numel()) * int(layer.embed_dim)

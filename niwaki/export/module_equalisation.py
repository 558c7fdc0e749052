"""Cross-layer equalisation of a torch module, as `equalisation` does it to its graph."""

import torch
from torch import Tensor, nn

from niwaki.export.equalisation import LEAST_SPREAD, equalising_scales
from niwaki.export.fx_graph import WrittenGraph


def equalise_module(
    module: nn.Module, written: WrittenGraph, *, least_spread: float = LEAST_SPREAD
) -> None:
    """Scale the channels between the layers of a module, in place; it computes the same.

    Args:
        module: In evaluation mode.
        written: Its graph.
        least_spread: As for `equalising_scales`.
    """
    norms = {str(call.target): str(norm.target) for call, norm in written.norms.items()}
    for pair, scales in equalising_scales(written.model, least_spread=least_spread).items():
        first, second = (module.get_submodule(each.path) for each in (pair.first, pair.second))
        norm = norms.get(pair.first.path)
        giver = first if norm is None else module.get_submodule(norm)
        scale = torch.from_numpy(scales).to(giver.get_parameter("weight"))
        with torch.no_grad():
            for parameter in giver.parameters(recurse=False):
                parameter.div_(scale.reshape(-1, *[1] * (parameter.ndim - 1)))
            _multiply_inputs(second, scale)


def _multiply_inputs(layer: nn.Module, scale: Tensor) -> None:
    """Multiply what a layer reads channel by channel: runs of inputs, behind a flatten."""
    weight = layer.get_parameter("weight")  # (C_out, C_in / groups, ...)
    groups = layer.groups if isinstance(layer, nn.Conv1d | nn.Conv2d) else 1
    n_read = weight.shape[1] * groups
    by_input = scale.repeat_interleave(n_read // len(scale)).reshape(groups, 1, -1)
    by_group = weight.view(groups, -1, *weight.shape[1:])
    by_group.mul_(by_input.reshape(groups, 1, weight.shape[1], *[1] * (weight.ndim - 2)))

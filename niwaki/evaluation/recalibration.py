"""Batch-norm statistics of a network's own."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def recalibrate(network: nn.Module, images: Iterator[Tensor]) -> None:
    """Set batch-norm statistics to those of `images`, and leave the network in evaluation mode.

    A network without such statistics looks at none of them. All but the norms is in evaluation mode
    throughout: the statistics are those of the network as it will run, without dropout, and code
    that does something else in training, or keeps its norms frozen there, does not do so. Norms
    that no image reaches keep what they have.

    Every sub-network sees other activations than the super-network, so it needs statistics of its
    own: not a moving average, but a mean in which each batch counts by its items.

    References:
        Yu and Huang, ICCV 2019, section 3.3.
    """
    norms = [norm for _, norm in remembering_norms(network)]
    network.eval()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    n_seen = dict.fromkeys(norms, 0)

    def take(norm: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        assert isinstance(norm, _BatchNorm)
        if not n_seen[norm]:
            norm.reset_running_stats()
        values: Tensor = given[0] if given else named["input"]
        n_values = values.numel() // values.shape[1]
        n_seen[norm] += n_values
        norm.momentum = n_values / n_seen[norm]
        norm.training = True  # just before it is called: modules around it may set its mode

    handles = [norm.register_forward_pre_hook(take, with_kwargs=True) for norm in norms]
    try:
        with torch.no_grad():
            for batch in images:
                network(batch)
    finally:
        network.eval()
        for handle in handles:
            handle.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def remembering_norms(network: nn.Module) -> Iterator[tuple[str, _BatchNorm]]:
    """Yield path and module of each batch norm that remembers statistics."""
    for path, module in network.named_modules():
        if isinstance(module, _BatchNorm) and module.track_running_stats:
            yield path, module

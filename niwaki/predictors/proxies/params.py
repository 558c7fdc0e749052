"""The number of parameters: the proxy to beat."""

from torch import nn

from niwaki.predictors.proxies.base import Batch


def params(module: nn.Module, batch: Batch) -> float:  # noqa: ARG001
    """Return the number of trained parameters."""
    return float(sum(each.numel() for each in module.parameters() if each.requires_grad))

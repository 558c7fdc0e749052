"""NASWOT: how well the untrained network's linear regions tell inputs apart."""

from typing import Any

import torch
from torch import Tensor, nn

from niwaki.core.errors import DataError
from niwaki.predictors.proxies.base import Batch, answers, hooks, training_copy

RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish)


def naswot(module: nn.Module, batch: Batch) -> float:
    """Return the log-determinant of how many rectifiers treat two inputs alike.

    A rectifier treats inputs alike if both are above zero there, or neither. Minus infinity if two
    inputs are alike everywhere. Smooth rectifiers count as if they were not smooth.

    Raises:
        DataError: If the network has no rectifier as a module of its own.

    References:
        Mellor, Turner, Storkey and Crowley, ICML 2021, "Neural architecture search without
        training", equation 2.
    """
    network = training_copy(module)
    n_inputs = len(batch.inputs)
    alike = torch.zeros(n_inputs, n_inputs, dtype=torch.float64, device=batch.inputs.device)

    def compare(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:  # noqa: ARG001
        nonlocal alike
        above = (inputs[0].flatten(1) > 0.0).float()
        below = 1.0 - above
        alike = alike + (above @ above.T + below @ below.T).double()

    layers: list[Any] = [each for each in network.modules() if isinstance(each, RECTIFIERS)]
    if not layers:
        raise DataError("the network has no rectifier among its modules, which naswot looks at")
    with torch.no_grad(), hooks([each.register_forward_pre_hook(compare) for each in layers]):
        answers(network, batch.inputs)
    # Their rows are equal, but by rounding the determinant may be finite all the same.
    if int((alike == alike.diagonal()).sum()) > n_inputs:
        return -float("inf")
    return float(torch.linalg.slogdet(alike).logabsdet)

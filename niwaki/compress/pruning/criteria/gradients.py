"""Gradients of a loss with respect to switching each unit off, over batches of data."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.criteria.base import Scores, unit_rows
from niwaki.compress.pruning.groups import ChannelGroup, ChannelGroups, Member
from niwaki.compress.pruning.model_calls import KeptState, in_evaluation, let_forget
from niwaki.compress.pruning.provenance import Role
from niwaki.core.errors import DataError

B = TypeVar("B")


@dataclass(frozen=True, eq=False)
class GradientStatistics:
    """What gradient-based criteria need, for one loss: of one task, or of all together.

    A gate is an imagined factor of a channel, equal to one. The derivative of the loss with respect
    to it is the sum of weight times gradient over all weights that read the channel: it is exact,
    and unlike the same sum over the weights that compute the channel it does not vanish where a
    batch norm makes their scale irrelevant.

    Attributes:
        gate_mean: (n_units,) mean over batches of the derivative, by group.
        gate_square: (n_units,) mean over batches of its square, by group.
        weight_square: Mean over batches of the squared gradient, by name of the parameter.
        n_batches: How many there were.
    """

    gate_mean: Mapping[str, Scores]
    gate_square: Mapping[str, Scores]
    weight_square: Mapping[str, Tensor]
    n_batches: int


def collect_gradients(
    module: nn.Module,
    groups: ChannelGroups,
    batches: Iterable[B],
    *,
    loss: Callable[[nn.Module, B], Tensor],
) -> GradientStatistics:
    """Run a model over batches and collect its gradients; the model is not changed.

    Frozen parameters are included. The copy that runs is in evaluation mode.

    Args:
        module: The model that was analysed, or another checkpoint.
        groups: Of that model.
        batches: Anything that `loss` understands. For `Fisher`, batches of one example follow the
            paper; larger ones are cheaper, and average before they square.
        loss: Returns a scalar from the model and a batch; the loss of one task gives the importance
            for that task.

    Raises:
        DataError: If there is no batch, a loss is not finite, or none can be differentiated.
    """
    model = in_evaluation(copied(module))
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    parameters = dict(model.named_parameters())
    mean = {group.name: np.zeros(group.n_units) for group in groups.groups}
    square = {group.name: np.zeros(group.n_units) for group in groups.groups}
    weights = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in parameters.items()}
    n_batches = 0
    let_forget(model)
    kept = KeptState(model)
    for batch in batches:
        kept.restore()  # what it computed for later passes has lost its graph
        gradients = _gradients(loss(model, batch), parameters)
        for group in groups.groups:
            gate = _gate(parameters, group, gradients)
            mean[group.name] += gate
            square[group.name] += gate**2
        for name, gradient in gradients.items():
            weights[name] += gradient.double() ** 2
        n_batches += 1
    if not n_batches:
        raise DataError("gradients need at least one batch of data, and none came")
    return GradientStatistics(
        {name: total / n_batches for name, total in mean.items()},
        {name: total / n_batches for name, total in square.items()},
        {name: (total / n_batches).cpu() for name, total in weights.items()},
        n_batches,
    )


def _gradients(loss: Tensor, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if not bool(loss.isfinite().all()):
        raise DataError(f"the loss is {loss.detach()}: gradients need a finite scalar")
    used = [name for name, parameter in parameters.items() if parameter.requires_grad]
    try:
        found = torch.autograd.grad(
            loss,
            [parameters[name] for name in used],
            allow_unused=True,
            materialize_grads=True,
        )
    except RuntimeError as error:  # from torch: only the model decides what its code allows
        raise DataError(
            f"the model cannot be trained as it is written: {error}. Take `no_grad` and operations "
            "in place (`x += y`) out of its `forward`; as it is, layers can be quantized alone, "
            "under another name (--only quantize, `only: quantize`)"
        ) from error
    return dict(zip(used, found, strict=True))


def gate_members(group: ChannelGroup) -> tuple[Member, ...]:
    """Return the members that a gate acts through: the readers, or the writers if none read."""
    readers = tuple(m for m in group.tensors if m.role is Role.READS)
    return readers or group.writers


def _gate(
    parameters: Mapping[str, Tensor], group: ChannelGroup, gradients: Mapping[str, Tensor]
) -> Scores:
    total = np.zeros(group.n_units)
    for member in gate_members(group):
        if (gradient := gradients.get(member.owner)) is not None:
            products = unit_rows(parameters[member.owner], member) * unit_rows(gradient, member)
            total += products.double().cpu().sum(1).numpy()
    return total

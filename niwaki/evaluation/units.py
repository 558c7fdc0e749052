"""Units of real targets: networks count in them, so that prices are learned as depths are."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from niwaki.evaluation.own_forward import forward_of, give_forward
from niwaki.tasks.statistics import ClassStatistics, Statistics

_UNITS = "_niwaki_units"
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
# In the names of torch's gradients: interpolation gives the same if it comes before or after.
_RESIZING = "Upsample"
_RTOL = 1e-5


def spread(statistics: Statistics) -> list[float]:
    """Return how far from their means the targets of each output are; 1 for classes."""
    if isinstance(statistics, ClassStatistics):
        return [1.0] * len(statistics.frequencies)
    return [float(value) or 1.0 for value in statistics.std]


class Units(nn.Module):
    """Takes what a network computes for standard deviations from the means of its targets.

    Answers of tasks with classes stay as they are.

    Args:
        statistics: Of the train targets, one for each task, in the order of the outputs.
    """

    def __init__(self, statistics: Iterable[Statistics]) -> None:
        super().__init__()
        self.by_task = nn.ModuleList(
            nn.Identity()
            if isinstance(each, ClassStatistics)
            else Unit(each.mean.tolist(), spread(each))
            for each in statistics
        )

    @property
    def differ(self) -> bool:
        """Whether there are any but 1."""
        return any(isinstance(unit, Unit) for unit in self.by_task)

    def forward(self, outputs: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map a tensor (n, k, ...) per task, or that of the only one, to the targets' own units."""
        units = zip(self.by_task, _listed(outputs), strict=True)
        return tuple(unit(each) for unit, each in units)

    def drop(self) -> None:
        """Let all be 1, with a mean of 0: outputs are the targets' own."""
        self.by_task = nn.ModuleList(nn.Identity() for _ in self.by_task)

    def give(self, network: nn.Module, inputs: Tensor) -> None:
        """Let a network answer in the targets' own units from now on.

        The layers that give its answers, resized at most, get other weights, which costs nothing
        later. If other operations do, it multiplies and adds at its end.

        Args:
            network: In evaluation mode; `forward` says what it gives.
            inputs: (n, ...), to see which layers answer.
        """
        for i, unit in enumerate(self.by_task):
            if isinstance(unit, Unit) and _folded(unit, network, inputs, i):
                self.by_task[i] = nn.Identity()
        if self.differ:
            _put_behind(network, self)


class Unit(nn.Module):
    """The units of one task's outputs.

    Args:
        mean: Of the targets of each output.
        std: Of each output, above 0.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32), persistent=False)

    def forward(self, outputs: Tensor) -> Tensor:
        """Map (n, k, ...) to the same shape; another k is left for the loss to refuse."""
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        if outputs.shape[1:2] != std.shape:
            return outputs
        along = (-1, *(1,) * (outputs.ndim - 2))
        return outputs * std.view(along) + mean.view(along)


def _folded(unit: Unit, network: nn.Module, inputs: Tensor, number: int) -> bool:
    """Fold units into the layer that gives the output of that number; say whether there is one."""
    outputs, layer = _answered(network, inputs, number)
    if layer is None:
        return False
    weight, bias = layer.weight, cast(nn.Parameter | None, layer.bias)
    along = (-1, *(1,) * (weight.ndim - 1))
    mean, std = unit.get_buffer("mean"), unit.get_buffer("std")
    with torch.no_grad():
        layer.weight = nn.Parameter(weight * std.view(along))
        layer.bias = nn.Parameter(mean.clone() if bias is None else bias * std + mean)
        wanted = [unit(each) if i == number else each for i, each in enumerate(outputs)]
        if all(map(_alike, _listed(network(inputs)), wanted)):
            return True
    layer.weight, layer.bias = weight, bias  # type: ignore[assignment]  # its answers go elsewhere, too
    return False


def _answered(
    network: nn.Module, inputs: Tensor, number: int
) -> tuple[tuple[Tensor, ...], nn.Linear | None]:
    """Return a network's outputs, and the layer that one of them comes from, resized at most."""
    made: dict[Any, nn.Linear] = {}

    def note(layer: Any, _: object, output: Any) -> None:
        if output.grad_fn is not None:
            made[output.grad_fn] = layer

    handles = [m.register_forward_hook(note) for m in network.modules() if type(m) in _LAYERS]
    try:
        with torch.enable_grad():  # of the inputs too: layers may be frozen
            outputs = _listed(network(inputs.clone().requires_grad_(inputs.is_floating_point())))
    finally:
        for handle in handles:
            handle.remove()
    step = outputs[number].grad_fn
    while step is not None and step.name().startswith(_RESIZING):
        step = step.next_functions[0][0]
    return tuple(each.detach() for each in outputs), made.get(step)


def _put_behind(network: nn.Module, units: Units) -> None:
    """Let a network's answers go through units.

    Units are no part of the network, for an `nn.Sequential` would run them itself.
    """
    original = forward_of(network)

    def forward(self: nn.Module, *inputs: Tensor) -> Any:
        return vars(self)[_UNITS](original(self, *inputs))

    vars(network)[_UNITS] = units
    give_forward(network, forward)


def _alike(found: Tensor, wanted: Tensor) -> bool:
    """Whether outputs (n, k, ...) are the same, each measured by its own size."""
    apart, size = ((found - wanted).abs(), wanted.abs())
    most, least = (each.transpose(0, 1).flatten(1).amax(1) for each in (apart, size))
    return bool((most <= _RTOL * least).all())


def _listed(outputs: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)

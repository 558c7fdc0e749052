"""Whether a pruned model computes what the masked one does, judged without niwaki's own masks."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from niwaki.compress.pruning import ChannelGroups, PruningPlan, allowed_counts
from niwaki.compress.pruning.model_calls import call_model, named_tensors
from niwaki.core.randomness import stream


def half_of_each(groups: ChannelGroups, *, seed: int = 0) -> PruningPlan:
    """Return the plan that keeps a random half of every group, or about as many as it may."""
    kept = {}
    for group in groups.groups:
        rng = stream(seed, group.name)
        counts = allowed_counts(groups, group.name)
        n_kept = min(counts, key=lambda n, half=group.n_units // 2: abs(n - half))  # type: ignore[misc]
        kept[group.name] = rng.choice(group.n_units, n_kept, replace=False)
    return groups.plan(kept)


def outputs(module: nn.Module, inputs: Any) -> dict[str, Tensor]:
    """Return the outputs of a model in evaluation mode, by name."""
    with torch.no_grad():
        return dict(named_tensors(call_model(module.eval(), inputs)))


def zero_slices(module: nn.Module, plan: PruningPlan) -> None:
    """Zero what a plan removes, one index at a time."""
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for cut in plan.cuts:
            for index in cut.removed:
                if cut.tensor in parameters:
                    parameters[cut.tensor].select(cut.dim, index).zero_()


def worst_difference(left: dict[str, Tensor], right: dict[str, Tensor]) -> float:
    """Return the largest difference relative to the spread of its output; inf if shapes differ."""
    if {n: t.shape for n, t in left.items()} != {n: t.shape for n, t in right.items()}:
        return float("inf")
    worst = 0.0
    for name, value in left.items():
        a, b = value.double(), right[name].double()
        spread = float((a - a.mean()).abs().max()) or 1.0
        worst = max(worst, float((a - b).abs().max()) / spread)
    return worst if np.isfinite(worst) else float("inf")


def scrambled(module: nn.Module, *, seed: int = 1) -> nn.Module:
    """Give a model weights under which no layer is idle, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if parameter.ndim > 1:
                parameter.copy_(noise / max(parameter[0].numel(), 1) ** 0.5)
            else:
                parameter.copy_(1.0 + 0.2 * noise)
        for child in module.modules():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                assert child.running_mean is not None and child.running_var is not None
                shape = child.running_mean.shape
                child.running_mean.copy_(0.1 * torch.randn(shape, generator=generator))
                child.running_var.copy_(0.5 + torch.rand(shape, generator=generator))
    return module


def doubled(inputs: Any) -> Any:
    """Return inputs in double precision."""
    if isinstance(inputs, Tensor):
        return inputs.double() if inputs.is_floating_point() else inputs
    if isinstance(inputs, dict):
        return {name: doubled(value) for name, value in inputs.items()}
    return tuple(doubled(value) for value in inputs)

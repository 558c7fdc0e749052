"""Ways of pruning a network to a budget of multiply-accumulates: torch-pruning's, PAGCP, ours.

Each takes a trained network and gives a smaller one that is not fine-tuned yet. The oracles of
PAGCP and ours look at the calibration split; gradients are those of the train split.
"""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from niwaki.compress.allocation import (
    Counts,
    GreedyAllocator,
    Ladder,
    Pagcp,
)
from niwaki.compress.pruning import (
    AnalysisSettings,
    ChannelGroups,
    analyse,
    apply_plan,
)
from niwaki.compress.pruning.compensation import compensated, input_moments
from niwaki.compress.pruning.criteria import L1, score_groups
from niwaki.core.randomness import stream
from niwaki.evaluation.compression.original import example_of, ladder_of
from niwaki.evaluation.compression.proposing.importance import importance, looked_at
from niwaki.evaluation.compression.proposing.masked_oracle import MaskedOracle, Ranked
from niwaki.evaluation.compression.proposing.prices import MacsPrice
from niwaki.evaluation.compression.settings import PruningSettings
from niwaki.evaluation.devices import to_tensors
from niwaki.export.torch_outputs import named_outputs
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.losses import task_losses, total_loss

LEAST_SHARE = 0.125
_N_PAGCP_JUDGED = 128
_MOST_PAGCP_ROUNDS = 6
_N_BISECTIONS = 12
_N_GRADIENT_BATCHES, _GRADIENT_BATCH = 16, 32


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained network that is to be pruned.

    Attributes:
        module: In evaluation mode; no arm changes it.
        data: Its tasks, in the order of its outputs.
        seed: Of everything random.
        grain: Multiple of channels that ours keeps to.
    """

    module: nn.Module
    data: TaskData
    seed: int
    grain: int = 1
    groups: ChannelGroups = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", analyse(self.module, example_of(self.data)))

    @property
    def macs(self) -> float:
        """Multiply-accumulates of the whole network."""
        return float(self.groups.costs.macs(self.groups.costs.whole))


@dataclass(frozen=True, eq=False)
class Pruned:
    """What an arm made.

    Attributes:
        module: Not fine-tuned yet.
        cpu_seconds: Of the search, without fine-tuning.
        n_judged: Networks that an oracle looked at.
        settings: That were found on the way, such as a ratio.
    """

    module: nn.Module
    cpu_seconds: float
    n_judged: int = 0
    settings: str = ""


Arm = Callable[[Subject, float], Pruned]


def macs_of(module: nn.Module, data: TaskData) -> float:
    """Return the multiply-accumulates of one input, by one counter for all arms."""
    groups = analyse(module, example_of(data), settings=AnalysisSettings(verify=False))
    return float(groups.costs.macs(groups.costs.whole))


def uniform_l1(subject: Subject, budget: float) -> Pruned:
    """Prune the same share of every layer by torch-pruning, the weakest by L1."""
    return _torch_pruning(subject, budget, taylor=False, is_global=False)


def global_l1(subject: Subject, budget: float) -> Pruned:
    """Prune the weakest of all layers by L1, by torch-pruning."""
    return _torch_pruning(subject, budget, taylor=False, is_global=True)


def global_taylor(subject: Subject, budget: float) -> Pruned:
    """Prune the weakest of all layers by first-order Taylor, by torch-pruning."""
    return _torch_pruning(subject, budget, taylor=True, is_global=True)


def pagcp(subject: Subject, budget: float) -> Pruned:
    """Prune by PAGCP as published, run on its own result until the budget is met.

    It knows no budgets, so what the last round removes beyond this one is given back, the same
    share to all. There is no fine-tuning between rounds: no arm has more of it than another.
    """
    started = time.process_time()
    ranked = Ranked(subject.groups, score_groups(L1(), subject.module, subject.groups))
    oracle = MaskedOracle(
        copy.deepcopy(subject.module),
        ranked,
        subject.data,
        n_items=_N_PAGCP_JUDGED,
    )
    price, ladder = MacsPrice(subject.groups.costs), _ladder(subject, n_steps=20)
    found, n_rounds = Pagcp(oracle, price, ladder).allocate(), 1
    n_judged = found.n_judged
    while found.cost > budget and n_rounds < _MOST_PAGCP_ROUNDS:
        ladder = _up_to(ladder, found.counts)
        found, n_rounds = Pagcp(oracle, price, ladder).allocate(), n_rounds + 1
        n_judged += found.n_judged
    counts = _given_back(subject, ladder.whole, found.counts, budget)
    module = apply_plan(subject.module, ranked.plan(counts))
    return Pruned(module, time.process_time() - started, n_judged, f"{n_rounds} rounds")


def niwaki(subject: Subject, budget: float) -> Pruned:
    """Prune by our default."""
    started = time.process_time()
    settings = PruningSettings()
    scores = importance(subject.module, subject.groups, subject.data, seed=subject.seed)
    ranked = Ranked(subject.groups, scores)
    data = subject.data
    inputs = looked_at(data, settings.n_compensation, seed=subject.seed)
    moments = input_moments(subject.module, inputs)
    oracle = MaskedOracle(
        copy.deepcopy(subject.module),
        ranked,
        data,
        recalibration=looked_at(data, settings.n_recalibration, seed=subject.seed),
        moments=moments,
        n_items=settings.n_judged,
    )
    price = MacsPrice(subject.groups.costs)
    ladder = _ladder(subject, n_steps=settings.n_steps)
    found = GreedyAllocator(oracle, price, ladder, settings.greedy).allocate(budget)
    module = compensated(subject.module, ranked.plan(found.counts), moments)
    return Pruned(module, time.process_time() - started, found.n_judged)


ARMS: Mapping[str, Arm] = {
    "uniform L1": uniform_l1,
    "global L1": global_l1,
    "global Taylor": global_taylor,
    "PAGCP": pagcp,
    "niwaki": niwaki,
}


def _ladder(subject: Subject, *, n_steps: int) -> Ladder:
    return ladder_of(subject.groups, subject.grain, least_share=LEAST_SHARE, n_steps=n_steps)


def _up_to(ladder: Ladder, counts: Counts) -> Ladder:
    """Return the ladder of a network that keeps `counts`."""
    return Ladder(
        tuple(
            tuple(step for step in steps if step <= count)
            for steps, count in zip(ladder.steps, counts, strict=True)
        )
    )


def _given_back(subject: Subject, before: Counts, after: Counts, budget: float) -> Counts:
    """Return the smallest equal share of a removal that meets the budget; all if none does."""
    costs = subject.groups.costs
    for share in np.linspace(0.0, 1.0, 201):
        scaled: Counts = np.floor(before - share * (before - after) + 1e-9).astype(np.int64)
        if float(costs.macs(scaled)) <= budget:
            return scaled
    return after


def _torch_pruning(subject: Subject, budget: float, *, taylor: bool, is_global: bool) -> Pruned:
    """Prune by the smallest ratio that meets the budget; channel ratios are all it takes.

    A uniform ratio moves in leaps where layers are narrow: as many layers as the budget allows, the
    first ones, get the next smaller ratio.
    """
    started = time.process_time()
    gradients = _gradients(subject) if taylor else {}

    def pruned(ratio: float, milder: float = 0.0, n_milder: int = 0) -> tuple[nn.Module, bool]:
        ratios = (ratio, milder, n_milder)
        module = _pruned_by_ratio(subject, ratios, gradients, is_global=is_global)
        return module, macs_of(module, subject.data) <= budget

    low, high = 0.0, 1.0 - LEAST_SHARE
    best, fits = pruned(high)
    if not fits:
        raise RuntimeError(f"torch-pruning does not reach {budget:.3g} MACs at any ratio")
    for _ in range(_N_BISECTIONS):
        module, fits = pruned(0.5 * (low + high))
        low, high = (low, 0.5 * (low + high)) if fits else (0.5 * (low + high), high)
        best = module if fits else best
    most, n_milder = len(_layers(subject.module)), 0
    while not is_global and most - n_milder > 1:
        middle = (n_milder + most) // 2
        module, fits = pruned(high, low, middle)
        n_milder, most = (middle, most) if fits else (n_milder, middle)
        best = module if fits else best
    return Pruned(best, time.process_time() - started, settings=f"ratio {high:.3f}")


def _layers(module: nn.Module) -> list[nn.Module]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def _pruned_by_ratio(
    subject: Subject,
    ratios: tuple[float, float, int],
    gradients: Mapping[str, torch.Tensor],
    *,
    is_global: bool,
) -> nn.Module:
    """Prune a copy.

    Args:
        subject: Whose.
        ratios: For all layers; another, and how many of the first layers get that one.
        gradients: For Taylor; L1 if there are none.
        is_global: Whether layers compete.
    """
    import torch_pruning

    ratio, milder, n_milder = ratios
    module = copy.deepcopy(subject.module)
    for name, parameter in module.named_parameters():
        parameter.grad = gradients[name].clone() if name in gradients else None
    importances: Any = torch_pruning.importance
    criterion = (
        importances.TaylorImportance() if gradients else importances.MagnitudeImportance(p=1)
    )
    pruner = torch_pruning.pruner.BasePruner(
        module,
        example_inputs=example_of(subject.data),
        importance=criterion,
        global_pruning=is_global,
        pruning_ratio=ratio,
        pruning_ratio_dict=dict.fromkeys(_layers(module)[:n_milder], milder) if n_milder else None,
        max_pruning_ratio=1.0 - LEAST_SHARE,
        ignored_layers=_last_layers(module),
    )
    pruner.step()
    for parameter in module.parameters():
        parameter.grad = None
    return module.eval()


def _last_layers(module: nn.Module) -> list[nn.Module]:
    """Return the layers that compute the outputs: the last plain ones of each head."""
    return [
        layer
        for path, layer in module.named_modules()
        if path.endswith((".out", ".fc")) and isinstance(layer, nn.Conv2d | nn.Linear)
    ]


def _gradients(subject: Subject) -> dict[str, torch.Tensor]:
    """Return gradients of the sum of the tasks' losses over some batches."""
    module = copy.deepcopy(subject.module)
    losses, names = task_losses(subject.data), [task.name for task in subject.data.tasks]
    rng = stream(subject.seed, "gradients")
    batches = subject.data[SplitName.TRAIN].batches(_GRADIENT_BATCH, rng=rng)
    for _, batch in zip(range(_N_GRADIENT_BATCHES), batches, strict=False):
        inputs, targets = to_tensors(batch, torch.device("cpu"))
        loss = total_loss(losses, named_outputs(module(inputs), names), targets)
        loss.backward()  # type: ignore[no-untyped-call]
    return {n: p.grad.detach() for n, p in module.named_parameters() if p.grad is not None}

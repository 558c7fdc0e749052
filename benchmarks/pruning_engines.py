"""Two pruning engines behind one function: what became of a model of which half should go."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from niwaki.compress.pruning import (
    AnalysisSettings,
    ChannelGroup,
    ChannelGroups,
    allowed_counts,
    analyse,
    apply_plan,
    masked,
)
from niwaki.compress.pruning.criteria import L1, score_groups
from niwaki.compress.pruning.model_calls import call_model, named_tensors
from niwaki.compress.pruning.ranking import best_units

TOLERANCE = 1e-3
VERDICTS = ("right", "refused", "error", "broken", "wrong")


@dataclass(frozen=True)
class Outcome:
    """What one engine did with one model.

    Attributes:
        verdict: right: smaller, runs, and computes what the masked original does; refused: nothing
            pruned; error: it raised, and the model given still works; broken: the model it leaves
            does not run, or the model given was damaged; wrong: runs, and computes something else.
        left: Share of the parameters that is left.
        seconds: Of the processor, to find the groups.
        total_seconds: With proofs, where the engine makes any, and the pruning itself.
        note: What went wrong.
        module: The smaller model, if there is one.
    """

    verdict: str
    left: float = 1.0
    seconds: float = 0.0
    total_seconds: float = 0.0
    note: str = ""
    module: nn.Module | None = None


Engine = Callable[[nn.Module, Any, bool], Outcome]


def outputs_of(module: nn.Module, inputs: Any) -> dict[str, Tensor]:
    """Run a model, and return its outputs by name."""
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        return dict(named_tensors(call_model(module, inputs)))


def n_parameters(module: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def paths_of(module: nn.Module) -> dict[nn.Module, str]:
    """Return the path of every module."""
    return {child: path for path, child in module.named_modules()}


def _about_half(groups: ChannelGroups, group: ChannelGroup) -> int:
    half = max(1, group.n_units // 2)
    return min(allowed_counts(groups, group.name), key=lambda n: abs(n - half))


def niwaki_engine(module: nn.Module, inputs: Any, exact: bool) -> Outcome:
    """Prune half of each group by niwaki; the weakest by L1."""
    del exact  # masks leave removed channels out of norms, so that all is compared
    before = outputs_of(module, inputs)
    try:
        analyse(module, inputs, settings=AnalysisSettings(verify=False))
        started = time.process_time()
        analyse(module, inputs, settings=AnalysisSettings(verify=False))
        seconds = time.process_time() - started
        started = time.process_time()
        groups = analyse(module, inputs)
        counts = {group.name: _about_half(groups, group) for group in groups.groups}
        plan = groups.plan(best_units(score_groups(L1(), module, groups), counts))
        smaller = apply_plan(module, plan)
        total = time.process_time() - started
        with masked(module, plan):
            expected = outputs_of(module, inputs)
    except Exception as error:  # an engine may raise anything: that is one of the verdicts
        return _after_error(module, inputs, before, error)
    left = n_parameters(smaller) / n_parameters(module)
    if _differs(before, outputs_of(module, inputs)):
        return Outcome("broken", left, seconds, total, "the model given was damaged")
    return _judged(smaller, inputs, expected, Outcome("", left, seconds, total))


def torch_pruning_engine(module: nn.Module, inputs: Any, exact: bool) -> Outcome:
    """Prune half of each group by torch-pruning with its defaults; the weakest by L1.

    It prunes in place, group by group; before each, the slices that will go are zeroed, which gives
    the masked model. It is told nothing about attention heads.
    """
    import torch_pruning

    given, before = copy.deepcopy(module), outputs_of(module, inputs)
    reference = copy.deepcopy(module)
    paths = paths_of(given)
    last = _last_layers(module, inputs)
    ignored = [given.get_submodule(paths_of(module)[layer]) for layer in last]
    started = time.process_time()
    try:
        pruner = torch_pruning.pruner.BasePruner(
            given,
            example_inputs=inputs,
            importance=torch_pruning.importance.MagnitudeImportance(p=1),
            pruning_ratio=0.5,
            ignored_layers=ignored,
        )
        seconds = time.process_time() - started
        originals = _Originals(reference)
        for group in pruner.step(interactive=True):
            originals.zero(group, paths)
            group.prune()
        total = time.process_time() - started
    except Exception as error:  # an engine may raise anything: that is one of the verdicts
        return _after_error(given.eval(), inputs, before, error)
    left = n_parameters(given) / n_parameters(module)
    outcome = Outcome("", left, seconds, total)
    if not exact or not originals.complete:
        return _judged(given.eval(), inputs, None, outcome)
    return _judged(given.eval(), inputs, outputs_of(reference, inputs), outcome)


class _Originals:
    """A copy of a model in which what another engine removes is zeroed by original number."""

    def __init__(self, reference: nn.Module) -> None:
        self._layers = dict(reference.named_modules())
        self._alive: dict[tuple[str, str, int], list[int]] = {}
        self.complete = True

    def zero(self, group: Any, paths: dict[nn.Module, str]) -> None:
        for dependency, indices in group:
            path = paths.get(dependency.target.module)
            if path is None:
                self.complete = self.complete and not isinstance(
                    dependency.target.module, nn.Parameter
                )
                continue
            layer = self._layers[path]
            is_out = "out" in dependency.handler.__name__
            for name, dim in _slices(layer, is_out):
                self._zero(layer, (path, name, dim), indices)

    def _zero(self, layer: nn.Module, key: tuple[str, str, int], indices: list[int]) -> None:
        parameter = getattr(layer, key[1], None)
        if parameter is None or key[2] >= parameter.ndim:
            return
        alive = self._alive.setdefault(key, list(range(parameter.shape[key[2]])))
        if max(indices, default=0) >= len(alive):
            return
        gone = sorted({alive[i] for i in indices})
        with torch.no_grad():
            parameter.index_fill_(key[2], torch.tensor(gone, dtype=torch.long), 0.0)
        self._alive[key] = [i for i in alive if i not in set(gone)]


def _slices(layer: nn.Module, is_out: bool) -> list[tuple[str, int]]:
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    if isinstance(layer, nn.Embedding):
        return [("weight", 1)]
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear) or transposed:
        groups = getattr(layer, "groups", 1)
        if groups > 1 and groups == getattr(layer, "in_channels", 0):
            return [("weight", 0), ("bias", 0)]
        if is_out:
            return [("weight", 1 if transposed else 0), ("bias", 0)]
        return [("weight", 0 if transposed else 1)] if groups == 1 else []
    return [("weight", 0), ("bias", 0)]


def _last_layers(module: nn.Module, inputs: Any) -> list[nn.Module]:
    """Return the layers that compute the outputs, which users of that engine have to name."""
    refused = analyse(module, inputs, settings=AnalysisSettings(verify=False)).refused
    paths = {
        refusal.name.rpartition(".")[0]
        for refusal in refused
        if refusal.reason.startswith("they are the model's output")
    }
    return [child for path, child in module.named_modules() if path in paths]


def _judged(
    smaller: nn.Module, inputs: Any, expected: dict[str, Tensor] | None, outcome: Outcome
) -> Outcome:
    """Run the smaller model, and compare; without `expected` only shapes and finiteness are."""
    try:
        got = outputs_of(smaller, inputs)
    except Exception as error:  # a broken model may raise anything: that is one of the verdicts
        return _with(outcome, "broken", f"{type(error).__name__}: {error}", None)
    if outcome.left > 0.999:
        return _with(outcome, "refused", "", smaller)
    if expected is None:
        finite = all(bool(t.isfinite().all()) for t in got.values())
        return _with(outcome, "right" if finite else "wrong", "", smaller)
    if _differs(expected, got):
        return _with(outcome, "wrong", "differs from the masked model", smaller)
    return _with(outcome, "right", "", smaller)


def _with(outcome: Outcome, verdict: str, note: str, module: nn.Module | None) -> Outcome:
    return Outcome(
        verdict, outcome.left, outcome.seconds, outcome.total_seconds, note[:100], module
    )


def _after_error(
    module: nn.Module, inputs: Any, before: dict[str, Tensor], error: Exception
) -> Outcome:
    note = f"{type(error).__name__}: {error}"[:100]
    try:
        damaged = _differs(before, outputs_of(module, inputs))
    except Exception:  # a broken model may raise anything: that is one of the verdicts
        damaged = True
    return Outcome("broken" if damaged else "error", note=note)


def _differs(expected: dict[str, Tensor], got: dict[str, Tensor]) -> bool:
    if {n: t.shape for n, t in expected.items()} != {n: t.shape for n, t in got.items()}:
        return True
    for name, value in expected.items():
        spread = float((value.double() - value.double().mean()).abs().max()) or 1.0
        worst = float((value.double() - got[name].double()).abs().max())
        if not worst <= TOLERANCE * spread:
            return True
    return False


ENGINES: dict[str, Engine] = {"niwaki": niwaki_engine, "torch-pruning": torch_pruning_engine}

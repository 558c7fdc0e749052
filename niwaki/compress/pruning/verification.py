"""Proof by trial: a pruned copy must compute what the masked original computes."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.groups import ChannelGroup, ChannelGroups, RuledOut
from niwaki.compress.pruning.masking import masked
from niwaki.compress.pruning.model_calls import (
    Inputs,
    call_model,
    in_evaluation,
    mapped,
    move_floats,
    named_tensors,
    repeatable,
)
from niwaki.compress.pruning.plan import PruningPlan
from niwaki.compress.pruning.provenance import tensors_in
from niwaki.compress.pruning.rebuilding import apply_plan
from niwaki.core.randomness import stream

_TOLERANCES = {torch.float64: 1e-8, torch.float32: 1e-3}
_N_DRAWS = 2
_N_SAMPLED = 3  # of the groups of like blocks


@dataclass(frozen=True)
class Failure:
    """Why a group cannot be removed."""

    group: str
    reason: str


@dataclass(frozen=True, eq=False)
class Bench:
    """A copy of a model to try plans on.

    Attributes:
        module: In evaluation mode, with random values in place of trained ones where it works.
        inputs: Of a matching type.
        tolerance: Largest difference, relative to the spread of an output.
        in_training: Whether smaller models have to run in training mode too.
    """

    module: nn.Module
    inputs: Inputs
    tolerance: float
    in_training: bool = False

    def difference(self, plan: PruningPlan) -> str:
        """Return what is wrong with a plan; empty if the pruned model is the masked one."""
        with torch.no_grad():
            smaller = apply_plan(self.module, plan)
            try:  # first, since plans that are wrong mostly end here
                got = dict(named_tensors(_seeded(smaller, self.inputs)))
            except Exception as error:  # of the model's own code, which may raise anything
                return f"the smaller model fails: {_first_line(error)}"
            with masked(self.module, plan):
                expected = dict(named_tensors(_seeded(self.module, self.inputs)))
        return _compared(expected, got, self.tolerance) or self._in_training(smaller)

    def _in_training(self, smaller: nn.Module) -> str:
        """Return why a model that can be trained cannot any more; empty if nothing is wrong."""
        if not self.in_training:
            return ""
        try:
            smaller.train()
            with torch.no_grad():
                _seeded(smaller, self.inputs)
        except Exception as error:  # of the model's own code, which may raise anything
            return f"the smaller model fails in training: {_first_line(error)}"
        return ""


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:160] if str(error) else ''}"


def _seeded(module: nn.Module, inputs: Inputs) -> Any:
    with repeatable(module):
        return call_model(module, inputs)


def _compared(expected: dict[str, Tensor], got: dict[str, Tensor], tolerance: float) -> str:
    if not any(whole.numel() for whole in expected.values()):
        return "the outputs have no elements on the example inputs, so that nothing can be compared"
    for name, whole in expected.items():
        small, output = got.get(name), f"output '{name}'" if name else "the output"
        if small is None or small.shape != whole.shape:
            return f"{output} changes its shape to {None if small is None else small.shape}"
        if not whole.numel():
            continue
        if not _is_real_or_complex(whole):
            if not torch.equal(whole, small):
                return f"{output} differs from the masked model's"
            continue
        whole, small = whole.detach(), small.detach()  # views of parameters have a history
        spread = float((whole - whole.mean()).abs().max()) or 1.0
        worst = float((small - whole).abs().max()) / spread
        if not worst <= tolerance:
            return f"{output} differs by {worst:.1e} of its spread from the masked model"
    return ""


def _is_real_or_complex(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def benches_for(
    module: nn.Module, inputs: Inputs, *, seed: int, in_training: bool = False
) -> tuple[Bench, ...]:
    """Return the strictest benches on which the whole model gives finite values: one or two.

    Random values make the proof strong: trained or fresh models have layers whose gain is zero,
    behind which nothing could be seen. But they may drive an attention to where all that it reads
    is alike, so that the model's own are tried as well. Double precision makes rounding small.
    Models that bear neither are tried as they are.
    """
    drawn, own = (_strictest(module, inputs, seed=each) for each in (seed, None))
    found = [each for each in (drawn, own) if each is not None]
    found = found or [_bench(module, inputs, dtype=None, seed=None)]
    return tuple(replace(each, in_training=in_training) for each in found)


def _strictest(module: nn.Module, inputs: Inputs, *, seed: int | None) -> Bench | None:
    for dtype in (torch.float64, None):
        on = _bench(module, inputs, dtype=dtype, seed=seed)
        narrowing = _Narrowing()
        if _is_finite(on, narrowing) or _is_finite(on, nullcontext()):
            coarsest = _TOLERANCES[torch.float32] if narrowing.seen else on.tolerance
            return replace(on, tolerance=coarsest)
    return None


def _is_finite(on: Bench, watch: AbstractContextManager[object]) -> bool:
    """Whether the whole model runs, and gives finite values."""
    try:
        with torch.no_grad(), watch:
            results = dict(named_tensors(_seeded(on.module, on.inputs)))
    except Exception:  # of the model's own code, which may raise anything
        return False
    return all(bool(t.isfinite().all()) for t in results.values() if _is_real_or_complex(t))


class _Narrowing(TorchFunctionMode):
    """Sees whether a part of a model computes in less precision than the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = False

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if not self.seen and _is_narrower(tensors_in(out), tensors_in((args, kwargs or {}))):
            self.seen = True
        return out


def _is_narrower(results: list[Tensor], arguments: list[Tensor]) -> bool:
    floats = [t.element_size() for t in results if t.is_floating_point()]
    sources = [t.element_size() for t in arguments if t.is_floating_point()]
    return bool(floats and sources) and min(floats) < max(sources)


def _bench(
    module: nn.Module, inputs: Inputs, *, dtype: torch.dtype | None, seed: int | None
) -> Bench:
    random = None if seed is None else stream(seed, "verification")
    drawn = {} if random is None else _drawn_parameters(module, random, dtype)
    copy = in_evaluation(copied(module, replaced=drawn))
    copy = copy if dtype is None else copy._apply(_in_double)  # type: ignore[no-untyped-call]
    inputs = inputs if dtype is None else move_floats(inputs, dtype)
    if random is not None:
        _randomise_statistics(copy, random)
        inputs = mapped(inputs, lambda t: _jittered(t, random))
    return Bench(copy, inputs, _TOLERANCES[torch.float64 if dtype else torch.float32])


def _in_double(tensor: Tensor) -> Tensor:
    """Return numbers in double precision, complex ones as such: `Module.to` drops half of them."""
    if tensor.is_complex():
        return tensor.to(torch.complex128)
    return tensor.double() if tensor.is_floating_point() else tensor


def _jittered(tensor: Tensor, random: np.random.Generator) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    return tensor + torch.from_numpy(random.standard_normal(tuple(tensor.shape))).to(tensor)


def _drawn_parameters(
    module: nn.Module, random: np.random.Generator, dtype: torch.dtype | None
) -> dict[int, Tensor]:
    """Return random parameters in place of a model's, by their id, made in the right type at once.

    Those of many dimensions are uniform around zero, of the spread that keeps signals as large.
    """
    drawn: dict[int, Tensor] = {}
    for parameter in module.parameters():
        if not parameter.is_floating_point() or type(parameter) is not nn.Parameter:
            continue
        if parameter.ndim > 1:
            fan_in = max(parameter.numel() // max(len(parameter), 1), 1)
            noise = torch.from_numpy(random.random(tuple(parameter.shape), np.float32))
            values = noise.sub_(0.5).mul_((24.0 / fan_in) ** 0.5)
        else:
            noise = torch.from_numpy(random.standard_normal(tuple(parameter.shape)))
            values = 0.25 * noise + parameter.detach().cpu().clamp(-2, 2).double()
        values = values.to(parameter.device, dtype or parameter.dtype)
        drawn[id(parameter)] = nn.Parameter(values, parameter.requires_grad)
    return drawn


def _randomise_statistics(module: nn.Module, random: np.random.Generator) -> None:
    with torch.no_grad():
        for child in module.modules():
            if isinstance(child, nn.modules.batchnorm._NormBase) and child.running_var is not None:
                assert child.running_mean is not None
                n = len(child.running_var)
                child.running_mean.copy_(torch.from_numpy(0.2 * random.standard_normal(n)))
                child.running_var.copy_(torch.from_numpy(0.5 + random.random(n)))


def failures(
    benches: Sequence[Bench], groups: ChannelGroups, *, seed: int, unsure: Collection[str] = ()
) -> list[Failure]:
    """Return the groups that cannot be removed as they were found.

    All groups are tried together first, with a different share of each so that sizes cannot fit by
    chance; only if that fails are they tried in smaller sets, each together with all that are known
    to be good. Of groups of like blocks, a sample that fails for one reason speaks for all. In the
    end, those that are left have passed every draw together, on every bench.

    Args:
        benches: Where plans are tried.
        groups: As they were found.
        seed: Of the shares.
        unsure: Names of groups that there is another way for, which fail more often than others.
    """
    failed: list[Failure] = []
    left = list(groups.groups)
    first, *others = benches
    trials = [*((first, draw) for draw in range(_N_DRAWS)), *((on, 0) for on in others)]
    to_do = list(trials)
    while left and to_do:
        on, draw = to_do.pop(0)
        sure = [group for group in left if group.name not in unsure]
        tried = [sure, [group for group in left if group.name in unsure]]
        wrong = _sifted(on, groups, [each for each in tried if each], seed=seed, draw=draw)
        if wrong:
            failed += wrong
            names = {failure.group for failure in wrong}
            left = [group for group in left if group.name not in names]
            to_do = [each for each in trials if each != (on, draw)]
    return failed


def _sifted(
    on: Bench, groups: ChannelGroups, candidates: list[list[ChannelGroup]], *, seed: int, draw: int
) -> list[Failure]:
    """Return those of the candidates that cannot go, by one draw; the others go together.

    If not all can, one list of candidates is sifted after the other.
    """
    accepted: list[ChannelGroup] = []
    failed: list[Failure] = []

    def wrong(tried: Iterable[ChannelGroup]) -> str:
        return on.difference(random_plan(groups, [*accepted, *tried], seed=seed, draw=draw))

    def sift(alike: list[list[ChannelGroup]]) -> None:
        tried = [group for each in alike for group in each]
        reason = wrong(tried)
        if not reason:
            accepted.extend(tried)
        elif len(tried) == 1:
            failed.append(Failure(tried[0].name, reason))
        elif len(alike) > 1:
            sift(alike[: len(alike) // 2])
            sift(alike[len(alike) // 2 :])
        elif why := common_cause(tried):
            failed.extend(Failure(group.name, why) for group in tried)
        else:
            sift([tried[: len(tried) // 2]])
            sift([tried[len(tried) // 2 :]])

    def common_cause(tried: list[ChannelGroup]) -> str:
        if len(tried) <= _N_SAMPLED:
            return ""
        sample = [tried[0], tried[len(tried) // 2], tried[-1]]
        reasons = [wrong([group]) for group in sample]
        return reasons[0] if len({without_numbers(why) for why in reasons}) == 1 else ""

    places = [_by_place(each) for each in candidates]
    if len(places) == 1 or wrong(group for each in candidates for group in each):
        for each in places:
            sift(each)
    return failed


def without_harmless(
    benches: Sequence[Bench], groups: ChannelGroups, *, seed: int
) -> ChannelGroups:
    """Return groups that may keep what a comparison rules out where nothing else comes of it.

    Each is tried with the most units that the comparison rules out; one of like blocks speaks for
    all.
    """
    harmless: dict[tuple[str, str, tuple[int, ...]], bool] = {}

    def matters(group: ChannelGroup, each: RuledOut) -> bool:
        key = without_numbers(group.name), without_numbers(each.because), each.counts
        if key not in harmless:
            rng = stream(seed, "verification", group.name, each.counts[-1])
            units = np.sort(rng.choice(group.n_units, each.counts[-1], replace=False))
            plan = groups.plan_to_try({group.name: units})
            harmless[key] = not any(on.difference(plan) for on in benches)
        return not harmless[key]

    free = [
        replace(group, ruled_out=tuple(each for each in group.ruled_out if matters(group, each)))
        for group in groups.groups
    ]
    return replace(groups, groups=tuple(free))


def _by_place(groups: list[ChannelGroup]) -> list[list[ChannelGroup]]:
    """Return groups of like blocks together."""
    alike: dict[str, list[ChannelGroup]] = defaultdict(list)
    for group in groups:
        alike[without_numbers(group.name)].append(group)
    return list(alike.values())


def without_numbers(text: str) -> str:
    """Return what is equal for like blocks: `blocks.*.fc` for `blocks.3.fc`."""
    return re.sub(r"\d+", "*", text)


def random_plan(
    groups: ChannelGroups, chosen: list[ChannelGroup], *, seed: int, draw: int
) -> PruningPlan:
    """Return a plan that keeps a random half or so of each chosen group."""
    kept = {}
    for group in chosen:
        rng = stream(seed, "verification", group.name, draw)
        least, most = max(1, group.n_units // 3), max(1, group.n_units - 1)
        drawn = int(rng.integers(least, min(most, (2 * group.n_units + 2) // 3), endpoint=True))
        free = [n for n in range(1, group.n_units) if n not in group.not_allowed]
        n_kept = min(free, key=lambda n: abs(n - drawn))
        kept[group.name] = np.sort(rng.choice(group.n_units, n_kept, replace=False))
    return groups.plan(kept)

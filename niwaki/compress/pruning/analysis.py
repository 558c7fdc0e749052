"""The analysis of a model: which channels can be removed, proven on a copy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.pruning.assembly import Assembled, Signature, assemble, signature_of
from niwaki.compress.pruning.atoms import AxisKind
from niwaki.compress.pruning.cached_functions import Cached, cached_functions, forgetful
from niwaki.compress.pruning.call_sites import CallSite
from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.groups import ChannelGroups
from niwaki.compress.pruning.model_calls import Inputs, in_evaluation, let_forget
from niwaki.compress.pruning.provenance import Choice
from niwaki.compress.pruning.solution import Solution, solve
from niwaki.compress.pruning.tracer import Trace, trace
from niwaki.compress.pruning.unfollowed import Unfollowed
from niwaki.compress.pruning.verification import (
    Bench,
    benches_for,
    failures,
    without_harmless,
    without_numbers,
)
from niwaki.core.errors import DataError
from niwaki.core.limits import require_at_least

_N_KINDS = 6  # of places where another option is tried alone


@dataclass(frozen=True)
class AnalysisSettings:
    """How a model is analysed.

    Attributes:
        verify: Whether groups are proven on a copy. Without, what the code does with constant sizes
            is not seen, and a plan may not run.
        seed: Of the random values that proofs are made with.
        max_traces: How many times another way is tried where a group fails its proof.

    Raises:
        ConfigError: If `max_traces` is below 1.
    """

    verify: bool = True
    seed: int = 0
    max_traces: int = 6

    def __post_init__(self) -> None:
        require_at_least(self, {"max_traces": 1})


def analyse(
    module: nn.Module, inputs: Inputs, *, settings: AnalysisSettings | None = None
) -> ChannelGroups:
    """Find the channels of a model that can be removed.

    The model is copied, run once on the inputs, and every element of every tensor is traced to the
    channel that it came from. Then half of each group is removed from copies, one with random
    weights and one with the model's own, which must compute what the masked original does; where
    they do not, another way of removing is tried, and at last the group is left alone with the
    reason.

    Args:
        module: Any model, in any mode, which is not changed in any way.
        inputs: One tensor, a tuple of positional arguments, or a mapping of keyword arguments, as
            the model takes them. A batch of one or two examples is enough.
        settings: How.

    Raises:
        DataError: If the model fails on these inputs, or returns no tensor.
    """
    settings = settings or AnalysisSettings()
    model = in_evaluation(copied(module))
    let_forget(model)
    subject = _Subject.of(model, inputs)
    choices: dict[CallSite, int] = {}
    tried = _tried(subject, choices, Unfollowed())
    tried, choices = _opened(subject, tried, choices)
    refused: dict[Signature, str] = {}
    benches: tuple[Bench, ...] = ()
    for attempt in range(settings.max_traces):
        if attempt:
            tried = _tried(subject, choices, tried.unfollowed)
        tried, choices = _told_apart(subject, tried, choices)
        traced, found = tried.traced, tried.found
        if not settings.verify:
            break
        if not benches:
            seed, in_training = settings.seed, traced.in_training
            benches = benches_for(model, inputs, seed=seed, in_training=in_training)
        decided = tried.decided
        wrong = failures(benches, found.groups, seed=settings.seed, unsure=decided)
        failed = {failure.group: failure.reason for failure in wrong}
        axes = traced.state.atoms.axes
        refused = {signature_of(found.groups[name], axes): why for name, why in failed.items()}
        is_last = attempt == settings.max_traces - 1
        flipped = False if is_last else _flip(decided, list(failed), choices)
        if not flipped:
            if refused:
                found = assemble(traced, tried.solution, refused=refused)
            break
    if not benches:
        return found.groups
    return without_harmless(benches, found.groups, seed=settings.seed)


@dataclass(frozen=True, eq=False)
class _Subject:
    """What is analysed.

    Attributes:
        model: In evaluation mode.
        inputs: As it takes them.
        cached: Functions that it asks, which remember what they gave for sizes.
    """

    model: nn.Module
    inputs: Inputs
    cached: tuple[Cached, ...]

    @classmethod
    def of(cls, model: nn.Module, inputs: Inputs) -> "_Subject":
        """Call the model once.

        Raises:
            DataError: If it fails on these inputs.
        """
        try:
            with torch.no_grad():
                return cls(model, inputs, cached_functions(model, inputs))
        except Exception as error:  # of the model's own code, which may raise anything
            raise DataError(
                f"the model fails on the example inputs: {type(error).__name__}: {error}. Give "
                "inputs as the model takes them: one tensor, a tuple of positional arguments, or a "
                "mapping of keyword arguments"
            ) from error


@dataclass(frozen=True, eq=False)
class _Tried:
    """What one way of taking options leads to, before anything is proven.

    Attributes:
        traced: The pass.
        unfollowed: How far the model bore being watched.
        solution: Classes of what can only go together.
        found: All groups.
    """

    traced: Trace
    unfollowed: Unfollowed
    solution: Solution
    found: Assembled

    @property
    def n_movable(self) -> int:
        """Indices of parameters that can go."""
        return sum(m.indices.size for group in self.found.groups.groups for m in group.tensors)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Every place where there is another option."""
        return (*self.traced.state.alternatives, *self.solution.choices)

    @property
    def closed(self) -> list[Choice]:
        """Places where nothing can go by the option that was taken."""
        going = np.zeros(len(self.solution.root), bool)
        for roots in self.found.roots.values():
            going[roots] = True
        return [c for c in self.choices if not c.first and not going[self._roots(c)].any()]

    @property
    def bound(self) -> list[Choice]:
        """Those of the places where nothing can go whose channels could, but only all at once."""
        loose = np.zeros(len(self.solution.root), bool)
        for axis in self.traced.state.atoms.axes:
            if axis.kind is AxisKind.TENSOR:
                loose[self.solution.root[axis.start : axis.start + axis.size]] = True
        loose &= ~self.solution.pinned
        return [c for c in self.closed if loose[self._roots(c)].any()]

    @property
    def decided(self) -> dict[str, list[Choice]]:
        """The decisions that each group hangs on, by its name, where there are any."""
        touched = [set(self._roots(choice).tolist()) for choice in self.choices]
        near: dict[str, list[Choice]] = {}
        for name, roots in self.found.roots.items():
            mine = roots.tolist()
            for choice, theirs in zip(self.choices, touched, strict=True):
                if not theirs.isdisjoint(mine):
                    near.setdefault(name, []).append(choice)
        return near

    def _roots(self, choice: Choice) -> NDArray[np.int64]:
        """Return the classes that a decision is about."""
        roots: NDArray[np.int64] = self.solution.root[choice.atoms.reshape(-1).numpy()]
        return roots


def _tried(subject: _Subject, choices: dict[CallSite, int], unfollowed: Unfollowed) -> _Tried:
    traced, unfollowed = _traced(subject, choices, unfollowed)
    solution = solve(traced.state)
    return _Tried(traced, unfollowed, solution, assemble(traced, solution, refused={}))


def _opened(
    subject: _Subject, tried: _Tried, choices: dict[CallSite, int]
) -> tuple[_Tried, dict[CallSite, int]]:
    """Take the next option where nothing can go by the one that was taken, if more can go then.

    It is taken at all such places together, and kept at those where something can go then.
    """
    taken = _next_options(tried.closed, choices)
    if not taken:
        return tried, choices
    best, chosen = tried, choices
    by_all = _tried(subject, choices | taken, tried.unfollowed)
    if by_all.n_movable > best.n_movable:
        best, chosen = by_all, choices | taken
    still = {choice.site for choice in by_all.closed}
    helpful = {site: option for site, option in taken.items() if site not in still}
    if helpful and len(helpful) < len(taken):
        by_some = _tried(subject, choices | helpful, by_all.unfollowed)
        if by_some.n_movable >= best.n_movable:
            best, chosen = by_some, choices | helpful
    return best, chosen


def _told_apart(
    subject: _Subject, tried: _Tried, choices: dict[CallSite, int]
) -> tuple[_Tried, dict[CallSite, int]]:
    """Take the next option at like places alone, where channels only go all at once otherwise.

    Whole heads here, and the same channel of each group there, have no part in common.
    """
    best, chosen = tried, choices
    for kind in list(dict.fromkeys(map(_kind, best.bound)))[:_N_KINDS]:
        alike = [choice for choice in best.bound if _kind(choice) == kind]
        options = chosen | _next_options(alike, chosen)
        by_kind = _tried(subject, options, best.unfollowed)
        if by_kind.n_movable > best.n_movable:
            best, chosen = by_kind, options
    return best, chosen


def _next_options(where: Iterable[Choice], choices: Mapping[CallSite, int]) -> dict[CallSite, int]:
    found = {choice: choices.get(choice.site, 0) + 1 for choice in where}
    return {choice.site: option for choice, option in found.items() if option < choice.n_options}


def _kind(choice: Choice) -> tuple[str, int]:
    """Return what is equal for the same place in like blocks."""
    return without_numbers(choice.site.module), choice.site.ordinal


def _traced(
    subject: _Subject, choices: dict[CallSite, int], unfollowed: Unfollowed
) -> tuple[Trace, Unfollowed]:
    """Follow the model as far as it bears being watched, and say how far that is."""
    while True:
        try:
            with forgetful(subject.cached):
                traced = trace(
                    subject.model, subject.inputs, choices=choices, unfollowed=unfollowed
                )
            break
        except Exception as error:  # of the model's own code, which may raise anything
            wider = unfollowed.widened(subject.model, error)
            if wider is None:
                raise DataError(
                    f"the model cannot be watched: {type(error).__name__}: {error}. It runs by "
                    "itself, so that parts of it may be analysed alone"
                ) from error
            unfollowed = wider
    if not traced.outputs:
        raise DataError(
            "the model returns no tensor: it must return a tensor, or tuples, mappings or "
            "dataclasses of tensors"
        )
    if not traced.n_examples:
        raise DataError("the example inputs hold no example: give a batch of one or two")
    return traced, unfollowed


def _flip(
    decided: Mapping[str, list[Choice]], failed: list[str], choices: dict[CallSite, int]
) -> bool:
    """Take the next option wherever a failed group was decided; False if all were tried.

    Options that are to be tried first are taken alone, and given up when they did not help.
    """
    taken = dict(choices)
    for name in failed:
        near = decided.get(name, [])
        untried = [c for c in near if taken.get(c.site, 0) + 1 < c.n_options]
        first = [c for c in untried if c.first]
        choices.update({c.site: taken.get(c.site, 0) + 1 for c in first or untried})
        if not first:
            # As many as there are options means the first again, for good.
            choices.update({c.site: c.n_options for c in near if c.first})
    return choices != taken

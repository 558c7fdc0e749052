"""What schedulers and evaluators answer, checked where it is heard: anybody may write one."""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real

import numpy as np

from niwaki.core.blame import raised_by
from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, StudyError
from niwaki.core.excerpt import excerpt
from niwaki.core.fidelity import Fidelities
from niwaki.core.measurement import LARGEST_VALUE
from niwaki.core.objectives import Objective
from niwaki.evaluation.base import Evaluator
from niwaki.search.schedulers.base import Step
from niwaki.search.vetting import are_candidates
from niwaki.spaces.base import Space
from niwaki.spaces.many import spelled
from niwaki.study.record.history import History

COUNTING_TOLERANCE = 1e-6  # relative: one of two equal counts may be of single precision
COUNTING_NOTHING = 1e-12  # what may be left where the other is 0


def planned(
    answer: object, history: History, fidelities: Fidelities, *, may_start: bool
) -> Step | None:
    """Return the step that a scheduler gave; None if it has none.

    Args:
        answer: Of its `next`.
        history: Of the study so far.
        fidelities: That the evaluator can be asked for.
        may_start: What `next` was told.

    Raises:
        StudyError: If it gave something else, a step that cannot be taken, or none to begin with.
    """
    if answer is None:
        if may_start and not history.asked:
            raise StudyError(
                "`next(may_start=True)` of the scheduler gave None before anything was evaluated, "
                "which ends the search: it must be a Step that starts a new candidate"
            )
        return None
    if not isinstance(answer, Step):
        raise StudyError(
            f"`next` of the scheduler gave {excerpt(repr(answer))}: it must be a Step, or None"
        )
    if not (isinstance(answer.fidelity, Real) and isinstance(answer.candidate, Candidate | None)):
        raise StudyError(
            f"`next` of the scheduler gave {excerpt(repr(answer))}: a Step has a fidelity, which "
            "is a number, and then a Candidate, or None for a new one"
        )
    fault = _fault_of(answer, history, fidelities, may_start=may_start)
    if fault:
        raise StudyError(
            f"`next(may_start={may_start})` of the scheduler gave a step of fidelity "
            f"{answer.fidelity:g}, {fault}"
        )
    return answer


def _fault_of(step: Step, history: History, fidelities: Fidelities, *, may_start: bool) -> str:
    """Return why a step cannot be taken; empty if it can."""
    if not fidelities.allow(step.fidelity):
        known = f"{list(fidelities.levels)}, or any share from {fidelities.any_from:g}"
        return f"but the evaluator can be asked for {known}"
    if step.candidate is None:
        return "" if may_start else "with a new candidate, but there are no more: give None"
    last = history.last_asked(step.candidate)
    if last is None:
        return f"with {step.candidate.key}, which was never begun: give None for a new candidate"
    if last.fidelity >= step.fidelity:
        return f"with {step.candidate.key}, which was asked for at {last.fidelity:g} already"
    return ""


def require_declared(evaluator: Evaluator) -> None:
    """Raise if an evaluator's space, values or fidelities are not what they must be.

    Raises:
        ConfigError: With what it gave, and what is wanted.
    """
    space, values = evaluator.space, evaluator.values
    _require(evaluator, "space", space, isinstance(space, Space), "a niwaki.spaces.base.Space")
    wanted = "one Objective or more, each of another name"
    _require(evaluator, "values", values, _are_objectives(values), wanted)
    levels = evaluator.fidelities
    _require(evaluator, "fidelities", levels, isinstance(levels, Fidelities), "Fidelities")


def require_answers(evaluator: Evaluator) -> None:
    """Raise if an evaluator that is prepared does not answer as it must, asked about its baseline.

    Raises:
        ConfigError: With what it gave, and what is wanted.
    """
    baseline = vetted_baseline(evaluator)
    _require_features(evaluator, baseline)
    initial = evaluator.initial()
    fine = are_candidates(initial)
    _require(evaluator, "initial()", initial, fine, "a tuple of Candidates, or an empty one")
    for candidate in initial:
        fault = evaluator.space.check(candidate)
        _require(evaluator, "initial()", candidate, not fault, f"of its space ({fault})")
    of_it = f"asked about its baseline{_outside(evaluator, baseline)}"
    with raised_by(f"`cheap` of the evaluator, {of_it}"):
        vetted_cheap(evaluator)(baseline)
    with raised_by(f"`identity` of the evaluator, {of_it}"):
        identity = evaluator.identity(baseline)
    _require(evaluator, "identity(candidate)", identity, isinstance(identity, str), "text")


def vetted_baseline(evaluator: Evaluator) -> Candidate:
    """Return the baseline as its space spells it, 3 for 3.0; as it came if it is outside.

    Raises:
        ConfigError: If it is no candidate.
    """
    baseline = evaluator.baseline()
    _require(evaluator, "baseline()", baseline, isinstance(baseline, Candidate), "a Candidate")
    [(own, _)] = spelled(evaluator.space, [baseline])
    return own


def _outside(evaluator: Evaluator, baseline: Candidate) -> str:
    """Return that a baseline is not of its space, and what to do about it; empty if it is."""
    fault = evaluator.space.check(baseline)
    if not fault:
        return ""
    return (
        f", which is outside its space ({fault}): give a baseline of the space, or let the "
        "evaluator answer for this one too"
    )


def vetted_cheap(evaluator: Evaluator) -> Callable[[Candidate], Mapping[str, float]]:
    """Return `cheap` of an evaluator, which raises ConfigError on what it must not answer."""
    names = [value.name for value in evaluator.values]
    wanted = (
        f"finite numbers of at most {LARGEST_VALUE:g} in size, by names of its values "
        f"({', '.join(names)}), without those that are not known"
    )
    known = frozenset(names)

    def cheap(candidate: Candidate) -> Mapping[str, float]:
        counts = evaluator.cheap(candidate)
        is_mapping = isinstance(counts, Mapping)
        _require(evaluator, "cheap(candidate)", counts, is_mapping, f"a mapping: {wanted}")
        odd = {n: count for n, count in counts.items() if n not in known or not _is_sound(count)}
        _require(evaluator, "cheap(candidate)", odd, not odd, wanted)
        return counts

    return cheap


def miscounted(
    candidate: Candidate, counts: Mapping[str, float], values: Mapping[str, float]
) -> str:
    """Return what an evaluator gives differently in `cheap` and in `evaluate`; empty if nothing.

    Args:
        candidate: That both were asked about.
        counts: What `cheap` gave.
        values: What `evaluate` gave.
    """
    for name, count in counts.items():
        value = values.get(name, count)
        if not math.isclose(count, value, rel_tol=COUNTING_TOLERANCE, abs_tol=COUNTING_NOTHING):
            return (
                f"`cheap` of the evaluator says that '{name}' of {candidate.key} is "
                f"{count:.10g}, and `evaluate` that it is {value:.10g}. What is cheap is never "
                "predicted, and turns candidates away unmeasured: let both give the same, or "
                f"leave '{name}' out of `cheap`"
            )
    return ""


def _require_features(evaluator: Evaluator, candidate: Candidate) -> None:
    space = evaluator.space
    if space.check(candidate):  # a baseline may be something else
        return
    found = space.encode([candidate])
    wanted = "an array of shape (1, d) of finite numbers"
    _require(evaluator, "space.encode([candidate])", found, _is_a_finite_row(found), wanted)


def _require(evaluator: Evaluator, asked: str, found: object, fine: bool, wanted: str) -> None:
    if not fine:
        name = type(evaluator).__qualname__
        raise ConfigError(
            f"`{asked}` of the evaluator {name} gave {excerpt(repr(found))}: it must be {wanted}"
        )


def _are_objectives(found: object) -> bool:
    if not isinstance(found, Sequence) or not all(isinstance(each, Objective) for each in found):
        return False
    return 0 < len(found) == len({objective.name for objective in found})


def _is_a_finite_row(found: object) -> bool:
    if not isinstance(found, np.ndarray):
        return False
    return found.ndim == 2 and len(found) == 1 and bool(np.isfinite(found).all())


def _is_sound(count: object) -> bool:
    return isinstance(count, Real) and abs(float(count)) <= LARGEST_VALUE

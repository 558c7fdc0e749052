"""What plug-ins answer to a study, checked where it hears it: anybody may write one."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TypeGuard

import numpy as np

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, StudyError
from niwaki.core.fidelity import Fidelities
from niwaki.core.objectives import Objective
from niwaki.evaluation.base import Evaluator
from niwaki.search.schedulers.base import Step
from niwaki.spaces.base import Space
from niwaki.study.history import History

MAX_SHOWN_CHARACTERS = 80


def proposed(answer: object, space: Space) -> Candidate | None:
    """Return the candidate that a searcher gave when it was asked for one; None if it has no more.

    Raises:
        StudyError: If it gave anything but a list of at most one candidate of the space.
    """
    if not _are_candidates(answer) or len(answer) > 1:
        raise StudyError(
            f"`ask(1, pending)` of the searcher gave {_shown(answer)}: it must be a list of "
            "one Candidate, or an empty one if there are no more"
        )
    if not answer:
        return None
    if fault := space.check(answer[0]):
        raise StudyError(
            f"the searcher proposed a candidate that is not of its space: {fault}. "
            "Candidates come from `decide`, `sample`, `mutate` and `crossover` of `problem.space`; "
            "if this one does, it is the space that has to be mended"
        )
    return answer[0]


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
        StudyError: If it gave something else, or a step that cannot be taken.
    """
    if answer is None:
        return None
    if not isinstance(answer, Step):
        raise StudyError(
            f"`next` of the scheduler gave {_shown(answer)}: it must be a Step, or None"
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
    """Raise if an evaluator's space or values are not what they must be.

    Raises:
        ConfigError: With what it gave, and what is wanted.
    """
    space, values = evaluator.space, evaluator.values
    _require(evaluator, "space", space, isinstance(space, Space), "a niwaki.spaces.base.Space")
    _require(evaluator, "values", values, _are_objectives(values), "one Objective or more")


def require_answers(evaluator: Evaluator) -> None:
    """Raise if an evaluator that is prepared does not answer as it must, asked about its baseline.

    Raises:
        ConfigError: With what it gave, and what is wanted.
    """
    baseline = evaluator.baseline()
    _require(evaluator, "baseline()", baseline, isinstance(baseline, Candidate), "a Candidate")
    _require_features(evaluator, baseline)
    initial = evaluator.initial()
    fine = _are_candidates(initial)
    _require(evaluator, "initial()", initial, fine, "a tuple of Candidates, or an empty one")
    for candidate in initial:
        fault = evaluator.space.check(candidate)
        _require(evaluator, "initial()", candidate, not fault, f"of its space ({fault})")
    counts = evaluator.cheap(baseline)
    fine = _are_numbers(counts)
    _require(evaluator, "cheap(candidate)", counts, fine, "a mapping from names to numbers")
    identity = evaluator.identity(baseline)
    _require(evaluator, "identity(candidate)", identity, isinstance(identity, str), "text")
    levels = evaluator.fidelities
    _require(evaluator, "fidelities", levels, isinstance(levels, Fidelities), "Fidelities")


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
            f"`{asked}` of the evaluator {name} gave {_shown(found)}: it must be {wanted}"
        )


def _are_candidates(found: object) -> TypeGuard[Sequence[Candidate]]:
    return isinstance(found, Sequence) and all(isinstance(each, Candidate) for each in found)


def _are_objectives(found: object) -> bool:
    fine = isinstance(found, Sequence) and all(isinstance(each, Objective) for each in found)
    return fine and bool(found)


def _is_a_finite_row(found: object) -> bool:
    if not isinstance(found, np.ndarray):
        return False
    return found.ndim == 2 and len(found) == 1 and bool(np.isfinite(found).all())


def _are_numbers(found: object) -> bool:
    return isinstance(found, Mapping) and all(isinstance(each, Real) for each in found.values())


def _shown(found: object) -> str:
    text = repr(found)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]} ..."

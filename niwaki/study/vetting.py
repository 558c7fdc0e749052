"""What searchers and evaluators answer, checked where a study hears it: anybody may write one."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TypeGuard

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, StudyError
from niwaki.core.fidelity import Fidelities
from niwaki.core.objectives import Objective
from niwaki.evaluation.base import Evaluator
from niwaki.spaces.base import Space

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


def _are_numbers(found: object) -> bool:
    return isinstance(found, Mapping) and all(isinstance(each, Real) for each in found.values())


def _shown(found: object) -> str:
    text = repr(found)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]} ..."

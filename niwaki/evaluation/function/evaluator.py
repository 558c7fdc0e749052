"""Evaluation by a function of the user's, which trains and measures in its own way."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from niwaki.core.calls import misfit
from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import ConfigError, StudyError
from niwaki.core.fidelity import FULL, Fidelities
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Objective
from niwaki.core.registry import import_object, named_by
from niwaki.core.user_randomness import seeded
from niwaki.core.wording import kind_of
from niwaki.evaluation.base import UnexportedEvaluator
from niwaki.evaluation.function.settings import FunctionSettings
from niwaki.evaluation.registry import Ingredients
from niwaki.spaces.base import Space
from niwaki.spaces.choice_settings import filled

ASKED_BY_NAME = ("fidelity", "seed")
Values = Mapping[str, float]
ROUNDING, NOTHING = 1e-6, 1e-12  # relative, as one number may be of single precision; of zero


@runtime_checkable
class OwnSpace(Protocol):
    """Options of a space that is known without data and heads, as that of `choices` is."""

    @property
    def space(self) -> Space:
        """Where candidates come from."""


class FunctionEvaluator(UnexportedEvaluator):
    """Calls a function with the decisions of each candidate. Picklable if the function is.

    Python's, numpy's and torch's global generators are seeded before each call, so that a candidate
    has the same values in every process; torch's if it is imported by then, not in the call.

    Args:
        function: Called with the decisions by name, a dict of its own, and with `fidelity` and
            `seed` if it has such parameters; returns values by name. What it returns beside the
            declared values is kept in the measurement's details. A declared value that is left out
            has failed for whoever wants it; one outside its limits fails the evaluation.
        space: Where candidates come from.
        values: What the function returns.
        cheap: Called with the decisions alone, returns some of the values at no cost; None if there
            are no such values. The function may return them, too: other numbers at full effort
            fail the evaluation.
        fidelities: What `fidelity` can be.
        baseline: What relative constraints refer to; the first option of each decision if None.
        initial: Candidates that a search tries before it chooses.

    Raises:
        ConfigError: If a function cannot be called so.
    """

    def __init__(
        self,
        function: Callable[..., Values],
        space: Space,
        values: Sequence[Objective],
        *,
        cheap: Callable[[dict[str, Value]], Values] | None = None,
        fidelities: Fidelities = Fidelities(),  # noqa: B008
        baseline: Candidate | None = None,
        initial: Sequence[Candidate] = (),
    ) -> None:
        self._function, self._taken = function, _taken_by_name(function)
        self._space, self._values = space, tuple(values)
        self._cheap, self._fidelities = cheap, fidelities
        self._baseline, self._initial = baseline or filled(space, {}, "baseline"), tuple(initial)
        if not isinstance(fidelities, Fidelities):
            raise ConfigError(
                f"'fidelities' is {fidelities!r}: give niwaki.core.fidelity.Fidelities, such as "
                "Fidelities((0.1, 1.0))"
            )
        if fidelities.several and "fidelity" not in self._taken:
            raise ConfigError(
                f"the function '{_name(function)}' has no parameter `fidelity`, so it cannot be "
                "asked for less than the full effort: add it, or leave 'fidelities' out"
            )
        for called, named in ((function, self._taken), (cheap, ())):
            if called is not None and (fault := misfit(called, ("decisions",), named)):
                raise ConfigError(f"the function '{_name(called)}' {fault}")

    @property
    def space(self) -> Space:
        return self._space

    @property
    def values(self) -> tuple[Objective, ...]:
        return self._values

    @property
    def fidelities(self) -> Fidelities:
        return self._fidelities

    def prepare(self, folder: Path) -> None:
        """Do nothing: the function sees to what it needs."""

    def baseline(self) -> Candidate:
        return self._baseline

    def initial(self) -> tuple[Candidate, ...]:
        return self._initial

    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        if self._cheap is None:
            return {}
        with seeded():
            return _returned(self._cheap, self._cheap(dict(candidate.decisions)))

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        known = {"fidelity": fidelity, "seed": seed}
        named = {name: known[name] for name in self._taken}
        with seeded(seed):
            returned = self._function(dict(candidate.decisions), **named)
        given = self._agreed(candidate, _returned(self._function, returned), fidelity)
        for objective in self._values:
            if (number := _number(given.get(objective.name))) is not None:
                _require_within(objective, number)
        names = [objective.name for objective in self._values]
        missing = ", ".join(f"'{name}'" for name in names if name not in given)
        beside = {name: value for name, value in given.items() if name not in names}
        returned_these = ", ".join(f"'{name}'" for name in given) or "nothing"
        return Measurement(
            key=candidate.key,
            values={name: given[name] for name in names if name in given},
            reason=f"the function gave no {missing}: it returned {returned_these}"
            if missing
            else "",
            fidelity=fidelity,
            seed=seed,
            details={"returned": beside} if beside else {},
        )

    def _agreed(self, candidate: Candidate, returned: Values, fidelity: float) -> Values:
        """Return the cheap values and what the function returned.

        Raises:
            StudyError: If they tell two numbers of one value, at full effort.
        """
        cheap = self.cheap(candidate)
        for name in cheap if fidelity >= FULL else ():
            count, value = _number(cheap[name]), _number(returned.get(name))
            if count is None or value is None:
                continue
            if not math.isclose(count, value, rel_tol=ROUNDING, abs_tol=NOTHING):
                raise StudyError(
                    f"'{name}' is {value} by the function '{_name(self._function)}', and {count} "
                    f"by '{_name(self._cheap)}': let both give the same, or leave '{name}' out of "
                    "one of them"
                )
        return {**cheap, **returned}

    def why_not_exported(self, candidate: Candidate) -> str:
        return (
            f"{candidate.key} was evaluated by '{_name(self._function)}', which keeps its networks "
            "to itself: there is none to export"
        )


def create(settings: FunctionSettings, ingredients: Ingredients) -> FunctionEvaluator:
    """Return the evaluator that a configuration describes.

    Raises:
        ConfigError: If there is no space, or the functions cannot be called as they will be.
        SpaceError: If the baseline, or what is tried first, is not of the space.
    """
    ingredients.tell_unread("function", "data", "target")
    options = ingredients.space
    if not isinstance(options, OwnSpace):
        found = "" if options is None else f", not {kind_of(options)}"
        raise ConfigError(
            "evaluator 'function' needs a section `space` of kind 'choices' or 'grammar', or of "
            f"your own options with a property `space`{found}"
        )
    space = options.space
    return FunctionEvaluator(
        _imported("function", settings.function),
        space,
        settings.objectives,
        cheap=_imported("cheap", settings.cheap) if settings.cheap else None,
        fidelities=settings.efforts,
        baseline=filled(space, settings.baseline, "evaluator.baseline"),
        initial=[filled(space, given, "evaluator.initial") for given in settings.initial],
    )


def _imported(setting: str, path: str) -> Callable[..., Values]:
    with named_by(f"evaluator.{setting}"):
        found: object = import_object(path)
    if not callable(found):
        raise ConfigError(
            f"'evaluator.{setting}' is '{path}', and that is {kind_of(found)}: name a function "
            "there that gets decisions and returns values by name"
        )
    return found


def _taken_by_name(function: object) -> tuple[str, ...]:
    """Return which of `ASKED_BY_NAME` a function takes; none if Python does not know."""
    try:
        parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return ASKED_BY_NAME
    return tuple(parameter.name for parameter in parameters if parameter.name in ASKED_BY_NAME)


def _returned(function: object, returned: object) -> Mapping[str, Any]:
    if not isinstance(returned, Mapping):
        raise StudyError(
            f"the function '{_name(function)}' returned {kind_of(returned)}: return values by "
            "name, such as {'accuracy': 0.9}"
        )
    return {str(name): value for name, value in returned.items()}


def _require_within(objective: Objective, number: float) -> None:
    if objective.least <= number <= objective.most or not math.isfinite(number):
        return  # what is not finite fails whatever the limits are
    limits = {"least": objective.least, "most": objective.most}
    known = [f"`{name}: {limit:g}`" for name, limit in limits.items() if math.isfinite(limit)]
    raise StudyError(
        f"'{objective.name}' is {number}, but 'values' says {' and '.join(known)}: is one a share "
        "and the other in percent? Return the value in the unit of its limits, or correct these"
    )


def _number(value: object) -> float | None:
    """Return a value as a plain number; None if it is none, which the executor tells."""
    try:
        return None if isinstance(value, str | bytes | bytearray) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def _name(function: object) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)

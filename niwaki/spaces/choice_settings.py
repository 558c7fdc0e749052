"""A space of choices as a configuration spells it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import SpaceError
from niwaki.core.excerpt import listed
from niwaki.core.registry import nearest
from niwaki.spaces.amounts import amounts
from niwaki.spaces.base import Space, is_amount, same
from niwaki.spaces.choices import Choice, ChoiceSpace, Condition
from niwaki.spaces.joint import WholeSpace

Scalar: TypeAlias = bool | int | float | str | None
Option: TypeAlias = Scalar | tuple[Scalar, ...]
LEAST_ORDERED = 3  # options: of two, one column tells them apart already


@dataclass(frozen=True)
class Decision:
    """A decision that others may say is there, or whose options are a range.

    Attributes:
        options: What can be decided; or else `low` and `high` say it.
        when: What other decisions must be, one value or one of several, for this one to be there:
            `{optimizer: sgd}`.
        ordered: Whether the options mean amounts, which predictors are then told by a feature that
            rises with them: numbers by themselves, others, such as `[shallow, medium, deep]`, as
            they are listed. Null for whether they are three numbers or more.
        low: The least option of a range, in the place of `options`.
        high: The largest. Options are whole numbers if both ends are.
        n: How many options a range has. Null for all whole numbers of at most 32, else 17.
        step: From one option of a range to the next, in the place of `n`.
        log: Whether a range grows by a ratio, instead of by a difference.

    Raises:
        SpaceError: If there are neither options nor a range, or both, or an impossible range.
    """

    options: tuple[Option, ...] | None = None
    when: Mapping[str, Scalar | tuple[Option, ...]] = field(default_factory=dict)
    ordered: bool | None = None
    low: int | float | None = None
    high: int | float | None = None
    n: int | None = None
    step: int | float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        _ = self.decided

    @property
    def decided(self) -> tuple[Option, ...]:
        """What can be decided: the options as they are listed, or those of the range."""
        ranged = [name for name in ("low", "high", "n", "step") if getattr(self, name) is not None]
        if self.options is not None:
            if ranged or self.log:
                named = " and ".join(f"'{name}'" for name in ranged or ["log"])
                raise SpaceError(f"a decision has 'options' and {named}: give a list or a range")
            return self.options
        if self.low is None or self.high is None:
            raise SpaceError("a decision has no options: give `options`, or `low` and `high`")
        return amounts(self.low, self.high, n=self.n, step=self.step, log=self.log)


@dataclass(frozen=True)
class ChoicesSettings:
    """Named decisions with their options.

    Attributes:
        decisions: By name: options, or `options` with `when` for a decision that is there only if
            others were decided so, or with `ordered: false` for numbers that are no amounts; or a
            range, `{low: 1e-4, high: 0.1, log: true}`.

    Raises:
        SpaceError: If there is none, or one that cannot be.
    """

    decisions: Mapping[str, tuple[Option, ...] | Decision]

    def __post_init__(self) -> None:
        if not self.decisions:
            raise SpaceError("'decisions' is empty: give at least one, such as `width: [16, 32]`")
        _ = self.space

    @cached_property
    def space(self) -> ChoiceSpace:
        """The space."""
        choices = _in_order([_choice(*item) for item in self.decisions.items()])
        _require_options(choices)
        return ChoiceSpace(choices)


def _choice(path: str, given: tuple[Option, ...] | Decision) -> Choice:
    decision = given if isinstance(given, Decision) else Decision(given)
    when = (_condition(*item) for item in decision.when.items())
    options, ordered = tuple(map(_plain, decision.decided)), decision.ordered
    if ordered is None:
        ordered = len(options) >= LEAST_ORDERED and all(map(is_amount, options))
    return Choice(path, options, tuple(when), ordered=ordered)


def _in_order(choices: Sequence[Choice]) -> tuple[Choice, ...]:
    """Return the choices as they came, but each behind those that it waits for.

    Raises:
        SpaceError: If two wait for each other, or one for what is not there.
    """
    known = [choice.path for choice in choices]
    for path, condition in ((c.path, each) for c in choices for each in c.when):
        if condition.path not in known:
            raise SpaceError(
                f"decision '{path}' waits for '{condition.path}', which is none of them"
                f"{nearest(condition.path, known)}"
            )
    waiting, ordered = list(choices), list[Choice]()
    while waiting:
        pending = {choice.path for choice in waiting}
        due = [c for c in waiting if not pending & {each.path for each in c.when}]
        if not due:
            raise SpaceError(f"decisions wait for each other: {', '.join(sorted(pending))}")
        ordered.append(due[0])
        waiting.remove(due[0])
    return tuple(ordered)


def _require_options(choices: Sequence[Choice]) -> None:
    """Check that every condition is on options of the other decision, as they are written there.

    Raises:
        SpaceError: If one is not; 1 is not true, though Python takes them for equal.
    """
    options = {choice.path: choice.options for choice in choices}
    for path, condition in ((c.path, each) for c in choices for each in c.when):
        known, wanted = options[condition.path], condition.values
        for value in wanted:
            if any(same(option, value) for option in known):
                continue
            where = f"decision '{path}' waits for '{condition.path}' to be"
            if any(same(option, wanted) for option in known):
                spelled = json.dumps([wanted])
                raise SpaceError(
                    f"{where} one of {json.dumps(wanted)}, a list of values: for the option "
                    f"{json.dumps(wanted)} itself write {spelled}"
                )
            raise SpaceError(
                f"{where} {json.dumps(value)}, which is none of its options {json.dumps(known)}"
            )


def _condition(path: str, wanted: Scalar | tuple[Option, ...]) -> Condition:
    values = wanted if isinstance(wanted, tuple) else (wanted,)
    return Condition(path, tuple(map(_plain, values)))


def _plain(option: Option) -> Value:
    """Return an option with numbers such as 1e-3 as Python's own."""
    if isinstance(option, tuple):
        return tuple(map(_plain, option))
    return float(option) if isinstance(option, float) else option


def filled(space: Space, given: Mapping[str, Value], where: str) -> Candidate:
    """Return the candidate with these decisions, and the first option of each other one.

    Args:
        space: Of the candidate. One whose candidates are wholes, such as trees, is given those.
        given: Decisions by path.
        where: Setting that gives them, for messages.

    Raises:
        SpaceError: If one is unknown, is not there by what the others are, or has another option.
    """
    if given and isinstance(space, WholeSpace):
        try:
            return space.canonical(given)
        except SpaceError as error:
            raise SpaceError(f"in '{where}': {error}") from error

    def answer(path: str, options: Sequence[Value]) -> Value:
        if path not in given:
            return options[0]
        for option in options:
            if same(option, given[path]):
                return option
        raise SpaceError(
            f"in '{where}': decision '{path}' is {given[path]!r}, which is not one of "
            f"{listed(options)}"
        )

    candidate = space.decide(answer)
    known = list(candidate.decisions)
    for path in given:
        if path not in known:
            raise SpaceError(
                f"in '{where}': there is no decision '{path}'{nearest(path, known)} By what is "
                f"decided there, there are {', '.join(known)}"
            )
    return candidate

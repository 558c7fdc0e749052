"""Spaces of named choices, some of which exist only if others were decided so."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import SpaceError
from niwaki.spaces.base import Choose, EnumerableSpace, is_amount
from niwaki.spaces.walks import at_random, recombine, resample


@dataclass(frozen=True)
class Condition:
    """Holds when the decision at `path` is active and has one of `values`."""

    path: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Choice:
    """One decision.

    Attributes:
        path: Stable, readable name: `encoder.stage1.width`.
        options: Distinct values; at least one.
        when: Conditions on earlier choices; all must hold for this one to be active.
        when_any: More of them, of which one must hold; none if nothing more is asked for.
        ordered: Whether the options mean amounts: they get a feature that rises with them, beside
            those of their options. Numbers rise by themselves, others as they are listed.
    """

    path: str
    options: tuple[Value, ...]
    when: tuple[Condition, ...] = ()
    when_any: tuple[Condition, ...] = ()
    ordered: bool = False

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All conditions that are looked at."""
        return self.when + self.when_any


@dataclass(frozen=True)
class ChoiceSpace(EnumerableSpace):
    """A list of choices, asked in order.

    Attributes:
        choices: A choice's conditions name earlier choices only.

    Raises:
        SpaceError: On a repeated path, a choice without options, or a condition that names a later
            or unknown choice.
    """

    choices: tuple[Choice, ...]

    def __post_init__(self) -> None:
        seen: dict[str, Choice] = {}
        for choice in self.choices:
            _check_choice(choice, seen)
            seen[choice.path] = choice

    def decide(self, choose: Choose) -> Candidate:
        decided: dict[str, Value] = {}
        for choice in self.choices:
            if _active(choice, decided):
                decided[choice.path] = choose(choice.path, choice.options)
        return Candidate.of(decided)

    def sample(self, rng: np.random.Generator) -> Candidate:
        return self.decide(at_random(rng))

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        return resample(self, candidate, rng)

    def crossover(self, first: Candidate, second: Candidate, rng: np.random.Generator) -> Candidate:
        return recombine(self, first, second, rng)

    @cached_property
    def columns(self) -> Mapping[tuple[str, Value], int]:
        """Column of each (path, option) in the encoding."""
        pairs = [(choice.path, option) for choice in self.choices for option in choice.options]
        return {pair: column for column, pair in enumerate(pairs)}

    @cached_property
    def _ranks(self) -> NDArray[np.float64]:
        """(columns, ordered choices): the rank of each option of an ordered choice over how many.

        A rank is from 1 to n, and 0 stands for a decision that is not there.
        """
        ordered = [choice for choice in self.choices if choice.ordered]
        ranks = np.zeros((len(self.columns), len(ordered)))
        for number, choice in enumerate(ordered):
            for rank, option in enumerate(_rising(choice.options), 1):
                ranks[self.columns[choice.path, option], number] = rank / len(choice.options)
        return ranks

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        encoded = np.zeros((len(candidates), len(self.columns)))
        column_of = self.columns
        columns = [column_of[item] for candidate in candidates for item in candidate.items]
        rows = np.repeat(np.arange(len(candidates)), [len(each.items) for each in candidates])
        encoded[rows, columns] = 1.0
        if not self._ranks.size:
            return encoded
        return np.concatenate([encoded, encoded @ self._ranks], axis=1)

    @property
    def encoded_paths(self) -> list[str]:
        of_options = [path for path, _ in self.columns]
        return of_options + [choice.path for choice in self.choices if choice.ordered]

    @cached_property
    def switches(self) -> frozenset[str]:
        return frozenset(c.path for choice in self.choices for c in choice.conditions)

    @cached_property
    def size(self) -> int:
        return sum(n for _, n in self.projections(frozenset()))

    def projections(self, paths: Collection[str]) -> list[tuple[Candidate, int]]:
        # Walk the choices once, merging partial decisions that no later choice tells apart.
        order = min((self.choices, _switches_late(self.choices)), key=_most_waiting)
        steps, wanted = _Steps(order), frozenset(paths)
        states: dict[_State, int] = {(frozenset(), frozenset()): 1}
        for position, choice in enumerate(order):
            grown: dict[_State, int] = {}
            alike = steps.alike(position, apart=choice.path in wanted)
            absent: list[_Alike] = [((), steps.seen(position, ()), 1)]
            for (items, verdicts), n in states.items():
                active = steps.active(position, verdicts)
                for item, seen, times in alike if active else absent:
                    state = items.union(item), steps.after(position, verdicts, seen)
                    grown[state] = grown.get(state, 0) + n * times
            states = grown
        return [(Candidate.of(items), n) for (items, _), n in states.items()]

    def restricted(self, paths: Collection[str]) -> "ChoiceSpace":
        """Return the space of those choices alone."""
        return ChoiceSpace(tuple(choice for choice in self.choices if choice.path in paths))


def _switches_late(choices: Sequence[Choice]) -> list[Choice]:
    """Return the choices so that few are waited for at once, conditions after what they look at.

    A choice that others look at comes when the first of them is due, and all of them follow: 24
    switches in front of 24 choices that each hang on one would be in 2^24 states.
    """
    by_path = {choice.path: choice for choice in choices}
    lookers: dict[str, list[Choice]] = {path: [] for path in by_path}
    for choice in choices:
        for condition in choice.conditions:
            lookers[condition.path].append(choice)
    ordered: dict[str, Choice] = {}
    due = [choice for choice in reversed(choices) if not lookers[choice.path]]
    while due:
        choice = due.pop()
        if choice.path in ordered:
            continue
        missing = [by_path[c.path] for c in choice.conditions if c.path not in ordered]
        if missing:
            due += [choice, *missing]
        else:
            ordered[choice.path] = choice
            due += reversed(lookers[choice.path])
    return list(ordered.values())


def _lookers(order: Sequence[Choice]) -> dict[str, list[tuple[int, tuple[Value, ...]]]]:
    """Return, by path, where conditions look at a choice, and for which values."""
    found: dict[str, list[tuple[int, tuple[Value, ...]]]] = {}
    for position, choice in enumerate(order):
        for condition in choice.conditions:
            found.setdefault(condition.path, []).append((position, condition.values))
    return found


def _most_waiting(order: Sequence[Choice]) -> float:
    """Return the logarithm of how many states there are at once, about, in this order."""
    lookers, states, most = _lookers(order), 0.0, 0.0
    done: dict[int, float] = {}
    for position, choice in enumerate(order):
        states -= done.pop(position, 0.0)
        if choice.path in lookers:
            last, size = lookers[choice.path][-1][0], math.log(len(choice.options))
            states, done[last] = states + size, done.get(last, 0.0) + size
        most = max(most, states)
    return most


# What is known of requirements before they are due: False if they failed, True if any holds that
# one of them has to.
_Verdicts: TypeAlias = frozenset[tuple[int, bool]]
_Items: TypeAlias = tuple[tuple[str, Value], ...]
_State: TypeAlias = tuple[frozenset[tuple[str, Value]], _Verdicts]
# For each requirement that looks at a decision: whether that fails it, and whether it holds.
_Seen: TypeAlias = tuple[tuple[bool, bool], ...]
_Alike: TypeAlias = tuple[_Items, _Seen, int]


class _Steps:
    """What each decision of a walk means to the requirements of later choices.

    Choices with the same conditions share a requirement, and of what led to its verdict nothing is
    remembered: one that asks for any of twenty switches is in two states, and not in 2^20.
    """

    def __init__(self, order: Sequence[Choice]) -> None:
        numbers: dict[tuple[tuple[Condition, ...], tuple[Condition, ...]], int] = {}
        at = {choice.path: position for position, choice in enumerate(order)}
        self._order = order
        self._due: list[int | None] = []  # by position, the requirement
        for choice in order:
            key = choice.when, choice.when_any
            self._due.append(numbers.setdefault(key, len(numbers)) if any(key) else None)
        self._requirements = list(numbers)
        last_due = {number: position for position, number in enumerate(self._due)}
        self._over: list[set[int]] = [set() for _ in order]
        for number in numbers.values():
            self._over[last_due[number]].add(number)
        self._looking: list[list[int]] = [[] for _ in order]
        self._last_any: list[set[int]] = [set() for _ in order]
        for number, (when, when_any) in enumerate(self._requirements):
            for position in {at[condition.path] for condition in (*when, *when_any)}:
                self._looking[position].append(number)
            if when_any:
                self._last_any[max(at[each.path] for each in when_any)].add(number)

    def active(self, position: int, verdicts: _Verdicts) -> bool:
        """Return whether the choice at a position is there."""
        return (self._due[position], False) not in verdicts

    def alike(self, position: int, *, apart: bool) -> list[_Alike]:
        """Return the options that are told apart, as items if they are to be kept, and how many."""
        choice = self._order[position]
        found: dict[tuple[_Items, _Seen], int] = {}
        for option in choice.options:
            key = ((choice.path, option),) if apart else (), self.seen(position, (option,))
            found[key] = found.get(key, 0) + 1
        return [(items, seen, n) for (items, seen), n in found.items()]

    def seen(self, position: int, taken: Collection[Value]) -> _Seen:
        """Return what requirements see of a decision: the option taken, or that none is there."""
        path = self._order[position].path
        seen = []
        for number in self._looking[position]:
            when, when_any = (
                [
                    any(option in each.values for option in taken)
                    for each in conditions
                    if each.path == path
                ]
                for conditions in self._requirements[number]
            )
            seen.append((not all(when), any(when_any)))
        return tuple(seen)

    def after(self, position: int, verdicts: _Verdicts, seen: _Seen) -> _Verdicts:
        """Return the verdicts once a decision is made."""
        if not (self._looking[position] or self._over[position]):
            return verdicts
        known = dict(verdicts)
        for number, (fails, holds) in zip(self._looking[position], seen, strict=True):
            if known.get(number) is False:
                continue
            if holds:
                known[number] = True
            if fails or (number in self._last_any[position] and number not in known):
                known[number] = False
        return frozenset(item for item in known.items() if item[0] not in self._over[position])


def _active(choice: Choice, decided: Mapping[str, Value]) -> bool:
    for condition in choice.when:
        if not holds(condition, decided):
            return False
    return not choice.when_any or any(holds(each, decided) for each in choice.when_any)


def holds(condition: Condition, decided: Mapping[str, Value]) -> bool:
    """Whether a condition holds of what is decided."""
    return condition.path in decided and decided[condition.path] in condition.values


def _check_choice(choice: Choice, earlier: Mapping[str, Choice]) -> None:
    where = f"choice '{choice.path}'"
    if choice.path in earlier:
        raise SpaceError(f"{where} is listed twice: give each decision its own path")
    if not choice.options:
        raise SpaceError(f"{where} has no options: give at least one")
    if len(set(choice.options)) != len(choice.options):
        raise SpaceError(f"{where} repeats an option: {list(choice.options)}")
    if not all(_finite(option) for option in choice.options):
        raise SpaceError(f"{where} has an option that is not finite: {list(choice.options)}")
    for condition in choice.conditions:
        if condition.path not in earlier:
            raise SpaceError(
                f"{where} depends on '{condition.path}', which is not an earlier choice: "
                "list it before"
            )
        options = earlier[condition.path].options
        for value in condition.values:
            if value not in options:
                raise SpaceError(
                    f"{where} waits for '{condition.path}' to be {value!r}, which is none of "
                    f"its options {list(options)}"
                )


def _rising(options: Sequence[Value]) -> Sequence[Value]:
    numbers = [option for option in options if is_amount(option)]
    return sorted(numbers) if len(numbers) == len(options) else options  # type: ignore[type-var]


def _finite(option: Value) -> bool:
    if isinstance(option, tuple):
        return all(_finite(part) for part in option)
    return not isinstance(option, float) or math.isfinite(option)

"""What every search space can do."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import SpaceError
from niwaki.core.excerpt import excerpt, listed


class Choose(Protocol):
    """Picks one of the options of the decision at `path`."""

    def __call__(self, path: str, options: Sequence[Value], /) -> Value:
        """Return one of `options`, which is never empty."""
        ...


def same(first: Value, second: Value) -> bool:
    """Whether two values are one to people and to JSON: 3 and 3.0 are, 1 and true are not."""
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second and _kind(first) is _kind(second)


def is_amount(option: Value) -> bool:
    """Whether an option is a number, which may mean an amount."""
    return isinstance(option, int | float) and not isinstance(option, bool)


def _kind(value: Value) -> type:
    return float if type(value) is int else type(value)


class Space(ABC):
    """A set of candidates. Builds nothing: it knows decisions, not networks.

    A space is described by one walk, `decide`: it asks for the active decisions one by one, each
    with its options, and returns the candidate. Sampling answers at random, an Optuna trial answers
    by suggestion, validation answers from what a user wrote: so any searcher works on any space.

    Laws, checked by `niwaki.testing.space_contract`:
        * whatever the answers, the candidate is valid;
        * equal keys if and only if equal active decisions;
        * `mutate` never returns its parent (unless the space has one candidate only);
        * the same generator state gives the same candidate, in every process.
    """

    @abstractmethod
    def decide(self, choose: Choose) -> Candidate:
        """Walk the decisions in order, asking `choose` for each active one."""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Candidate:
        """Draw a candidate."""

    @abstractmethod
    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        """Return a neighbour: one active decision changed, or a few."""

    @abstractmethod
    def crossover(self, first: Candidate, second: Candidate, rng: np.random.Generator) -> Candidate:
        """Return a child that takes each decision from one of its parents where it can."""

    @abstractmethod
    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        """Return (n, d) features for predictors; inactive decisions are zeros."""

    @property
    def encoded_paths(self) -> Sequence[str] | None:
        """Path of the decision that each column of `encode` describes.

        None if a column may describe no single decision.
        """
        return None

    @property
    @abstractmethod
    def size(self) -> int | float:
        """Number of distinct candidates; `math.inf` if there is no bound."""

    @property
    def switches(self) -> frozenset[str] | None:
        """Paths of the decisions that say which others there are, and with which options.

        Two candidates that agree on these, and have the same paths, may exchange all other values.
        None if that is not known: then every decision may depend on every other.
        """
        return None

    def listing(self) -> Iterator[Candidate] | None:
        """Return all candidates one by one, if there is a shorter way to them than the walk."""
        return None

    def answers(self, candidate: Candidate) -> Mapping[str, Value]:
        """Return, by path, what `decide` has to be answered so that it ends at `candidate`.

        Raises:
            SpaceError: If that is not known, as may be where candidates are derived.
        """
        return candidate.decisions

    def canonical(self, decisions: Mapping[str, Value]) -> Candidate:
        """Return the candidate that these decisions spell, inactive ones left out.

        Values are found by `same`: 3.0 spells the option 3.

        Raises:
            SpaceError: If an active decision is missing, or its value is not one of its options.
        """

        def answer(path: str, options: Sequence[Value]) -> Value:
            if path not in decisions:
                raise SpaceError(f"decision '{path}' is missing: choose one of {listed(options)}")
            for option in options:
                if same(option, decisions[path]):
                    return option
            value = excerpt(repr(decisions[path]))
            raise SpaceError(f"decision '{path}' is {value}, which is not one of {listed(options)}")

        return self.decide(answer)

    def check(self, candidate: Candidate) -> str:
        """Return why `candidate` is not of this space, or an empty string if it is."""
        try:
            spelled = self.canonical(candidate.decisions)
        except SpaceError as error:
            return str(error)
        extra = sorted(set(candidate.decisions) - set(spelled.decisions))
        if extra:
            return f"decision '{extra[0]}' is unknown here, or inactive: leave it out"
        if repr(spelled.items) == repr(candidate.items):  # as good as equal keys, and quicker
            return ""
        # The same value, yet another key: 3.0 for 3, -0.0 for 0.0, or another form of a tree.
        path = next(p for p, v in spelled.items if repr(candidate.decisions[p]) != repr(v))
        given, own = (json.dumps(each.to_json()[path]) for each in (candidate, spelled))
        return f"decision '{path}' is spelled {given}: write {own}"

    def contains(self, candidate: Candidate) -> bool:
        """Whether `candidate` is of this space."""
        return not self.check(candidate)

    def validate(self, candidate: Candidate) -> None:
        """Raise if `candidate` is not of this space.

        Raises:
            SpaceError: With the first decision that is wrong, and its options.
        """
        if fault := self.check(candidate):
            raise SpaceError(fault)


class EnumerableSpace(Space):
    """A space that can count its candidates by what they decide."""

    @abstractmethod
    def projections(self, paths: Collection[str]) -> list[tuple[Candidate, int]]:
        """Count the candidates by what they decide at `paths`.

        Returns:
            Pairs of the decisions at `paths` and the number of candidates that agree with them.
        """

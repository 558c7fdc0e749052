"""Flows: how attributes run through the children of a production, from left to right."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple, TypeAlias

# What a hole is given and what its subtree gives back: a tensor's mode and shape, say. Any hashable
# value but None, which stands for "illegal".
Attribute: TypeAlias = Hashable

# The one attribute of a grammar without types.
UNTYPED: tuple[()] = ()


class Place(NamedTuple):
    """One child of a production.

    Attributes:
        position: Index among the children.
        copies: How often the child is repeated: derived once, then used that many times.
        last: Whether it is the last child.
    """

    position: int
    copies: int
    last: bool


@lru_cache(maxsize=512)
def places_of(n: int) -> tuple[Place, ...]:
    """Return the places of n children that are used once each."""
    return tuple(Place(i, 1, i == n - 1) for i in range(n))


class Flow(ABC):
    """The attribute rules of a production, as an automaton that reads its children in order.

    The state between two children must be hashable and hold what later children need, no more:
    tables for counting and for lookahead are kept by state, and states that are equal are merged.
    A flow is stateless and compares by value.

    Attributes:
        linear: Children are applied one after another, so an identity among them can be left out.
        parallel: The first child splits, the middle ones work side by side, the last one joins.
    """

    linear: ClassVar[bool] = False
    parallel: ClassVar[bool] = False

    @abstractmethod
    def start(self, inherited: Attribute) -> Attribute:
        """Return the state before the first child."""

    @abstractmethod
    def enter(self, state: Attribute, place: Place) -> Attribute | None:
        """Return what the child at `place` inherits, or None if there can be none."""

    @abstractmethod
    def advance(self, state: Attribute, output: Attribute, place: Place) -> Attribute | None:
        """Return the state after the child at `place` gave `output`, or None if illegal."""

    @abstractmethod
    def finish(self, state: Attribute) -> Attribute | None:
        """Return what the production gives, or None if illegal."""


@dataclass(frozen=True)
class Chain(Flow):
    """Each child works on what the one before it gave; the last one's output is the result.

    A child with copies is applied as often, so it must give back what it was given.
    """

    linear: ClassVar[bool] = True

    def start(self, inherited: Attribute) -> Attribute:
        return inherited

    def enter(self, state: Attribute, place: Place) -> Attribute | None:  # noqa: ARG002
        return state

    def advance(self, state: Attribute, output: Attribute, place: Place) -> Attribute | None:
        return output if place.copies == 1 or output == state else None

    def finish(self, state: Attribute) -> Attribute | None:
        return state


class _Branches(NamedTuple):
    """What is left to consume, and what came out so far, of the branches of one production."""

    inputs: tuple[Attribute, ...]
    outputs: tuple[Attribute, ...]


@dataclass(frozen=True)
class Branch(Flow):
    """The first child gives a tuple of attributes, one per branch; the last takes their outputs.

    A child in the middle consumes as many branches as it has copies; they must be alike. A
    production whose branches do not match its split has no derivation.
    """

    parallel: ClassVar[bool] = True

    def start(self, inherited: Attribute) -> Attribute:
        return inherited

    def enter(self, state: Attribute, place: Place) -> Attribute | None:
        if not isinstance(state, _Branches):
            return state
        if place.last:
            return None if state.inputs else state.outputs
        taken = state.inputs[: place.copies]
        alike = bool(taken) and taken.count(taken[0]) == place.copies
        return taken[0] if alike else None

    def advance(self, state: Attribute, output: Attribute, place: Place) -> Attribute | None:
        if not isinstance(state, _Branches):
            if output == UNTYPED:
                return UNTYPED
            return _Branches(output, ()) if isinstance(output, tuple) else None
        if place.last:
            return output
        inputs, outputs = state
        # `_Branches(...)` takes twice as long, and lookahead asks this of every pair of branches.
        return tuple.__new__(
            _Branches, (inputs[place.copies :], outputs + (output,) * place.copies)
        )

    def finish(self, state: Attribute) -> Attribute | None:
        return None if isinstance(state, _Branches) else state


class _Nodes(NamedTuple):
    """What the nodes of a cell hold so far; the last one may still wait for edges."""

    values: tuple[Attribute, ...]
    incoming: tuple[Attribute, ...]


@dataclass(frozen=True)
class Cell(Flow):
    """A directed acyclic graph: each child is an edge, each node the sum of its edges.

    Edges are listed by the node that they lead to, then by the one that they come from: 0-1, 0-2,
    1-2, 0-3, 1-3, 2-3. Those that meet must give the same; the last node is the result.

    References:
        Dong and Yang, ICLR 2020, "NAS-Bench-201", section 2.1: such cells of four nodes.
    """

    def start(self, inherited: Attribute) -> Attribute:
        return _Nodes((inherited,), ())

    def enter(self, state: Attribute, place: Place) -> Attribute | None:  # noqa: ARG002
        assert isinstance(state, _Nodes)
        return state.values[len(state.incoming)]

    def advance(self, state: Attribute, output: Attribute, place: Place) -> Attribute | None:
        assert isinstance(state, _Nodes)
        incoming = (*state.incoming, output)
        if incoming[0] != output or place.copies != 1:
            return None
        if len(incoming) < len(state.values):
            return _Nodes(state.values, incoming)
        return _Nodes((*state.values, output), ())

    def finish(self, state: Attribute) -> Attribute | None:
        assert isinstance(state, _Nodes)
        return state.values[-1] if not state.incoming else None

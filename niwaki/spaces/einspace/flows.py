"""How far the grid of an im2col is seen.

By default it travels with the tokens, as a part of their attribute, until something destroys it:
then a plain chain is all that routing needs. These flows are for the two narrower readings.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from niwaki.spaces.grammar.flows import Attribute, Chain, Flow, Place


@dataclass(frozen=True)
class ModuleGrid(Chain):
    """Pre-routing, module, post-routing: the grid of the first is seen by the last alone."""

    linear: ClassVar[bool] = True

    def enter(self, state: Attribute, place: Place) -> Attribute | None:
        assert isinstance(state, tuple)
        return (state[0], None) if place.position == 1 else state

    def advance(self, state: Attribute, output: Attribute, place: Place) -> Attribute | None:
        assert isinstance(state, tuple) and isinstance(output, tuple)
        if place.last:
            return (output[0], None)
        return (output[0], state[1] if place.position == 1 else output[1])


class _Scope(NamedTuple):
    """A tensor within a routing module, and the grid that is seen outside of the module."""

    shape: Attribute
    grid: Attribute
    outer: Attribute


@dataclass(frozen=True)
class LexicalGrid(Flow):
    """As published: the grid of the innermost routing module around that has one."""

    linear: ClassVar[bool] = True

    def start(self, inherited: Attribute) -> Attribute:
        assert isinstance(inherited, tuple)
        return _Scope(inherited[0], inherited[1], inherited[1])

    def enter(self, state: Attribute, place: Place) -> Attribute | None:  # noqa: ARG002
        assert isinstance(state, _Scope)
        return (state.shape, state.grid)

    def advance(self, state: Attribute, output: Attribute, place: Place) -> Attribute | None:
        assert isinstance(state, _Scope) and isinstance(output, tuple)
        grid = output[1] if place.position == 0 else state.grid
        return _Scope(output[0], grid, state.outer)

    def finish(self, state: Attribute) -> Attribute | None:
        assert isinstance(state, _Scope)
        return (state.shape, state.outer)

"""Branches by task: a trunk that all share, and what each task computes for itself alone."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from niwaki.spaces.grammar.flows import Attribute, Flow, Place

TASKS = "tasks"
"""Label of the node at the top of trees that branch by tasks."""


class Ends(NamedTuple):
    """What a network gives that branches by tasks: one attribute for each."""

    outputs: tuple[Attribute, ...]


class _Trunk(NamedTuple):
    """What the trunk gave, and what the tasks' branches gave so far."""

    output: Attribute
    ends: tuple[Attribute, ...]


@dataclass(frozen=True)
class ByTask(Flow):
    """The first child is the trunk; every other one starts from what it gives."""

    linear: ClassVar[bool] = False

    def start(self, inherited: Attribute) -> Attribute:
        return inherited

    def enter(self, state: Attribute, place: Place) -> Attribute | None:  # noqa: ARG002
        return state.output if isinstance(state, _Trunk) else state

    def advance(self, state: Attribute, output: Attribute, place: Place) -> Attribute | None:  # noqa: ARG002
        if isinstance(state, _Trunk):
            return _Trunk(state.output, (*state.ends, output))
        return _Trunk(output, ())

    def finish(self, state: Attribute) -> Attribute | None:
        return Ends(state.ends) if isinstance(state, _Trunk) else None

"""What a model can be given, as its `forward` says, or the file that it was read from."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from niwaki.evaluation.own_forward import forward_of
from niwaki.tasks.model_inputs import ModelInputs

_ARGUMENTS = "_niwaki_arguments"
_DECLARED = "_niwaki_declared_inputs"


@dataclass(frozen=True)
class Arguments:
    """Names by which a `forward` takes tensors, behind the module itself.

    Attributes:
        positional: In order.
        by_name: All that it can be given by name.
        needed: Those of both without which it cannot be called.
        any_position: Whether it takes any number by position.
        any_name: Whether it takes any name.
    """

    positional: tuple[str, ...]
    by_name: tuple[str, ...]
    needed: tuple[str, ...]
    any_position: bool = False
    any_name: bool = False

    @classmethod
    def of(cls, forward: Callable[..., Any]) -> "Arguments":
        """Return those of a function whose first argument is a module."""
        kind = inspect.Parameter
        known = list(inspect.signature(forward).parameters.values())[1:]
        positional = (kind.POSITIONAL_ONLY, kind.POSITIONAL_OR_KEYWORD)
        by_name = (kind.POSITIONAL_OR_KEYWORD, kind.KEYWORD_ONLY)
        named = [each for each in known if each.kind in (*positional, *by_name)]
        return cls(
            tuple(each.name for each in named if each.kind in positional),
            tuple(each.name for each in named if each.kind in by_name),
            tuple(each.name for each in named if each.default is kind.empty),
            any(each.kind is kind.VAR_POSITIONAL for each in known),
            any(each.kind is kind.VAR_KEYWORD for each in known),
        )

    def takes(self, name: str) -> bool:
        """Whether something can be given by this name."""
        return self.any_name or name in self.by_name

    def first(self, n: int) -> tuple[str, ...]:
        """Return what so many that are given by position are called; fewer if it takes fewer."""
        more = range(len(self.positional), n) if self.any_position else ()
        return (*self.positional, *(f"input_{i}" for i in more))[:n]

    @property
    def needs_one(self) -> bool:
        """Whether the first argument alone is enough; it may be a mapping or a tuple of tensors."""
        return self.needed == self.positional[:1] != ()


def note_arguments(module: nn.Module, forward: Callable[..., Any]) -> None:
    """Keep in mind what a model takes that is called in another way from now on."""
    vars(module)[_ARGUMENTS] = Arguments.of(forward)


def declare_inputs(module: nn.Module, inputs: ModelInputs) -> None:
    """Say what a model that was read from a file takes, by position."""
    vars(module)[_DECLARED] = inputs


def declared_inputs(module: nn.Module) -> ModelInputs | None:
    """Return what was declared of a model; None if nothing was."""
    found: ModelInputs | None = vars(module).get(_DECLARED)
    return found


def arguments_of(module: nn.Module) -> Arguments:
    """Return what a model takes."""
    if declared := declared_inputs(module):
        return Arguments(declared.names, declared.names, declared.names)
    return vars(module).get(_ARGUMENTS) or Arguments.of(forward_of(module))

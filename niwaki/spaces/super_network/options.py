"""Options that super-networks have in common: widths, and those of each task's decoder."""

from collections.abc import Mapping, Sequence
from dataclasses import Field, replace
from typing import Any, ClassVar, Protocol, TypeVar

from niwaki.core.candidate import Value
from niwaki.core.errors import SpaceError


class DecoderOptions(Protocol):
    """A dataclass with the width options of decoders."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def decoders(self) -> Mapping[str, tuple[int, ...]] | None:
        """Of each task's decoder, by task name."""

    @property
    def default_decoder(self) -> tuple[int, ...]:
        """Of a decoder that `decoders` does not name."""


Options = TypeVar("Options", bound=DecoderOptions)


def decoder_widths(options: DecoderOptions, task: str) -> tuple[int, ...]:
    """Return the width options of one task's decoder."""
    return tuple((options.decoders or {}).get(task, options.default_decoder))


def for_task(options: Options, task: str) -> Options:
    """Return the same options without decoders of other tasks."""
    widths = options.decoders or {}
    return replace(options, decoders={name: widths[name] for name in widths if name == task})


def require_tasks(options: DecoderOptions, tasks: Sequence[str]) -> None:
    """Raise if a decoder is named that no task has.

    Raises:
        SpaceError: With the tasks that there are.
    """
    named = set(options.decoders or {}) - set(tasks)
    if named:
        raise SpaceError(
            f"'space.decoders.{sorted(named)[0]}' belongs to no task; the tasks are "
            f"{', '.join(tasks)}"
        )


def widths_by_name(options: DecoderOptions) -> dict[str, tuple[int, ...]]:
    """Return the width options of decoders by the name of their setting."""
    named = {f"decoders.{task}": widths for task, widths in (options.decoders or {}).items()}
    return {"default_decoder": options.default_decoder, **named}


def require_whole_numbers(options: Mapping[str, Sequence[int]]) -> None:
    """Raise if settings, by name, are not one or more different whole numbers from 1.

    Raises:
        SpaceError: With the name of the setting.
    """
    for name, values in options.items():
        if not values or any(type(value) is not int or value < 1 for value in values):
            raise SpaceError(
                f"'space.{name}' is {list(values)}: give one or more whole numbers from 1"
            )
        if len(set(values)) != len(values):
            raise SpaceError(f"'space.{name}' is {list(values)}: give each option once")


def as_number(value: Value) -> float:
    """Return an option that is a number, or a switch, as one that can be compared."""
    assert isinstance(value, int | float)
    return float(value)


def as_width(value: Value) -> int:
    """Return an option that is a whole number."""
    assert isinstance(value, int)
    return value

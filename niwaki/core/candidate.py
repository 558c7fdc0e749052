"""A candidate: the decisions that make one network, and nothing else."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from sys import intern
from types import MappingProxyType
from typing import TypeAlias

from niwaki.core.errors import SpaceError
from niwaki.core.jsonable import JSON, fingerprint
from niwaki.core.wording import kind_of

# A decided value. Tuples nest, so that a derivation tree is one value.
Value: TypeAlias = "bool | int | float | str | tuple[Value, ...] | None"

SEPARATOR = "/"
DEEPEST = 200  # levels of nesting of one value; more would overflow the stack


@dataclass(frozen=True, eq=False)
class Candidate:
    """Active decisions, by path, in one canonical order.

    A candidate holds no module and no metric. Spaces build candidates and leave inactive decisions
    out, so two spellings of one network are one candidate: equality, hash and `key` all follow the
    active decisions alone.

    Attributes:
        items: Pairs of path and value, sorted by path. Paths of a joint space start with the name
            of their part and a slash: `architecture/encoder.stage1.width`.

    Raises:
        SpaceError: If the items are a mapping, say: `of` takes those.
    """

    items: tuple[tuple[str, Value], ...]

    def __post_init__(self) -> None:
        if not isinstance(self.items, tuple):
            raise SpaceError(
                f"the items of a candidate are {kind_of(self.items)}, but pairs sorted by path are "
                "needed: write Candidate.of(decisions), which takes a mapping"
            )

    @classmethod
    def of(cls, decisions: Mapping[str, Value] | Iterable[tuple[str, Value]]) -> "Candidate":
        """Build a candidate from decisions in any order.

        Raises:
            SpaceError: If a path is decided twice, or is no text.
        """
        pairs = list(decisions.items() if isinstance(decisions, Mapping) else decisions)
        by_path = dict(pairs)
        for path in by_path:
            if not isinstance(path, str):
                raise SpaceError(f"the path {path!r} of a decision is {kind_of(path)}: give text")
        if len(by_path) < len(pairs):
            paths = [path for path, _ in pairs]
            twice = next(path for path in paths if paths.count(path) > 1)
            raise SpaceError(f"decision '{twice}' is given twice: decide each path once")
        return cls(tuple((path, by_path[path]) for path in sorted(by_path)))

    @cached_property
    def decisions(self) -> Mapping[str, Value]:
        """The active decisions as a read-only mapping."""
        return MappingProxyType(dict(self.items))

    @cached_property
    def key(self) -> str:
        """Sixteen hexadecimal digits that name this candidate, stable across processes.

        Raises:
            SpaceError: If a decision is not of the types of JSON, such as one of numpy's integers,
                is not finite, or nests too deeply.
        """
        try:
            return fingerprint(self.to_json())
        except (TypeError, ValueError):
            Candidate.from_json(self.decisions)  # says which decision it is
            raise

    def part(self, name: str) -> "Candidate":
        """Return the decisions of one part of a joint space, without the part's name."""
        prefix = name + SEPARATOR
        return Candidate(
            tuple((p[len(prefix) :], v) for p, v in self.items if p.startswith(prefix))
        )

    def prefixed(self, name: str) -> "Candidate":
        """Return this candidate as the part `name` of a joint space."""
        return Candidate(tuple((name + SEPARATOR + p, v) for p, v in self.items))

    def to_json(self) -> dict[str, JSON]:
        """Return the decisions as a JSON object; tuples become arrays.

        Raises:
            SpaceError: If one nests too deeply.
        """
        return {path: _to_json(value, path) for path, value in self.items}

    @classmethod
    def from_json(cls, data: object) -> "Candidate":
        """Read what `to_json` wrote.

        Raises:
            SpaceError: If `data` is not a JSON object of decisions, or one nests too deeply.
        """
        if not isinstance(data, Mapping):
            raise SpaceError(
                f"a candidate is a JSON object of decisions, but {kind_of(data)} came: "
                "write {path: value, ...}"
            )
        # JSON spells each path anew in every candidate: of a long ledger that was a third.
        return cls.of(
            {intern(str(path)): value_from_json(v, str(path)) for path, v in data.items()}
        )

    def __reduce__(self) -> tuple[type["Candidate"], tuple[tuple[tuple[str, Value], ...]]]:
        return Candidate, (self.items,)  # what is cached on the way can neither travel nor need to

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Candidate) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return ", ".join(f"{path}={value}" for path, value in self.items)


def _to_json(value: Value, path: str, depth: int = 0) -> JSON:
    if depth > DEEPEST:
        raise _too_deep(path)
    return [_to_json(v, path, depth + 1) for v in value] if isinstance(value, tuple) else value


def _too_deep(path: str) -> SpaceError:
    return SpaceError(f"decision '{path}' nests deeper than {DEEPEST} levels")


def value_from_json(value: object, path: str, depth: int = 0) -> Value:
    """Read the value of a decision from JSON, which has lists for tuples.

    Args:
        value: As JSON has it.
        path: Of the decision, for messages.
        depth: Lists around it.

    Raises:
        SpaceError: If it is no value of a decision, or nests too deeply.
    """
    if depth > DEEPEST:
        raise _too_deep(path)
    if isinstance(value, list | tuple):
        return tuple(value_from_json(v, path, depth + 1) for v in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise SpaceError(f"decision '{path}' is {value}: a number must be finite")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise SpaceError(
        f"decision '{path}' holds {kind_of(value)}: "
        "a decision is a string, a number, true, false, null, or a list of these"
    )

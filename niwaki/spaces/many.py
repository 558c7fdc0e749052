"""Checks of many candidates at once, as quick as reading them."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import SpaceError
from niwaki.spaces.base import Space, same

# A value as it is written: 1, 1.0 and True are equal in Python, but not the same decision.
_Spelled: TypeAlias = tuple[type, object]


def faults(space: Space, candidates: Iterable[Candidate]) -> list[str]:
    """Return what `space.check` says of each candidate, an empty string where it is fine.

    Where the space says which decisions the others depend on (`Space.switches`), candidates that
    agree on them are checked against values that are known to be fine, and walked through only if
    something is new.
    """
    switches = space.switches
    if switches is None:
        return [space.check(candidate) for candidate in candidates]
    return _Memory(switches).faults(space, candidates)


def spelled(space: Space, candidates: Sequence[Candidate]) -> list[tuple[Candidate, str]]:
    """Return candidates that people or programs wrote, as the space spells them.

    3 for 3.0, and the canonical form of a tree, if it is all that a candidate decides: other
    decisions, such as the precisions of its layers, may hang on how it is spelled.

    Returns:
        For each its own spelling and an empty string, or the candidate as it came and what is wrong
        with it.
    """
    found = []
    for candidate, fault in zip(candidates, faults(space, candidates), strict=True):
        own = _respelled(space, candidate) if fault else None
        found.append((candidate, fault) if own is None else (own, ""))
    return found


def _respelled(space: Space, candidate: Candidate) -> Candidate | None:
    """Return the candidate of the space that is meant; None if there is none."""
    try:
        own = space.canonical(candidate.decisions)
    except SpaceError:
        return None
    given = candidate.decisions
    if own.decisions.keys() != given.keys():
        return None
    alike = len(own.items) == 1 or all(same(value, given[path]) for path, value in own.items)
    return own if alike else None


class _Memory:
    """Values that were found fine, by what the switches say."""

    def __init__(self, switches: frozenset[str]) -> None:
        self._switches = switches
        self._positions: dict[tuple[str, ...], list[int]] = {}
        self._fine: dict[tuple[object, ...], list[set[_Spelled]]] = {}

    def faults(self, space: Space, candidates: Iterable[Candidate]) -> list[str]:
        return [self._fault(space, candidate) for candidate in candidates]

    def _fault(self, space: Space, candidate: Candidate) -> str:
        paths = tuple(path for path, _ in candidate.items)
        spelled = [_spelled(value) for _, value in candidate.items]
        if paths not in self._positions:
            self._positions[paths] = [i for i, p in enumerate(paths) if p in self._switches]
        signature = (paths, *(spelled[i] for i in self._positions[paths]))
        fine = self._fine.get(signature)
        if fine and all(own in known for own, known in zip(spelled, fine, strict=True)):
            return ""
        fault = space.check(candidate)
        if not fault:
            kept = self._fine.setdefault(signature, [set() for _ in spelled])
            for known, own in zip(kept, spelled, strict=True):
                known.add(own)
        return fault


def _spelled(value: Value) -> _Spelled:
    kind = type(value)
    # Zeros of either sign, and nested values, are equal where their spellings are not.
    return kind, repr(value) if kind is float or kind is tuple else value

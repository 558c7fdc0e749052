"""Flows of one's own that fail."""

from dataclasses import dataclass
from typing import Any

from niwaki.spaces.grammar import Chain, Place


class Raises(Chain):
    def advance(self, state: Any, output: Any, place: Place) -> Any:
        raise KeyError("shape")


class Unhashable(Chain):
    def advance(self, state: Any, output: Any, place: Place) -> Any:
        return [output]


@dataclass(frozen=True)
class Unmade(Chain):
    size: int

"""What the code of a model compares its sizes with: a smaller model has to go the same way."""

import operator
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from niwaki.compress.pruning.call_sites import CallSite


@dataclass(frozen=True, eq=False)
class Comparison:
    """One comparison of a size with a number or another size, as it turned out.

    Attributes:
        site: The module whose code compares, and how many comparisons that had noted before.
        name: Of the relation: `!=`, `<`, `%`, ...
        relation: Of two numbers, or arrays of them.
        left: A size.
        right: A number, or another size.
        outcome: What the relation gave.
    """

    site: CallSite
    name: str
    relation: Callable[[Any, Any], Any]
    left: "ComparedInt"
    right: float
    outcome: int

    @property
    def sizes(self) -> "tuple[ComparedInt, ComparedInt] | None":
        """Both, if two equal sizes were compared with each other; else None."""
        if isinstance(self.right, ComparedInt) and int(self.left) == int(self.right):
            return None if self.name == "%" else (self.left, self.right)
        return None

    def __str__(self) -> str:
        where = self.site.module or "the model itself"
        return f"{where} computes {int(self.left)} {self.name} {int(self.right)}"


@dataclass
class Comparisons:
    """The comparisons of a pass.

    Attributes:
        found: In order.
        where: Returns the path of the module whose code runs.
        paused: Whether those that are made now are not of the model's own code.
    """

    found: list[Comparison] = field(default_factory=list)
    where: Callable[[], str] = str
    paused: bool = False
    _n_of: Counter[str] = field(default_factory=Counter)

    def begin(self, where: Callable[[], str]) -> None:
        """Take note of a new pass; sites are counted anew."""
        self.where = where
        self._n_of.clear()

    def note(self, name: str, left: "ComparedInt", right: float, outcome: int) -> None:
        """Take note of one."""
        if not self.paused:
            path = self.where()
            site = CallSite(path, -1, self._n_of[path])  # no call of torch has this invocation
            self._n_of[path] += 1
            self.found.append(Comparison(site, name, _RELATIONS[name], left, right, outcome))


_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "%": operator.mod,
}


class ComparedInt(int):
    """An integer that takes note of what it is compared with.

    Of remainders, those of 0 are noted alone: that a size can be divided.
    """

    comparisons: Comparisons

    def __eq__(self, other: object) -> Any:
        return self._compared("==", other)

    def __ne__(self, other: object) -> Any:
        return self._compared("!=", other)

    def __lt__(self, other: Any) -> Any:
        return self._compared("<", other)

    def __le__(self, other: Any) -> Any:
        return self._compared("<=", other)

    def __gt__(self, other: Any) -> Any:
        return self._compared(">", other)

    def __ge__(self, other: Any) -> Any:
        return self._compared(">=", other)

    def __mod__(self, other: Any) -> Any:
        return self._compared("%", other)

    __hash__ = int.__hash__

    def _compared(self, name: str, other: Any) -> Any:
        plain = int(other) if isinstance(other, ComparedInt) else other
        outcome = _RELATIONS[name](int(self), plain)
        if isinstance(other, int | float) and (name != "%" or outcome == 0):
            self.comparisons.note(name, self, other, outcome)
        return outcome

    def __deepcopy__(self, memo: dict[int, Any]) -> int:
        return int(self)

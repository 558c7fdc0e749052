"""Which operations can stand where another one stands: the options of its parameters, in order."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from niwaki.spaces.grammar.grammar import Grammar, Operation, Parameter, Production


class Options:
    """The operations of one terminal that productions put in places alike.

    Places are alike if the productions have the same label and the same operations, parameters
    aside, around the same holes; whatever symbols the holes have, since grammars often have one
    symbol for each width. So `clone(b=4)` is no option for the `clone(b=2)` of `two: clone(b=2) M M
    add` if `four: clone(b=4) M*4 add` alone has it. What only productions of weight 0 put there is
    no option either.

    Args:
        grammar: Its productions.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar

    def any_other(self, spelled: str) -> bool:
        """Whether there is another operation that can stand where this one stands."""
        return len(self._alike(spelled)) > 1

    def others(self, spelled: str) -> tuple[str, ...]:
        """Return the operations of the same terminal that can stand where this one stands."""
        return tuple(each for each in self._alike(spelled) if each != spelled)

    def along(self, spelled: str, parameter: str) -> tuple[str, ...]:
        """Return the operations that differ in one parameter alone, this one among them, in order.

        Numbers are in numeric order, all else in the order of the grammar file. Empty if the
        operation has no such parameter.
        """
        # One line for all that are on it: there may be thousands.
        own = self._grammar.operations[spelled]
        where = self._where.get(spelled, ())
        itself = "" if spelled in self._drawn_together(where) else spelled
        key = (_without(own, parameter), where, itself)
        if key not in self._lines:
            self._lines[key] = tuple(self._along(spelled, parameter))
        return self._lines[key]

    def parameters(self, spelled: str) -> list[str]:
        """Return the parameters of an operation that have more than one option."""
        names = [name for name, _ in self._grammar.operations[spelled].parameters]
        return [name for name in names if len(self.along(spelled, name)) > 1]

    @cached_property
    def _lines(self) -> dict[tuple[object, tuple[int, ...], str], tuple[str, ...]]:
        return {}

    def _along(self, spelled: str, parameter: str) -> list[str]:
        own = self._grammar.operations[spelled]
        alike = self._alike(spelled)
        line = [
            (value, each)
            for value, each in self._differing.get(_without(own, parameter), ())
            if each in alike
        ]
        if all(_is_number(value) for value, _ in line):
            return [each for _, each in sorted(line)]
        declared = dict(self._grammar.terminals[own.terminal].parameters).get(parameter, ())
        ranks = {value: rank for rank, value in enumerate(declared)}
        return [each for _, each in sorted(line, key=lambda item: ranks.get(item[0], len(ranks)))]

    @cached_property
    def _differing(self) -> Mapping[object, list[tuple[Parameter, str]]]:
        """Operations by all that they are but one parameter, in the order of the file."""
        found: dict[object, list[tuple[Parameter, str]]] = {}
        for spelled, operation in self._grammar.operations.items():
            for name, value in operation.parameters:
                found.setdefault(_without(operation, name), []).append((value, spelled))
        return found

    def _alike(self, spelled: str) -> Mapping[str, None]:
        """Return the operations that are in a place where this one is, itself among them."""
        drawn = self._drawn_together(self._where.get(spelled, ()))
        return drawn if spelled in drawn else {**drawn, spelled: None}

    def _drawn_together(self, where: tuple[int, ...]) -> Mapping[str, None]:
        if where not in self._together:
            self._together[where] = {
                each: None for at in where for each, drawn in self._places[at].items() if drawn
            }
        return self._together[where]

    @cached_property
    def _together(self) -> dict[tuple[int, ...], Mapping[str, None]]:
        """Operations that are in some places, once for all that are in just these."""
        return {}

    @cached_property
    def _places(self) -> Sequence[Mapping[str, bool]]:
        """For each kind of place, its operations, and whether a production with weight has them."""
        places: dict[object, dict[str, bool]] = {}
        for way in self._grammar.productions:
            for place, spelled in _places(way):
                known = places.setdefault(place, {})
                known[spelled] = known.get(spelled, False) or way.weight > 0.0
        return list(places.values())

    @cached_property
    def _where(self) -> Mapping[str, tuple[int, ...]]:
        """The places of each operation, numbered as they come."""
        where: dict[str, list[int]] = {}
        for number, operations in enumerate(self._places):
            for spelled in operations:
                where.setdefault(spelled, []).append(number)
        return {spelled: tuple(numbers) for spelled, numbers in where.items()}


def _places(way: Production) -> Iterator[tuple[object, str]]:
    """Yield each operation of a production, with what its place is like."""
    shape = tuple(
        ("" if isinstance(item.what, str) else item.what.terminal, item.copies)
        for item in way.items
    )
    label = "" if way.renames else way.label
    for index, item in enumerate(way.items):
        if isinstance(item.what, Operation):
            yield (label, shape, index), item.what.spelled


def _without(operation: Operation, parameter: str) -> object:
    """Return all that an operation is but one parameter, with that parameter's name."""
    rest = tuple(item for item in operation.parameters if item[0] != parameter)
    return operation.terminal, parameter, rest


def _is_number(value: Parameter) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""Grammars: symbols, productions with weights, and operations with parameters."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import NamedTuple, TypeAlias

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar.flows import UNTYPED, Attribute, Chain, Flow, Place
from niwaki.spaces.grammar.tree import Tree

Parameter: TypeAlias = bool | int | float | str
NAME = re.compile(r"[^\W\d][\w.-]*")  # what needs no quotes, in any script


class Effect(NamedTuple):
    """What an operation does to the attribute it is given.

    Attributes:
        output: What it gives.
        parameters: Trained numbers.
        macs: Multiply-accumulates of one example.
        elements: Numbers of one example in new memory: its output, and what it works in.
    """

    output: Attribute
    parameters: int = 0
    macs: int = 0
    elements: int = 0


class ForeignAttributeError(SpaceError):
    """An attribute of another kind than a rule speaks of, with the kind that it wants."""


# The attribute rule of a terminal: (inherited, **parameters) -> Effect, or a sentence that says
# why the operation does not apply.
AttributeRule: TypeAlias = Callable[..., Effect | str]

IDENTITY = "identity"
COMMUTATIVE = "commutative"
SYMMETRIC = "symmetric"
PERMUTATION = "permutation"
_MANY = 16  # productions, beyond which looking one up costs less than trying them all
TRAITS = (IDENTITY, COMMUTATIVE, SYMMETRIC, PERMUTATION)


@dataclass(frozen=True)
class Terminal:
    """A family of operations.

    Attributes:
        name: As productions spell it.
        rule: Attribute rule; None gives back what came, at no cost.
        traits: `identity`: changes nothing. `commutative`: joins branches in any order.
            `symmetric`: splits into branches that are all alike. `permutation`: reorders axes, as
            the digits of its one parameter say; two in sequence are one, or nothing.
        parameters: Values by name that a production may leave unsaid.
        line: Where it is declared; 0 if in Python.
        builder: `package.module:function` that makes its module; empty if it is known otherwise.
    """

    name: str
    rule: AttributeRule | None = None
    traits: frozenset[str] = frozenset()
    parameters: tuple[tuple[str, tuple[Parameter, ...]], ...] = ()
    line: int = 0
    builder: str = ""


@dataclass(frozen=True)
class Operation:
    """A terminal with its parameters decided."""

    terminal: str
    parameters: tuple[tuple[str, Parameter], ...] = ()

    @cached_property
    def spelled(self) -> str:
        """As trees write it: `im2col(k=3,s=1)`."""
        name = spell_name(self.terminal)
        if not self.parameters:
            return name
        inside = ",".join(f"{name}={spell(value)}" for name, value in self.parameters)
        return f"{name}({inside})"


@dataclass(frozen=True)
class Item:
    """One child of a production.

    Attributes:
        what: Name of a nonterminal, or an operation.
        copies: How often it is used; it is derived once.
    """

    what: str | Operation
    copies: int = 1

    @property
    def spelled(self) -> str:
        """As grammar files write it."""
        name = self.what if isinstance(self.what, str) else self.what.spelled
        return name if self.copies == 1 else f"{name}*{self.copies}"


@dataclass(frozen=True)
class Production:
    """One way to derive a nonterminal.

    Attributes:
        symbol: What it derives.
        items: Its children, at least one.
        weight: Relative to the other productions of `symbol`; not negative.
        label: What trees call it; of no use where there is one child only.
        flow: How attributes run through it.
        line: Where it is written; 0 if in Python.
        builder: `package.module:function` that makes the module of its nodes; empty for flows
            that are known.
    """

    symbol: str
    items: tuple[Item, ...]
    weight: float = 1.0
    label: str = ""
    flow: Flow = field(default_factory=Chain)
    line: int = 0
    builder: str = ""

    @cached_property
    def _hash(self) -> int:
        return hash((self.symbol, self.items, self.weight, self.label, self.line))

    def __hash__(self) -> int:
        # Tables are kept by production, so hashing all fields each time would cost the most.
        return self._hash

    def __getstate__(self) -> dict[str, object]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @cached_property
    def renames(self) -> bool:
        """Whether it leaves no node: one child, used once."""
        return len(self.items) == 1 and self.items[0].copies == 1

    @cached_property
    def whats(self) -> tuple[str | Operation, ...]:
        """What its children are, without their copies."""
        return tuple(item.what for item in self.items)

    @cached_property
    def shape(self) -> tuple[str, ...]:
        """What it has at each place: a symbol, or an operation, parameters aside."""
        return tuple(
            what if isinstance(what, str) else f"={spell_name(what.terminal)}"
            for what in self.whats
        )

    @cached_property
    def fixed(self) -> tuple[str | None, ...]:
        """The operation at each place, spelled; None for nonterminals."""
        return tuple(None if isinstance(what, str) else what.spelled for what in self.whats)

    @cached_property
    def passes(self) -> bool:
        """Whether it gives what its last child gives: a chain whose last child is used once."""
        return type(self.flow) is Chain and self.items[-1].copies == 1

    @cached_property
    def last(self) -> int:
        """Position of the last child."""
        return len(self.items) - 1

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """The places of its children, as flows want them."""
        last = len(self.items) - 1
        return tuple(Place(i, item.copies, i == last) for i, item in enumerate(self.items))

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The nonterminal at each place; empty for operations."""
        return tuple(what if isinstance(what, str) else "" for what in self.whats)

    @cached_property
    def holes(self) -> tuple[tuple[str, int], ...]:
        """Nonterminals among its children, with their copies."""
        return tuple((i.what, i.copies) for i in self.items if isinstance(i.what, str))

    @cached_property
    def spelled(self) -> str:
        """Its children as grammar files write them."""
        label = "" if self.renames else f"{self.label}: "
        return label + " ".join(item.spelled for item in self.items)


@dataclass(frozen=True)
class Grammar:
    """A weighted context-free grammar whose symbols carry attributes.

    Building one checks nothing: `check_grammar` tells what is wrong with it, and a space refuses
    a grammar with errors.

    Attributes:
        start: The symbol that whole networks derive from.
        productions: In the order of writing.
        terminals: By name.
        input: What the start symbol inherits: the network's input.
        output: What networks must give; None if anything will do.
        input_line: Where the input is written; 0 if in Python, or in a file that is included.
    """

    start: str
    productions: tuple[Production, ...]
    terminals: Mapping[str, Terminal] = field(default_factory=dict)
    input: Attribute = UNTYPED
    output: Attribute | None = None
    input_line: int = 0

    def __getstate__(self) -> dict[str, object]:
        names = ("start", "productions", "terminals", "input", "output", "input_line")
        return {name: getattr(self, name) for name in names}

    @cached_property
    def by_symbol(self) -> Mapping[str, tuple[Production, ...]]:
        """Productions of each nonterminal."""
        found: dict[str, list[Production]] = {}
        for production in self.productions:
            found.setdefault(production.symbol, []).append(production)
        return {symbol: tuple(ways) for symbol, ways in found.items()}

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        """Every operation that a production uses, by spelling."""
        used = (item.what for production in self.productions for item in production.items)
        return {what.spelled: what for what in used if isinstance(what, Operation)}

    @cached_property
    def leaves(self) -> Mapping[str, Tree]:
        """One leaf per operation, shared by all trees."""
        return {spelled: Tree(spelled) for spelled in self.operations}

    @cached_property
    def typed(self) -> bool:
        """Whether attributes mean anything here."""
        return self.input != UNTYPED

    def trait(self, leaf: Tree, trait: str) -> bool:
        """Whether `leaf` is an operation with this trait."""
        return not leaf.children and leaf.label in self._having[trait]

    @cached_property
    def _having(self) -> Mapping[str, set[str]]:
        """Operations with each trait, spelled."""
        found: dict[str, set[str]] = {trait: set() for trait in TRAITS}
        for spelled, operation in self.operations.items():
            for trait in self.terminals[operation.terminal].traits:
                found[trait].add(spelled)
        return found

    @cached_property
    def reach(self) -> Mapping[str, tuple[Production, ...]]:
        """For each symbol, its productions and those of the symbols it can be renamed to."""
        return {symbol: self._reach(symbol) for symbol in self.by_symbol}

    def _reach(self, symbol: str) -> tuple[Production, ...]:
        seen, queue, found = {symbol}, [symbol], []
        for each in queue:  # grows while it is walked
            for production in self.by_symbol.get(each, ()):
                found.append(production)
                what = production.items[0].what
                if production.renames and isinstance(what, str) and what not in seen:
                    seen.add(what)
                    queue.append(what)
        return tuple(found)

    @cached_property
    def leaves_of(self) -> Mapping[str, Mapping[str, None]]:
        """For each symbol, the operations that it derives alone, spelled, in order."""
        return {
            symbol: dict.fromkeys(
                way.items[0].what.spelled
                for way in ways
                if way.renames and isinstance(way.items[0].what, Operation)
            )
            for symbol, ways in self.reach.items()
        }

    @cached_property
    def nodes_of(self) -> Mapping[str, Mapping[str, tuple[Production, ...]]]:
        """For each symbol and label, the productions that leave such a node."""
        found: dict[str, dict[str, list[Production]]] = {}
        for symbol, ways in self.reach.items():
            labels = found.setdefault(symbol, {})
            for way in ways:
                if not way.renames:
                    labels.setdefault(way.label, []).append(way)
        return {s: {k: tuple(v) for k, v in labels.items()} for s, labels in found.items()}

    def ways_to(self, symbol: str, label: str, children: Sequence[str]) -> Iterable[Production]:
        """Return the productions that may leave a node: those that fix what its leaves are.

        Args:
            symbol: Which derives the node.
            label: Of the node.
            children: Labels of its children.
        """
        ways = self.nodes_of.get(symbol, {}).get(label, ())
        if len(ways) < _MANY:
            return ways
        if (symbol, label) not in self._by_fixed:
            self._by_fixed[symbol, label] = _by_fixed(ways)
        found: list[Production] = []
        for places, fixing in self._by_fixed[symbol, label].items():
            if not places or places[-1] < len(children):
                found += fixing.get(tuple(children[place] for place in places), ())
        return found

    @cached_property
    def _by_fixed(self) -> dict[tuple[str, str], "_ByFixed"]:
        return {}

    @cached_property
    def sequences(self) -> Mapping[str, str]:
        """Labels of sequences that can be flattened, with the symbol of their items.

        Such a label belongs to productions with two equal nonterminals in a chain, `M -> M M` or
        `S -> M M`, where the nonterminal itself has the production: so nesting means nothing. Nodes
        with a module of their own mean something.
        """
        pairs: dict[str, set[str]] = {}
        others: set[str] = set()
        owners = {(way.label, way.symbol) for way in self.productions}
        for way in self.productions:
            if way.renames:
                continue
            symbols = {what for what, copies in way.holes if copies == 1}
            if (
                len(way.items) == len(way.holes) == 2
                and len(symbols) == 1
                and type(way.flow) is Chain
                and not way.builder
            ):
                pairs.setdefault(way.label, set()).update(symbols)
            else:
                others.add(way.label)
        return {
            label: item
            for label, items in pairs.items()
            if len(items) == 1 and label not in others
            for item in items
            if (label, item) in owners
        }

    def reweighted(self, weights: Mapping[int, float]) -> "Grammar":
        """Return this grammar with other weights, by index of the production."""
        ways = tuple(
            replace(way, weight=weights.get(index, way.weight))
            for index, way in enumerate(self.productions)
        )
        return replace(self, productions=ways)

    @cached_property
    def unweighted(self) -> "Grammar":
        """This grammar with all productions alike, those of weight 0 too."""
        return self.reweighted(dict.fromkeys(range(len(self.productions)), 1.0))

    @cached_property
    def drawn(self) -> "Grammar":
        """This grammar without productions of weight 0, of which only trees from elsewhere are."""
        ways = tuple(way for way in self.productions if way.weight > 0.0)
        return self if ways == self.productions else replace(self, productions=ways)

    def on(self, inherited: Attribute, *, output: Attribute | None = None) -> "Grammar":
        """Return this grammar for networks with another input, and perhaps a wanted output."""
        return replace(self, input=inherited, output=output, input_line=0)

    def without_duplicates(self) -> "Grammar":
        """Return this grammar with productions that are written twice merged, weights added."""
        merged: dict[tuple[str, tuple[Item, ...], str], Production] = {}
        for way in self.productions:
            key = (way.symbol, way.items, "" if way.renames else way.label)
            weight = way.weight + (merged[key].weight if key in merged else 0.0)
            merged[key] = replace(merged.get(key, way), weight=weight)
        return replace(self, productions=tuple(merged.values()))


# Productions by the places where they have operations, and by these operations.
_ByFixed: TypeAlias = dict[tuple[int, ...], dict[tuple[str, ...], list[Production]]]


def _by_fixed(ways: Sequence[Production]) -> _ByFixed:
    found: _ByFixed = {}
    for way in ways:
        fixed = {place: spelled for place, spelled in enumerate(way.fixed) if spelled is not None}
        alike = found.setdefault(tuple(fixed), {})
        alike.setdefault(tuple(fixed.values()), []).append(way)
    return found


def spell(value: Parameter) -> str:
    """Spell a parameter so that reading gives it back."""
    if isinstance(value, str):
        plain = value.isidentifier() and value.lower() not in ("true", "false")
        return value if plain else _quoted(value)
    return repr(value)


def spell_name(name: str) -> str:
    """Spell an operation's name so that reading gives it back: in quotes, if it needs them."""
    return name if NAME.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"

"""Reads grammars: text, and YAML with the same alternatives in it.

Text is read line by line; `#` starts a comment, and a line that starts with `|` or with a space
goes on with the one before:

    start S
    input (im, 3, 32, 32)
    functions my_package.rules            # where attribute rules and flows are looked up by name
    terminal linear(d=16|32|64)
    terminal relu, norm
    terminal identity [identity]
    terminal add [commutative] = my_package.joins:add
    flow route = my_package.flows:Routing

    S -> seq: M M | B
    M -> seq: M M [0.2] | B [0.2] | linear | relu | norm | identity
    B -> split@branch: clone(b=2) M M add | split4@branch: clone(b=4) M*4 add

A weight belongs to each operation that an alternative stands for: `linear(d=16|32) [0.1]` is two
productions of weight 0.1. An operation in quotes needs no declaration. Labels name the nodes of
trees; flows are `chain` (the default), `branch`, or declared.
"""

import importlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from niwaki.core.errors import ConfigError, SpaceError
from niwaki.core.registry import import_object, nearest
from niwaki.spaces.grammar.findings import Finding, Level, error, warning
from niwaki.spaces.grammar.flows import UNTYPED, Branch, Chain, Flow
from niwaki.spaces.grammar.grammar import (
    TRAITS,
    AttributeRule,
    Grammar,
    Item,
    Operation,
    Production,
    Terminal,
)
from niwaki.spaces.grammar.syntax import (
    Alternative,
    GrammarSyntaxError,
    Reference,
    Scanner,
    read_alternatives,
    read_literal,
    read_parameters,
)

DIRECTIVES = ("start", "input", "output", "functions", "terminal", "flow")
MOST_VARIANTS = 4096


@dataclass(frozen=True)
class Statement:
    """One logical line: a directive with its text, or `->` with a symbol and its alternatives."""

    line: int
    kind: str
    text: str
    symbol: str = ""


@dataclass
class Draft:
    """A grammar being read, with what was found wrong on the way."""

    functions: Mapping[str, object] = field(default_factory=dict)
    start: str = ""
    input: object = UNTYPED
    output: object = None
    module: str = ""
    terminals: dict[str, Terminal] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=lambda: {"chain": Chain(), "branch": Branch()})
    productions: list[Production] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def grammar(self) -> Grammar:
        """Return what was read; meaningless if there are errors among the findings."""
        return Grammar(
            self.start, tuple(self.productions), dict(self.terminals), self.input, self.output
        )


def read_grammar(text: str, functions: Mapping[str, object] | None = None) -> Grammar:
    """Read a grammar from text.

    Args:
        text: As the module's docstring shows.
        functions: Attribute rules and flows by name, looked up before the module that the text
            names.

    Raises:
        SpaceError: With every error in the text.
    """
    return accepted(draft_of(statements_of(text), functions or {}))


def accepted(draft: Draft) -> Grammar:
    """Return the draft's grammar.

    Raises:
        SpaceError: With every error that was found.
    """
    errors = [str(finding) for finding in draft.findings if finding.level is Level.ERROR]
    if errors:
        raise SpaceError("the grammar cannot be read:\n  " + "\n  ".join(errors))
    return draft.grammar()


def load_grammar(path: Path, functions: Mapping[str, object] | None = None) -> Grammar:
    """Read a grammar file: YAML if it ends in `.yaml` or `.yml`, text otherwise.

    Raises:
        SpaceError: If the file is missing, or with every error in it.
    """
    return accepted(draft_file(path, functions or {}))


def draft_file(path: Path, functions: Mapping[str, object]) -> Draft:
    """Read a grammar file, faults and all.

    Raises:
        SpaceError: If the file is missing or no text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise SpaceError(f"grammar file '{path}' cannot be read: {fault}") from fault
    if path.suffix in (".yaml", ".yml"):
        from niwaki.spaces.grammar.yaml_reader import yaml_statements

        statements, findings = yaml_statements(text)
        draft = draft_of(statements, functions)
        draft.findings[:0] = findings
        return draft
    return draft_of(statements_of(text), functions)


def statements_of(text: str) -> list[Statement]:
    """Join continued lines and tell directives from productions."""
    joined: list[tuple[int, str]] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = _without_comment(raw)
        if not line.strip():
            continue
        if joined and (line[0].isspace() or line.startswith("|")):
            joined[-1] = (joined[-1][0], f"{joined[-1][1]}\n{number}\0{line}")
        else:
            joined.append((number, line))
    return [each for number, line in joined for each in _statements(number, line)]


def _without_comment(line: str) -> str:
    quote = ""
    for at, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#":
            return line[:at].rstrip()
    return line.rstrip()


def _statements(number: int, line: str) -> Iterator[Statement]:
    """Yield one statement per physical line, so that findings name the right one."""
    head, *continued = line.split("\n")
    symbol, arrow, alternatives = head.partition("->")
    if not arrow:
        rest = " ".join(part.partition("\0")[2].strip() for part in continued)
        kind, _, text = head.strip().partition(" ")
        yield Statement(number, kind, f"{text.strip()} {rest}".strip())
        return
    pieces = [(number, alternatives), *((int(n), t) for n, _, t in map(_cut, continued))]
    open_number, open_text = pieces[0]
    for next_number, piece in pieces[1:]:
        if piece.strip().startswith("|"):
            yield Statement(open_number, "->", open_text.strip().rstrip("|"), symbol.strip())
            open_number, open_text = next_number, piece.strip()[1:]
        else:
            open_text = f"{open_text} {piece}"
    yield Statement(open_number, "->", open_text.strip(), symbol.strip())


def _cut(part: str) -> tuple[str, str, str]:
    return part.partition("\0")


def draft_of(statements: list[Statement], functions: Mapping[str, object]) -> Draft:
    """Read statements; what cannot be read becomes a finding."""
    draft = Draft(functions)
    for statement in statements:
        if statement.kind != "->":
            _guarded(draft, statement, _read_directive)
    symbols = {statement.symbol for statement in statements if statement.kind == "->"}
    reader = _ProductionReader(draft, symbols)
    for statement in statements:
        if statement.kind == "->":
            _guarded(draft, statement, reader.read)
    if not draft.start and draft.productions:
        draft.start = draft.productions[0].symbol
    return draft


def _guarded(draft: Draft, statement: Statement, read: Callable[[Draft, Statement], None]) -> None:
    try:
        read(draft, statement)
    except GrammarSyntaxError as fault:
        draft.findings.append(error(statement.line, "syntax", str(fault)))
    except ConfigError as fault:
        draft.findings.append(error(statement.line, "missing-function", str(fault)))


def _read_directive(draft: Draft, statement: Statement) -> None:
    kind, text = statement.kind, statement.text
    if kind == "start":
        draft.start = Scanner(text).name("a symbol")
    elif kind == "input":
        draft.input = read_literal(text)
    elif kind == "output":
        draft.output = read_literal(text)
    elif kind == "functions":
        draft.module = text
    elif kind in ("terminal", "terminals"):
        _read_terminals(draft, statement)
    elif kind == "flow":
        _read_flow(draft, statement)
    else:
        raise GrammarSyntaxError(
            f"'{kind}' starts no statement{nearest(kind, DIRECTIVES)} "
            "A production is `symbol -> alternatives`"
        )


def _read_terminals(draft: Draft, statement: Statement) -> None:
    declared, _, path = (part.strip() for part in statement.text.partition(" = "))
    scanner = Scanner(declared)
    while True:
        name = scanner.name("a terminal's name")
        parameters = read_parameters(scanner)
        traits = _read_traits(scanner)
        if name in draft.terminals:
            raise GrammarSyntaxError(f"terminal '{name}' is declared twice")
        rule = _function(draft, path or name, required=bool(path))
        draft.terminals[name] = Terminal(name, rule, traits, parameters, statement.line)
        if not scanner.skip(","):
            break
    scanner.end()


def _read_traits(scanner: Scanner) -> frozenset[str]:
    found: set[str] = set()
    if scanner.skip("["):
        while not scanner.skip("]"):
            trait = scanner.name("a trait")
            if trait not in TRAITS:
                raise GrammarSyntaxError(
                    f"there is no trait '{trait}'{nearest(trait, TRAITS)} "
                    f"Known: {', '.join(TRAITS)}"
                )
            found.add(trait)
            scanner.skip(",")
    return frozenset(found)


def _function(draft: Draft, name: str, *, required: bool) -> AttributeRule | None:
    found = _object(draft, name, required=required)
    if found is not None and not callable(found):
        raise GrammarSyntaxError(f"'{name}' is not a function but a {type(found).__name__}")
    return found


def _object(draft: Draft, name: str, *, required: bool) -> object:
    if name in draft.functions:
        return draft.functions[name]
    if ":" in name:
        found: object = import_object(name)
        return found
    if draft.module and not required:
        return getattr(_module(draft.module), name, None)
    if draft.module:
        found = import_object(f"{draft.module}:{name}")
        return found
    if required:
        raise GrammarSyntaxError(
            f"nothing says where '{name}' is: write 'package.module:name', or 'functions module'"
        )
    return None


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as fault:
        raise ConfigError(f"module '{name}' cannot be imported: {fault}") from fault


def _read_flow(draft: Draft, statement: Statement) -> None:
    name, _, path = (part.strip() for part in statement.text.partition("="))
    found = _object(draft, path or name, required=True)
    flow = found() if isinstance(found, type) else found
    if not isinstance(flow, Flow):
        raise GrammarSyntaxError(f"'{path or name}' is not a Flow: derive it from Flow or Chain")
    draft.flows[name] = flow


class _ProductionReader:
    """Turns alternatives into productions, one per combination of parameters."""

    def __init__(self, draft: Draft, symbols: set[str]) -> None:
        self._draft = draft
        self._symbols = symbols
        self._n_unlabelled: dict[str, int] = {}

    def read(self, _: Draft, statement: Statement) -> None:
        """Add the statement's productions to the draft."""
        name = Scanner(statement.symbol)
        symbol = name.name("the symbol before '->'")
        name.end()
        if symbol in self._draft.terminals:
            raise GrammarSyntaxError(f"'{symbol}' is a terminal, so it has no productions")
        for alternative in read_alternatives(statement.text):
            self._add(statement.line, symbol, alternative)

    def _add(self, line: int, symbol: str, alternative: Alternative) -> None:
        variants = [self._variants(line, each) for each in alternative.references]
        if math.prod(len(each) for each in variants) > MOST_VARIANTS:
            raise GrammarSyntaxError(
                f"the alternative stands for more than {MOST_VARIANTS} productions: "
                "move parameters into a symbol of their own"
            )
        flow = self._flow(alternative)
        label = alternative.label
        for items in itertools.product(*variants):
            draft = Production(symbol, items, alternative.weight, label, flow, line)
            if not label and not draft.renames:
                label = self._name(symbol)
                draft = Production(symbol, items, alternative.weight, label, flow, line)
            self._draft.productions.append(draft)

    def _name(self, symbol: str) -> str:
        self._n_unlabelled[symbol] = self._n_unlabelled.get(symbol, 0) + 1
        return f"{symbol}{self._n_unlabelled[symbol]}"

    def _flow(self, alternative: Alternative) -> Flow:
        name = alternative.flow or "chain"
        if name not in self._draft.flows:
            known = list(self._draft.flows)
            raise GrammarSyntaxError(f"there is no flow '{name}'{nearest(name, known)}")
        return self._draft.flows[name]

    def _variants(self, line: int, reference: Reference) -> list[Item]:
        name, terminals = reference.name, self._draft.terminals
        if name in self._symbols and not reference.quoted:
            if reference.values:
                raise GrammarSyntaxError(f"'{name}' is a nonterminal, so it takes no parameters")
            return [Item(name, reference.copies)]
        if name not in terminals and not reference.quoted:
            known = [*self._symbols, *terminals]
            self._draft.findings.append(
                error(
                    line,
                    "unknown-symbol",
                    f"'{name}' is neither a nonterminal nor a declared terminal"
                    f"{nearest(name, known)} Write it in quotes if it is an operation",
                )
            )
            terminals[name] = Terminal(name, line=line)
        if name not in terminals:
            rule = _function(self._draft, name, required=False)
            terminals[name] = Terminal(name, rule, line=line)
        return [Item(each, reference.copies) for each in self._operations(line, reference)]

    def _operations(self, line: int, reference: Reference) -> list[Operation]:
        sets = dict(self._draft.terminals[reference.name].parameters)
        unknown = [name for name, _ in reference.values if sets and name not in sets]
        if unknown:
            self._draft.findings.append(
                warning(
                    line,
                    "unknown-parameter",
                    f"'{reference.name}' was declared without the parameter '{unknown[0]}'"
                    f"{nearest(unknown[0], list(sets))}",
                )
            )
        sets.update(reference.values)
        names = list(sets)
        return [
            Operation(reference.name, tuple(zip(names, values, strict=True)))
            for values in itertools.product(*sets.values())
        ]

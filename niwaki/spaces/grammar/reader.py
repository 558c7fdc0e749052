"""Reads grammars: text, and YAML with the same alternatives in it.

Text is read line by line; `#` starts a comment, and a line that starts with `|` or with a space
goes on with the one before:

    start S
    input (im, 3, 32, 32)
    functions my_package.rules            # where attribute rules and flows are looked up by name
    functions my_folder/rules.py          # or a file; its path starts from the current folder
    terminal linear(d=16|32|64)
    terminal relu, norm
    terminal identity [identity]
    terminal permute(order=132|213) [permutation]
    terminal add [commutative] = my_package.joins:add
    flow route = my_package.flows:Routing

    S -> seq: M M | B
    M -> seq: M M [0.2] | B [0.2] | linear | relu | norm | identity
    B -> split@branch: clone(b=2) M M add | split4@branch: clone(b=4) M*4 add

    include other.grammar                 # or my.package:file.grammar

A weight belongs to each operation that an alternative stands for: `linear(d=16|32) [0.1]` is two
productions of weight 0.1. An operation in quotes needs no declaration, and may have any name.
Labels name the nodes of trees; flows are `chain` (the default), `branch`, `cell`, or declared. What
makes the module of a terminal, or of a flow's nodes, may stand behind `builds`:

    terminal conv(k=3|5) = my_package.rules:conv builds my_package.layers:Conv
"""

import importlib
import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from niwaki.core.errors import ConfigError, SpaceError
from niwaki.core.files import expanded
from niwaki.core.registry import import_object, nearest
from niwaki.core.user_files import import_file
from niwaki.core.wording import kind_of
from niwaki.spaces.grammar.attributes import FAULTS
from niwaki.spaces.grammar.findings import Finding, Level, error, warning
from niwaki.spaces.grammar.flows import UNTYPED, Branch, Cell, Chain, Flow
from niwaki.spaces.grammar.grammar import (
    TRAITS,
    AttributeRule,
    Grammar,
    Item,
    Operation,
    Production,
    Terminal,
)
from niwaki.spaces.grammar.includes import included_in, statements_in
from niwaki.spaces.grammar.statements import Statement
from niwaki.spaces.grammar.syntax import (
    Alternative,
    GrammarSyntaxError,
    Reference,
    Scanner,
    read_alternatives,
    read_literal,
    read_parameters,
)

DIRECTIVES = ("start", "input", "output", "functions", "terminal", "flow", "include")
MOST_VARIANTS = 4096
MOST_PRODUCTIONS = 100_000


@dataclass
class Draft:
    """A grammar being read, with what was found wrong on the way."""

    functions: Mapping[str, object] = field(default_factory=dict)
    start: str = ""
    input: object = UNTYPED
    output: object = None
    input_line: int = 0
    modules: list[str] = field(default_factory=list)
    terminals: dict[str, Terminal] = field(default_factory=dict)
    flows: dict[str, Flow] = field(
        default_factory=lambda: {"chain": Chain(), "branch": Branch(), "cell": Cell()}
    )
    builders: dict[str, str] = field(default_factory=dict)  # of flows
    productions: list[Production] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def grammar(self) -> Grammar:
        """Return what was read; meaningless if there are errors among the findings."""
        return Grammar(
            self.start,
            tuple(self.productions),
            dict(self.terminals),
            self.input,
            self.output,
            self.input_line,
        )


def read_grammar(
    text: str, functions: Mapping[str, object] | None = None, *, folder: Path | None = None
) -> Grammar:
    """Read a grammar from text.

    Args:
        text: As the module's docstring shows.
        functions: Attribute rules and flows by name, looked up before the module that the text
            names.
        folder: Where files are that the text includes; by default the working directory.

    Raises:
        SpaceError: With every error in the text.
    """
    statements, findings = included_in(text, folder or Path())
    draft = draft_of(statements, functions or {})
    draft.findings[:0] = findings
    return accepted(draft)


def accepted(draft: Draft) -> Grammar:
    """Return the draft's grammar.

    Raises:
        SpaceError: With every error that was found.
    """
    errors = [str(finding) for finding in draft.findings if finding.level is Level.ERROR]
    if errors:
        raise SpaceError("the grammar cannot be read:\n  " + "\n  ".join(errors))
    return draft.grammar()


def load_grammar(path: Path | str, functions: Mapping[str, object] | None = None) -> Grammar:
    """Read a grammar file: YAML if it ends in `.yaml` or `.yml`, text otherwise.

    Raises:
        SpaceError: If the file is missing, or with every error in it.
    """
    return accepted(draft_file(Path(path), functions or {}))


def draft_file(path: Path, functions: Mapping[str, object]) -> Draft:
    """Read a grammar file, faults and all.

    Raises:
        SpaceError: If the file is missing or no text.
    """
    statements, findings = statements_in(path)
    draft = draft_of(statements, functions)
    draft.findings[:0] = findings
    return draft


def draft_of(statements: list[Statement], functions: Mapping[str, object]) -> Draft:
    """Read statements; what cannot be read becomes a finding."""
    draft = Draft(functions)
    draft.findings += _said_twice(statements)
    for statement in statements:
        if statement.kind != "->":
            _guarded(draft, statement, _read_directive)
    symbols = {statement.symbol for statement in statements if statement.kind == "->"}
    starts = [statement for statement in statements if statement.kind == "start"]
    if symbols and draft.start and draft.start not in symbols:
        message = _placed(starts[-1], no_start(draft.start, symbols))
        draft.findings.append(error(starts[-1].line, "unknown-symbol", message))
    reader = _ProductionReader(draft, symbols)
    for statement in statements:
        if statement.kind == "->":
            _guarded(draft, statement, reader.read)
    if not draft.start and draft.productions:
        draft.start = draft.productions[0].symbol
    return draft


def _said_twice(statements: list[Statement]) -> Iterator[Finding]:
    """Yield what one file says twice; it may say otherwise than the files that it includes."""
    seen: set[tuple[str, str]] = set()
    for statement in statements:
        file = statement.source.partition(", line ")[0]
        if statement.kind in ("start", "input", "output") and (file, statement.kind) in seen:
            message = f"'{statement.kind}' is said twice: leave one out"
            yield error(statement.line, "syntax", _placed(statement, message))
        seen.add((file, statement.kind))


def _guarded(draft: Draft, statement: Statement, read: Callable[[Draft, Statement], None]) -> None:
    try:
        read(draft, statement)
    except GrammarSyntaxError as fault:
        draft.findings.append(error(statement.line, "syntax", _placed(statement, str(fault))))
    except ConfigError as fault:
        message = _placed(statement, str(fault))
        draft.findings.append(error(statement.line, "missing-function", message))


def no_start(start: str, symbols: Collection[str]) -> str:
    """Return what to say of a start that is none of the symbols with productions."""
    return f"the start symbol '{start}' has no productions{nearest(start, list(symbols))}"


def _placed(statement: Statement, message: str) -> str:
    """Return a message that says where, if the statement is from another file."""
    return f"{statement.source}: {message}" if statement.source else message


def _read_directive(draft: Draft, statement: Statement) -> None:
    kind, text = statement.kind, statement.text
    if kind == "start":
        draft.start = Scanner(text).name("a symbol")
    elif kind == "input":
        draft.input, draft.input_line = read_literal(text), statement.line
    elif kind == "output":
        draft.output = read_literal(text)
    elif kind == "functions":
        _module(text)  # said to be missing here, once, and not by each terminal
        draft.modules.append(text)
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
    text, builder = _with_builder(statement.text)
    declared, _, path = (part.strip() for part in text.partition(" = "))
    scanner = Scanner(declared)
    while True:
        name = scanner.name("a terminal's name")
        parameters = read_parameters(scanner)
        traits = _read_traits(scanner)
        if name in draft.terminals:
            raise GrammarSyntaxError(f"terminal '{name}' is declared twice")
        built = f"{builder}:{name}" if builder and ":" not in builder else builder
        terminal = Terminal(name, None, traits, parameters, statement.line, built)
        draft.terminals[name] = terminal  # whatever its rule is: it has been declared
        rule = _function(draft, path or name, required=bool(path))
        draft.terminals[name] = replace(terminal, rule=rule)
        if not scanner.skip(","):
            break
    scanner.end()


def _with_builder(text: str) -> tuple[str, str]:
    """Split `x = package.rules:x builds package.layers:x` before the last part."""
    declared, _, builder = f" {text}".partition(" builds ")
    return declared.strip(), builder.strip()


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
        raise GrammarSyntaxError(f"'{name}' is not a function but {kind_of(found)}")
    return found


def _object(draft: Draft, name: str, *, required: bool) -> object:
    if name in draft.functions:
        return draft.functions[name]
    if required and ":" in name:  # a path; in quotes, any operation may have such a name
        return imported(name)
    for module in reversed(draft.modules):
        found = getattr(_module(module), name, None)
        if found is not None:
            return found
    if required and draft.modules:
        found = import_object(f"{draft.modules[-1]}:{name}")
        return found
    if required:
        raise GrammarSyntaxError(
            f"nothing says where '{name}' is: write 'package.module:name', or 'functions module'"
        )
    return None


def imported(path: str) -> object:
    """Import `package.module:name`, or `path/to/file.py:name`.

    Raises:
        ConfigError: If the path is malformed, nothing is there, or the module fails.
    """
    if module := path.partition(":")[0]:
        _module(module)
    found: object = import_object(path)
    return found


def _module(name: str) -> ModuleType:
    try:
        if name.endswith(".py"):
            return import_file(expanded(name))
        return importlib.import_module(name)
    except ImportError as fault:
        raise ConfigError(
            f"module '{name}' cannot be imported: {fault}. Install it, add its folder to "
            "PYTHONPATH, or give the file: 'path/to/file.py'"
        ) from fault
    except ConfigError:  # there is no such file
        raise
    except FAULTS as fault:
        raise ConfigError(f"module '{name}' fails while it is imported: {fault!r}") from fault


def _read_flow(draft: Draft, statement: Statement) -> None:
    text, builder = _with_builder(statement.text)
    name, _, path = (part.strip() for part in text.partition("="))
    found = _object(draft, path or name, required=True)
    try:
        flow = found() if isinstance(found, type) else found
    except FAULTS as fault:
        raise GrammarSyntaxError(f"'{path or name}' cannot be made: {fault!r}") from fault
    if not isinstance(flow, Flow):
        raise GrammarSyntaxError(f"'{path or name}' is not a Flow: derive it from Flow or Chain")
    draft.flows[name] = flow
    draft.builders[name] = builder


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
        if math.prod(map(self._n_variants, alternative.references)) > MOST_VARIANTS:
            raise GrammarSyntaxError(
                f"the alternative stands for more than {MOST_VARIANTS} productions: move operations"
                " into symbols of their own, or give parameters fewer values"
            )
        if len(self._draft.productions) > MOST_PRODUCTIONS:
            raise GrammarSyntaxError(
                f"the grammar has more than {MOST_PRODUCTIONS} productions: give parameters fewer "
                "values, or leave out what is said with few of them"
            )
        variants = [self._variants(line, each) for each in alternative.references]
        flow = self._flow(alternative)
        builder = self._draft.builders.get(alternative.flow, "")
        label = alternative.label
        for items in itertools.product(*variants):
            way = Production(symbol, items, alternative.weight, label, flow, line, builder)
            if not label and not way.renames:
                label = self._name(symbol)
                way = replace(way, label=label)
            self._draft.productions.append(way)

    def _name(self, symbol: str) -> str:
        self._n_unlabelled[symbol] = self._n_unlabelled.get(symbol, 0) + 1
        return f"{symbol}{self._n_unlabelled[symbol]}"

    def _flow(self, alternative: Alternative) -> Flow:
        name = alternative.flow or "chain"
        if name not in self._draft.flows:
            known = list(self._draft.flows)
            raise GrammarSyntaxError(f"there is no flow '{name}'{nearest(name, known)}")
        return self._draft.flows[name]

    def _n_variants(self, reference: Reference) -> int:
        """Return how many operations a reference stands for, before any of them is made."""
        declared = self._draft.terminals.get(reference.name)
        sets = {**dict(declared.parameters if declared else ()), **dict(reference.values)}
        return math.prod(map(len, sets.values()))

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

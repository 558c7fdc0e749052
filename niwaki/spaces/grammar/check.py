"""Explains what is wrong with a grammar: errors forbid it, the rest is for its author."""

import math
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from niwaki.core.errors import SpaceError
from niwaki.core.registry import nearest
from niwaki.spaces.grammar.attributes import FAULTS, AttributeRuleError, Attributes
from niwaki.spaces.grammar.calls import builders_that_misfit, rules_that_misfit
from niwaki.spaces.grammar.components import recurring, shortest_cycle
from niwaki.spaces.grammar.costs import Budget
from niwaki.spaces.grammar.counting import Counting, TooManyStatesError
from niwaki.spaces.grammar.derive import Hole
from niwaki.spaces.grammar.findings import Finding, Level, error, note, warning
from niwaki.spaces.grammar.flows import Branch, Cell, Chain
from niwaki.spaces.grammar.grammar import Grammar, Production, Terminal
from niwaki.spaces.grammar.lookahead import MOST_WORK_FOR_ALL, OVERWORKED, Lookahead
from niwaki.spaces.grammar.rates import (
    CRITICAL_MARGIN,
    branching_rate,
    expected_operations,
    least_operations,
    lowest_heights,
    reachable_symbols,
)
from niwaki.spaces.grammar.reader import draft_file, no_start
from niwaki.spaces.grammar.tree import DEEPEST
from niwaki.spaces.grammar.variation import Engine

MOST_LEAST_OPERATIONS = 500
MOST_LEAST_HEIGHT = 50
MOST_LEAST_NETWORK = 1_000_000
_MOST_COMPARED = 3000  # trees
_MOST_LOOKED_AT = 6_000_000  # productions, each for each tree
MOST_CHILDREN = 250
_MOST_TRIED = 24  # trees
_MOST_TRIED_AMONG = 40_000  # productions, each for each tree
_SHIPPED = "niwaki."
_FULL_CELLS = {n * (n - 1) // 2 for n in range(2, 33)}


def check_file(path: Path | str) -> list[Finding]:
    """Read a grammar file and explain what is wrong with it, in order of lines.

    Never raises on account of the file: one that cannot be read is a finding.
    """
    try:
        draft = draft_file(Path(path), {})
    except SpaceError as fault:
        return [error(0, "unreadable", str(fault))]
    findings = list(draft.findings)
    if not any(finding.level is Level.ERROR for finding in findings):
        findings += _checked(draft.grammar())
    return sorted(findings, key=lambda finding: finding.line)


def _checked(grammar: Grammar) -> list[Finding]:
    """Check a grammar; that a flow of one's own fails is a finding, too."""
    own = [way for way in grammar.productions if not type(way.flow).__module__.startswith(_SHIPPED)]
    try:
        return check_grammar(grammar)
    except FAULTS as fault:
        if not own:
            raise
        where = traceback.extract_tb(fault.__traceback__)[-1]
        message = (
            f"the flow '{type(own[0].flow).__name__}' fails: {fault!r} ({Path(where.filename).name}"
            f", line {where.lineno}). Let its methods give what can be hashed, or None"
        )
        return [error(own[0].line, "flow", message)]


def check_grammar(grammar: Grammar) -> list[Finding]:
    """Explain what is wrong with a grammar."""
    findings = [*_symbols(grammar), *_weights(grammar)]
    if _broken(findings):
        return findings
    findings += [*_growth(grammar), *_labels(grammar)]
    if _broken(findings):
        return findings
    misfits = rules_that_misfit(grammar)
    findings += [*misfits, *builders_that_misfit(grammar)]
    findings += [*_ambiguity(grammar), *_rates(grammar)]
    if not misfits:
        findings += _attributes(grammar)
    return findings


def require_sound(grammar: Grammar) -> None:
    """Raise if a grammar has errors.

    Raises:
        SpaceError: With all of them.
    """
    quick = [*_symbols(grammar), *_weights(grammar)]
    if not _broken(quick):
        quick += [*_growth(grammar), *_labels(grammar), *rules_that_misfit(grammar)]
        if not grammar.typed:
            quick += _rules_without_input(grammar)
    errors = [str(finding) for finding in quick if finding.level is Level.ERROR]
    if errors:
        raise SpaceError("the grammar cannot be used:\n  " + "\n  ".join(errors))


def _broken(findings: list[Finding]) -> bool:
    return any(finding.level is Level.ERROR for finding in findings)


def _line(grammar: Grammar, symbol: str) -> int:
    ways = grammar.by_symbol.get(symbol, ())
    return ways[0].line if ways else 0


def _symbols(grammar: Grammar) -> Iterator[Finding]:
    if not grammar.productions:
        yield error(0, "empty", "the grammar has no productions: write `S -> ...`")
        return
    known = [*grammar.by_symbol, *grammar.terminals]
    if grammar.start not in grammar.by_symbol:
        yield error(0, "unknown-symbol", no_start(grammar.start, grammar.by_symbol))
        return
    for way in grammar.productions:
        for item in way.items:
            name = item.what if isinstance(item.what, str) else item.what.terminal
            table = grammar.by_symbol if isinstance(item.what, str) else grammar.terminals
            if name not in table:
                message = f"'{name}' in '{way.symbol}' is unknown{nearest(name, known)}"
                yield error(way.line, "unknown-symbol", message)
    reachable = reachable_symbols(grammar)
    for symbol in grammar.by_symbol:
        if symbol not in reachable:
            message = f"'{symbol}' cannot be reached from '{grammar.start}': use it or remove it"
            yield warning(_line(grammar, symbol), "unreachable", message)


def _weights(grammar: Grammar) -> Iterator[Finding]:
    for way in grammar.productions:
        if not (math.isfinite(way.weight) and way.weight >= 0.0):
            message = f"the weight of '{way.symbol} -> {way.spelled}' is {way.weight}"
            yield error(way.line, "weight", f"{message}: give a finite number of at least 0")
        elif way.weight == 0.0:
            message = f"'{way.symbol} -> {way.spelled}' has weight 0: only uniform sampling, which "
            yield warning(way.line, "zero-weight", f"{message}knows no weights, draws it")
    for symbol, ways in grammar.by_symbol.items():
        if not any(way.weight > 0.0 for way in ways):
            message = f"all productions of '{symbol}' have weight 0: give one some weight"
            yield error(ways[0].line, "zero-weight", message)
        if sum(way.weight for way in ways) == math.inf:
            message = f"the weights of '{symbol}' add up to infinity: divide all by one number"
            yield error(ways[0].line, "weight", message)


def _growth(grammar: Grammar) -> Iterator[Finding]:
    """Yield what keeps derivations from ending, or makes the smallest one huge."""
    least = least_operations(grammar)
    reachable = reachable_symbols(grammar)
    for symbol in grammar.by_symbol:
        if symbol not in least:
            level = error if symbol in reachable else warning
            yield level(
                _line(grammar, symbol),
                "unproductive",
                f"no derivation of '{symbol}' ends: each of its productions needs a symbol that "
                "does not end either, or has weight 0. Give it a production of operations alone",
            )
    smallest = least.get(grammar.start, 0)
    if smallest > MOST_LEAST_OPERATIONS:
        yield error(
            _line(grammar, grammar.start),
            "blow-up",
            f"the smallest derivation has {smallest:.6g} operations, above {MOST_LEAST_OPERATIONS}:"
            " repeat a derived child (`M*8`) instead of doubling symbols",
        )
    built = least_operations(grammar, copies=True).get(grammar.start, 0)
    if built > MOST_LEAST_NETWORK:
        yield error(
            _line(grammar, grammar.start),
            "blow-up",
            f"the smallest network has {built:.6g} operations, copies counted, above "
            f"{MOST_LEAST_NETWORK}: repeat less",
        )
    height = lowest_heights(grammar).get(grammar.start, 0)
    if height > MOST_LEAST_HEIGHT:
        yield error(
            _line(grammar, grammar.start),
            "blow-up",
            f"the lowest derivation has {height} levels, above {MOST_LEAST_HEIGHT}: leave out "
            "symbols that only hand on to the next",
        )
    for way in grammar.productions:
        if len(way.items) > MOST_CHILDREN:
            message = (
                f"'{way.symbol} -> {way.label}: ...' has {len(way.items)} children, and at most "
                f"{MOST_CHILDREN} were wanted: repeat a child (`M*8`), or give some a symbol"
            )
            yield error(way.line, "blow-up", message)
    yield from _renaming_cycles(grammar)
    yield from _left_recursion(grammar)


def _renaming_cycles(grammar: Grammar) -> Iterator[Finding]:
    """Yield cycles of symbols that only rename, until each symbol with one is in one of them."""
    renames = {
        (symbol, way.items[0].what): way
        for symbol, ways in grammar.by_symbol.items()
        for way in ways[::-1]
        if way.renames and isinstance(way.items[0].what, str)
    }
    edges: dict[str, list[str]] = {symbol: [] for symbol in grammar.by_symbol}
    for symbol, other in renames:
        edges[symbol].append(str(other))
    told: set[str] = set()
    for symbol in edges:
        cycle = [] if symbol in told else shortest_cycle(symbol, edges)
        told.update(cycle)
        if cycle:
            yield error(
                renames[cycle[0], cycle[1]].line,
                "renaming-cycle",
                f"'{symbol}' can be renamed to itself ({' -> '.join(cycle)}), so every tree has "
                "endlessly many derivations: remove a production that only renames",
            )


def _left_recursion(grammar: Grammar) -> Iterator[Finding]:
    edges = {
        symbol: [
            way.items[0].what
            for way in ways
            if isinstance(way.items[0].what, str) and way.weight > 0.0
        ]
        for symbol, ways in grammar.by_symbol.items()
    }
    cyclic = recurring(edges)
    for symbol, ways in grammar.by_symbol.items():
        flat = any(way.label in grammar.sequences for way in ways)
        if symbol in cyclic and not flat:
            yield note(
                _line(grammar, symbol),
                "left-recursion",
                f"'{symbol}' can start with itself: derivations are bounded by the budget only. "
                "As a sequence, `X -> X X`, its trees would be flat",
            )


def _labels(grammar: Grammar) -> Iterator[Finding]:
    """Yield what makes trees unreadable: names with two meanings."""
    flows: dict[str, Production] = {}
    for way in grammar.productions:
        if way.renames:
            if type(way.flow) is not Chain and isinstance(way.items[0].what, str):
                message = f"'{way.symbol} -> {way.spelled}' only renames, so it has no flow"
                yield error(way.line, "flow", message)
            continue
        if way.label in grammar.operations or way.label in grammar.terminals or not way.label:
            message = f"the label '{way.label}' is also an operation: choose another one"
            yield error(way.line, "label", message)
        first = flows.setdefault(way.label, way)
        if first.flow != way.flow:
            message = f"label '{way.label}' has another flow on line {first.line}: use two labels"
            yield error(way.line, "label", message)
        if isinstance(way.flow, Branch) and len(way.items) < 3:
            message = f"'{way.spelled}' branches, so it needs a split, branches and a join"
            yield error(way.line, "flow", message)
        if isinstance(way.flow, Cell) and len(way.items) not in _FULL_CELLS:
            message = (
                f"'{way.spelled}' is a cell of {len(way.items)} edges: cells of 2, 3, 4, ... nodes "
                "have 1, 3, 6, ... edges"
            )
            yield error(way.line, "flow", message)


def _ambiguity(grammar: Grammar) -> Iterator[Finding]:
    seen: dict[tuple[str, object, str], Production] = {}
    for way in grammar.productions:
        key = (way.symbol, way.items, "" if way.renames else way.label)
        if key in seen:
            message = f"'{way.symbol} -> {way.spelled}' is also on line {seen[key].line}: "
            yield warning(way.line, "duplicate", message + "add their weights instead")
        seen.setdefault(key, way)
    example = _derived_twice(grammar)
    if example:
        yield warning(
            _line(grammar, grammar.start),
            "ambiguous",
            f"'{example}' has more than one derivation, so counts and uniform draws are skewed: "
            "remove a production, or give different labels",
        )


def _derived_twice(grammar: Grammar) -> str:
    """Return a small tree with two derivations, attributes aside, if there is one."""
    counting = Counting(Attributes(_untyped(grammar)), most_states=20_000)
    n_compared = 0
    most_compared = min(_MOST_COMPARED, _MOST_LOOKED_AT // len(grammar.productions))
    try:
        for size in range(1, 9):
            seen: set[str] = set()
            for tree in counting.enumerate(size):
                text = str(tree)
                if text in seen:
                    return text
                seen.add(text)
                n_compared += 1
                if n_compared > most_compared:
                    return ""
    except TooManyStatesError:
        pass
    return ""


def _untyped(grammar: Grammar) -> Grammar:
    """Return the grammar without attributes: flows of one's own say nothing about shapes then."""
    ways = (
        way if type(way.flow) is Chain else replace(way, flow=Branch())
        for way in grammar.productions
    )
    return Grammar(grammar.start, tuple(ways), {n: Terminal(n) for n in grammar.terminals})


def _rates(grammar: Grammar) -> Iterator[Finding]:
    line = _line(grammar, grammar.start)
    rate = branching_rate(grammar)
    if rate >= 1.0 - CRITICAL_MARGIN:
        yield warning(
            line,
            "super-critical",
            f"the branching rate is {rate:.4f}, and below 1 was wanted: derivations grow without "
            "end. Give productions without recursion more weight, or search with "
            "`expected_operations`, which tilts the weights",
        )
        return
    mean = expected_operations(grammar)[grammar.start]
    yield note(
        line, "size", f"the branching rate is {rate:.4f}; a derivation has {mean:.4g} operations"
        " on average, attributes and budget aside",
    )  # fmt: skip
    copies = branching_rate(grammar, copies=True)
    if copies >= 1.0 - CRITICAL_MARGIN:
        yield warning(
            line,
            "blow-up",
            f"counting copies of repeated children, the branching rate is {copies:.4f}: the "
            "networks built have no finite mean size. Keep `budget.network_operations`",
        )


def _attributes(grammar: Grammar) -> Iterator[Finding]:
    if not grammar.typed:
        yield from _rules_without_input(grammar)
        return
    for name, terminal in grammar.terminals.items():
        used = any(operation.terminal == name for operation in grammar.operations.values())
        if used and terminal.rule is None and "identity" not in terminal.traits:
            yield warning(
                terminal.line,
                "missing-rule",
                f"'{name}' has no attribute rule, so it is taken to change nothing: name its "
                "function, `terminal x = package.module:function`, or give it the trait identity",
            )
    try:
        if _applies(grammar):
            yield from _failing_rules(grammar)
            return
        why = why_nothing_applies(grammar)
    except AttributeRuleError as fault:
        yield error(fault.line, "attribute-rule", str(fault))
        return
    yield error(
        _line(grammar, grammar.start),
        "infeasible",
        f"no small tree is known to apply to the input {grammar.input!r}: {why}",
    )


def _applies(grammar: Grammar) -> bool:
    """Whether a small tree is known to apply to the input."""
    lookahead = Lookahead(Attributes(grammar), slack=1)
    lookahead.work_left = MOST_WORK_FOR_ALL
    try:
        return any(True for _ in lookahead.outcomes(grammar.start, grammar.input))
    except OVERWORKED:
        return False


def _failing_rules(grammar: Grammar) -> Iterator[Finding]:
    """Yield an attribute rule that fails in trees that take their productions by turns."""
    least = least_operations(grammar)[grammar.start]
    engine = Engine(grammar, Budget(operations=max(least, Budget().operations)))
    n_taken: Counter[Production] = Counter()

    def take_turns(
        hole: Hole,  # noqa: ARG001
        ways: Sequence[Production],
        possible: Callable[[Production], bool],
    ) -> Production | None:
        rarely = sorted(ways, key=n_taken.__getitem__)
        way = next((way for way in rarely if possible(way)), None)
        n_taken.update([way] if way else [])
        return way

    n_trees = min(_MOST_TRIED, _MOST_TRIED_AMONG // len(grammar.productions))
    try:
        for _ in range(n_trees):
            engine.derive(take_turns)
    except AttributeRuleError as fault:
        yield error(fault.line, "attribute-rule", str(fault))
    except SpaceError:
        return  # nothing is known to give the wanted output: a space says more


def _rules_without_input(grammar: Grammar) -> Iterator[Finding]:
    """Yield the first operation of which the rule has nothing to start from."""
    for operation in grammar.operations.values():
        terminal = grammar.terminals[operation.terminal]
        if terminal.rule is not None:
            yield error(
                terminal.line,
                "missing-input",
                f"'{terminal.name}' has an attribute rule, but the grammar has no input: say what "
                "attribute networks start from, `input (3, 32, 32)`",
            )
            return


def why_nothing_applies(grammar: Grammar) -> str:
    """Return why a smallest tree does not fit the input, as an example of all.

    Raises:
        AttributeRuleError: If a rule fails there.
    """
    least = least_operations(grammar)[grammar.start]
    budget = Budget(operations=least, depth=DEEPEST, network_operations=MOST_LEAST_NETWORK)
    try:
        smallest = Engine(_untyped(grammar), budget).derive(
            lambda hole, ways, possible: next(filter(possible, ways), None)  # noqa: ARG005
        )
    except SpaceError:  # it nests too deeply, or repeats too much
        return "no production's attributes fit together"
    fault = Attributes(grammar).whole(smallest.tree).fault
    return fault or "no production's attributes fit together"

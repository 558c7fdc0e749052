"""Networks of a user's own grammar built for trial, so that modules are checked before a search."""

from dataclasses import replace
from pathlib import Path

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.core.randomness import stream
from niwaki.spaces.base import Space
from niwaki.spaces.einspace.attributes import is_image, shape_of
from niwaki.spaces.einspace.own import GrammarSettings
from niwaki.spaces.grammar.costs import Budget
from niwaki.spaces.grammar.findings import Finding, error, warning
from niwaki.spaces.grammar.grammar import Grammar
from niwaki.spaces.grammar.reader import load_grammar
from niwaki.spaces.grammar.report import GrammarReport, check_report
from niwaki.spaces.heads import Head, HeadKind

N_BUILT = 24
SMALL = Budget(parameters=10_000_000, macs=1_000_000_000, elements=10_000_000)
_ANSWER = Head("trial", HeadKind.VECTOR, 2)


def full_report(path: Path | str) -> GrammarReport:
    """Explain what is wrong with a grammar file, and with the modules that it makes.

    A grammar without errors whose operations all have modules, some of the user's own, is sampled;
    random networks within `SMALL` are built for the grammar's own input. Where none can be, a
    warning says why: nobody looked at the modules.
    """
    report = check_report(path)
    if report.exit_code:
        return report
    found = (*report.findings, *_misbuilt(Path(path)))
    return replace(report, findings=tuple(sorted(found, key=lambda finding: finding.line)))


def _misbuilt(path: Path) -> list[Finding]:
    """Return what is wrong with modules, once for each of their makers."""
    grammar = load_grammar(path)
    lines = _makers(grammar)
    if not lines:
        return []
    try:
        shape = shape_of(grammar.input)
        given = shape if is_image(shape) else shape[::-1]  # data have features first
        family = GrammarSettings(str(path), budget=SMALL).family(given, [_ANSWER])
    except SpaceError as fault:
        return [_unchecked(fault)]
    drawn, undrawn = _drawn(family.space)
    if not drawn:
        return list(map(_unchecked, undrawn[:1]))
    faults: dict[str, Finding] = {}
    for candidate in drawn:
        try:
            family.build(candidate)
        except SpaceError as fault:
            maker = next((maker for maker in lines if f"'{maker}'" in str(fault)), "")
            faults.setdefault(maker, error(lines.get(maker, 0), "module", str(fault)))
    return list(faults.values())


def _drawn(space: Space) -> tuple[list[Candidate], list[SpaceError]]:
    """Return random candidates, and why there are fewer than `N_BUILT`."""
    drawn, undrawn = list[Candidate](), list[SpaceError]()
    for number in range(N_BUILT):
        try:
            drawn.append(space.sample(stream(number, "trial build")))
        except SpaceError as fault:
            undrawn.append(fault)
    return drawn, undrawn


def _unchecked(fault: SpaceError) -> Finding:
    message = f"modules were not checked, as no network could be built for trial: {fault}"
    return warning(0, "unchecked", message)


def _makers(grammar: Grammar) -> dict[str, int]:
    """Return the lines in which makers of modules are named."""
    terminals = ((terminal.builder, terminal.line) for terminal in grammar.terminals.values())
    nodes = ((production.builder, production.line) for production in grammar.productions)
    return {builder: line for builder, line in [*nodes, *terminals] if builder}

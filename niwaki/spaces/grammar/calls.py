"""Whether the functions that a grammar names can be called as its operations will call them."""

from collections.abc import Iterator, Mapping

from niwaki.core.calls import misfit
from niwaki.core.errors import ConfigError, SpaceError
from niwaki.spaces.grammar.findings import Finding, error
from niwaki.spaces.grammar.grammar import Grammar, Operation, Parameter
from niwaki.spaces.grammar.reader import imported


def rules_that_misfit(grammar: Grammar) -> list[Finding]:
    """Return which attribute rules cannot be called with the parameters of an operation."""
    found: dict[str, Finding] = {}
    for operation in _examples(grammar):
        rule = grammar.terminals[operation.terminal].rule
        fault = _fault(rule, dict(operation.parameters)) if rule is not None else ""
        if fault:
            message = f"the attribute rule of '{operation.terminal}' {fault}"
            found.setdefault(message, error(_line(grammar, operation), "parameters", message))
    return list(found.values())


def builders_that_misfit(grammar: Grammar) -> list[Finding]:
    """Return which makers of modules are missing, or cannot be called as they will be."""
    found: dict[str, Finding] = {}
    for line, path, parameters in _calls(grammar):
        try:
            builder = imported(path)
        except ConfigError as fault:
            found.setdefault(str(fault), error(line, "missing-function", str(fault)))
            continue
        misfit = "" if parameters is None else _fault(builder, parameters)
        if misfit:
            message = f"'{path}' {misfit}"
            found.setdefault(message, error(line, "parameters", message))
    return list(found.values())


def require_builders(grammar: Grammar) -> None:
    """Raise if a maker of modules is missing, or cannot be called as it will be.

    Raises:
        SpaceError: With all that is wrong.
    """
    errors = [str(finding) for finding in builders_that_misfit(grammar)]
    if errors:
        raise SpaceError("networks of the grammar cannot be built:\n  " + "\n  ".join(errors))


def _examples(grammar: Grammar) -> list[Operation]:
    """Return the first operation of each terminal with each set of parameters."""
    found: dict[tuple[str, ...], Operation] = {}
    for operation in grammar.operations.values():
        names = (operation.terminal, *dict(operation.parameters))
        found.setdefault(names, operation)
    return list(found.values())


def _calls(grammar: Grammar) -> Iterator[tuple[int, str, Mapping[str, Parameter] | None]]:
    """Yield line, maker of modules and its parameters; None for these if nothing calls it."""
    for operation in _examples(grammar):
        if builder := grammar.terminals[operation.terminal].builder:
            yield _line(grammar, operation), builder, dict(operation.parameters)
    for terminal in grammar.terminals.values():
        if terminal.builder:
            yield terminal.line, terminal.builder, None
    for way in grammar.productions:
        if way.builder:
            yield way.line, way.builder, {}


def _line(grammar: Grammar, operation: Operation) -> int:
    """Return where an operation's parameters are said: in its terminal, or in a production."""
    terminal = grammar.terminals[operation.terminal]
    if dict(operation.parameters).keys() <= dict(terminal.parameters).keys():
        return terminal.line
    return next(way.line for way in grammar.productions if operation in way.whats)


def _fault(function: object, parameters: Mapping[str, Parameter]) -> str:
    """Return why `function(given, **parameters)` is no call; empty if it is one, or none can know.

    Rules are called with what comes, makers of modules with its shape or with modules.
    """
    fault = misfit(function, ("given",), parameters)
    return fault and f"{fault}. Let the grammar name a function with the same parameters"

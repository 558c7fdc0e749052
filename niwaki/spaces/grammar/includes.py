"""Grammar files that take in others: `include other.grammar`, `include my.package:file.grammar`."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar.findings import Finding, error, warning
from niwaki.spaces.grammar.statements import Statement, statements_of

INCLUDE = "include"
MOST_CHARACTERS = 2_000_000


def statements_in(path: Path) -> tuple[list[Statement], list[Finding]]:
    """Read a grammar file, YAML if it ends in `.yaml` or `.yml`, and all that it includes.

    Raises:
        SpaceError: If the file is missing or no text.
    """
    return _read(path, {path.resolve()})


def included_in(text: str, folder: Path) -> tuple[list[Statement], list[Finding]]:
    """Read a grammar's text, and all that it includes.

    Args:
        text: Of the grammar.
        folder: Where included files are looked for.
    """
    return _expanded(statements_of(text), folder, set(), None)


def _read(path: Path, seen: set[Path]) -> tuple[list[Statement], list[Finding]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except FileNotFoundError as fault:
        raise SpaceError(
            f"there is no grammar file '{path}': relative paths start from {Path.cwd()}"
        ) from fault
    except (OSError, UnicodeDecodeError) as fault:
        raise SpaceError(f"grammar file '{path}' cannot be read: {fault}") from fault
    if len(text) > MOST_CHARACTERS:
        raise SpaceError(
            f"grammar file '{path}' has more than {MOST_CHARACTERS} characters: is it a grammar?"
        )
    if path.suffix in (".yaml", ".yml"):
        from niwaki.spaces.grammar.yaml_reader import yaml_statements

        statements, findings = yaml_statements(text)
    else:
        statements, findings = statements_of(text), []
    expanded, more = _expanded(statements, path.parent, seen, path.resolve())
    return expanded, findings + more


def _expanded(
    statements: list[Statement], folder: Path, seen: set[Path], reading: Path | None
) -> tuple[list[Statement], list[Finding]]:
    """Put what is included in the place of its statement; no file comes twice."""
    found: list[Statement] = []
    findings: list[Finding] = []
    for statement in statements:
        if statement.kind != INCLUDE:
            found.append(statement)
            continue
        try:
            path = _resolved(statement.text, folder)
            resolved = path.resolve()
            if resolved == reading:
                message = "this file includes itself: leave the line out"
                findings.append(warning(statement.line, "include", message))
            if resolved in seen:
                continue
            seen.add(resolved)
            inside, faults = _read(path, seen)
        except SpaceError as fault:
            findings.append(error(statement.line, "include", str(fault)))
            continue
        # Their lines are those of another file, which messages name instead.
        found += [_from(path.name, each) for each in inside]
        findings += [replace(each, line=0, message=f"in '{path.name}': {each}") for each in faults]
    return found, findings


def _from(name: str, statement: Statement) -> Statement:
    if statement.source:
        return statement
    return replace(statement, line=0, source=f"'{name}', line {statement.line}")


def _resolved(name: str, folder: Path) -> Path:
    """Return the path of an included file."""
    package, colon, file = name.partition(":")
    if not colon:
        return folder / name
    try:
        return Path(str(files(package).joinpath(file)))
    except (ImportError, TypeError) as fault:
        raise SpaceError(f"'{name}': the package '{package}' cannot be found") from fault

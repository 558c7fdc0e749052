"""Findings: what is wrong with a grammar, and where."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # the grammar cannot be used
    WARNING = "warning"  # it can, but probably does not do what was meant
    NOTE = "note"  # worth knowing


@dataclass(frozen=True)
class Finding:
    """One remark about a grammar.

    Attributes:
        level: How bad it is.
        line: Line of the file, from 1; 0 if it concerns the whole, or a grammar built in Python.
        code: Short stable name, such as `unknown-symbol`.
        message: What was wanted, what came, what to do.
    """

    level: Level
    line: int
    code: str
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.level} [{self.code}] {self.message}"


def error(line: int, code: str, message: str) -> Finding:
    """Return a finding that forbids the grammar."""
    return Finding(Level.ERROR, line, code, message)


def warning(line: int, code: str, message: str) -> Finding:
    """Return a finding that doubts the grammar."""
    return Finding(Level.WARNING, line, code, message)


def note(line: int, code: str, message: str) -> Finding:
    """Return a finding worth knowing."""
    return Finding(Level.NOTE, line, code, message)

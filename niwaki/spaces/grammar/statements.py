"""From text to statements: comments taken out, continued lines joined."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """One logical line: a directive with its text, or `->` with a symbol and its alternatives.

    Attributes:
        line: Of the file that is read; 0 if it comes from one that is included.
        kind: Name of the directive, or `->`.
        text: What follows it.
        symbol: What stands before `->`.
        source: Included file and line, for messages; empty in the file itself.
    """

    line: int
    kind: str
    text: str
    symbol: str = ""
    source: str = ""


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
    return line[: _unquoted(line, "#")].rstrip()


def _unquoted(line: str, mark: str) -> int | None:
    """Return where a mark stands that is not within quotes; None if nowhere."""
    quote = ""
    for at, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif line.startswith(mark, at):
            return at
    return None


def _statements(number: int, line: str) -> Iterator[Statement]:
    """Yield one statement per physical line, so that findings name the right one."""
    head, *continued = line.split("\n")
    arrow = _unquoted(head, "->")
    if arrow is None:
        rest = " ".join(part.partition("\0")[2].strip() for part in continued)
        kind, *text = head.split(maxsplit=1)
        yield Statement(number, kind, " ".join([*text, rest]).strip())
        return
    symbol, alternatives = head[:arrow], head[arrow + 2 :]
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

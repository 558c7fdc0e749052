"""The syntax of one alternative, one declaration, one value: tokens in, parts out."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from niwaki.spaces.grammar.grammar import NAME, Parameter

MOST_BRACKETS = 50  # within each other, in an attribute
_TOKEN = re.compile(
    rf"""\s*(?:
    (?P<name>{NAME.pattern}) |
    (?P<number>[+-]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?) |
    (?P<string>"[^"]*"|'[^']*') |
    (?P<mark>[|(),=*\[\]:@])
    )""",
    re.VERBOSE,
)


class GrammarSyntaxError(Exception):
    """Text that cannot be read; becomes a finding with its line."""


@dataclass(frozen=True)
class Token:
    """One word of a grammar file."""

    kind: str
    text: str


@dataclass(frozen=True)
class Reference:
    """A symbol in a production, before anyone knows what it names.

    Attributes:
        name: Nonterminal or terminal.
        quoted: Whether it was written in quotes: a terminal that needs no declaration.
        values: Parameter sets in brackets, by name.
        copies: Repetition.
    """

    name: str
    quoted: bool
    values: tuple[tuple[str, tuple[Parameter, ...]], ...]
    copies: int


@dataclass(frozen=True)
class Alternative:
    """One alternative of a production as written: `label@flow: X linear(d=1|2) Y*4 [0.3]`."""

    label: str
    flow: str
    references: tuple[Reference, ...]
    weight: float


class Scanner:
    """Reads tokens one after another."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens_of(text)
        self._at = 0

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._tokens)

    def peek(self, ahead: int = 0) -> str:
        """Return a coming token's text, or an empty string at the end; strings keep quotes."""
        at = self._at + ahead
        return self._tokens[at].text if at < len(self._tokens) else ""

    def take(self, wanted: str) -> Token:
        """Return the next token."""
        if self.done:
            raise GrammarSyntaxError(f"{wanted} was wanted, but the text ends")
        self._at += 1
        return self._tokens[self._at - 1]

    def name(self, wanted: str) -> str:
        """Take a name."""
        token = self.take(wanted)
        if token.kind != "name":
            raise GrammarSyntaxError(f"{wanted} was wanted, but '{token.text}' came")
        return token.text

    def skip(self, mark: str) -> bool:
        """Take `mark` if it comes next."""
        if self.peek() != mark:
            return False
        self._at += 1
        return True

    def expect(self, mark: str) -> None:
        """Take `mark`."""
        if not self.skip(mark):
            raise GrammarSyntaxError(f"'{mark}' was wanted, but '{self.peek() or 'the end'}' came")

    def end(self) -> None:
        """Make sure that nothing is left."""
        if not self.done:
            raise GrammarSyntaxError(f"'{self.peek()}' is too much here")

    def value(self) -> Parameter:
        """Take a parameter: a number, true or false, a name or a quoted string."""
        token = self.take("a value")
        if token.kind == "number":
            return _number(token.text)
        if token.kind == "string":
            return token.text[1:-1]
        if token.kind == "name":
            return token.text in ("True", "true") if token.text in _BOOLEANS else token.text
        raise GrammarSyntaxError(f"a value was wanted, but '{token.text}' came")


def _number(text: str) -> int | float:
    try:
        number = float(text) if re.search(r"[.eE]", text) else int(text)
        finite = math.isfinite(float(number))  # weights, and what users' rules compute, are floats
    except (ValueError, OverflowError):  # Python reads no integers of thousands of digits
        finite = False
    if not finite:
        spelled = text if len(text) <= 24 else f"{text[:12]}..."
        raise GrammarSyntaxError(f"{spelled} is too large a number")
    return number


_BOOLEANS = ("True", "true", "False", "false")


def tokens_of(text: str) -> list[Token]:
    """Split `text` into tokens."""
    found: list[Token] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise GrammarSyntaxError(
                f"{text[at:].strip()[:12]!r} cannot be read: names are letters, digits, '_', '.' "
                "and '-'; in a production, any other name goes in quotes"
            )
        kind = match.lastgroup or ""
        found.append(Token(kind, match.group(kind)))
        at = match.end()
    return found


def read_parameters(scanner: Scanner) -> tuple[tuple[str, tuple[Parameter, ...]], ...]:
    """Read `(d=16|32, k=3)`, if it comes next."""
    if not scanner.skip("("):
        return ()
    found: list[tuple[str, tuple[Parameter, ...]]] = []
    while not scanner.skip(")"):
        name = scanner.name("a parameter's name")
        scanner.expect("=")
        values = [scanner.value()]
        while scanner.skip("|"):
            values.append(scanner.value())
        if name in dict(found):
            raise GrammarSyntaxError(f"parameter '{name}' is given twice")
        found.append((name, tuple(values)))
        if scanner.peek() != ")":
            scanner.expect(",")
    return tuple(found)


def read_alternatives(text: str) -> list[Alternative]:
    """Read alternatives with `|` between them."""
    scanner = Scanner(text)
    found = [_read_alternative(scanner)]
    while scanner.skip("|"):
        found.append(_read_alternative(scanner))
    scanner.end()
    return found


def _read_alternative(scanner: Scanner) -> Alternative:
    label, flow = "", ""
    if scanner.peek(1) == ":" or (scanner.peek(1) == "@" and scanner.peek(3) == ":"):
        label = scanner.name("a label")
        flow = scanner.name("a flow") if scanner.skip("@") else ""
        scanner.expect(":")
    references: list[Reference] = []
    while not scanner.done and scanner.peek() not in ("|", "["):
        references.append(_read_reference(scanner))
    if not references:
        raise GrammarSyntaxError(
            "an alternative is empty: write an operation with the trait 'identity' instead"
        )
    return Alternative(label, flow, tuple(references), _read_weight(scanner))


def _read_weight(scanner: Scanner) -> float:
    if not scanner.skip("["):
        return 1.0
    weight = scanner.value()
    scanner.expect("]")
    if isinstance(weight, bool | str):
        raise GrammarSyntaxError(f"a weight is a number, but '{weight}' came")
    return float(weight)


def _read_reference(scanner: Scanner) -> Reference:
    token = scanner.take("a symbol")
    if token.kind not in ("name", "string"):
        raise GrammarSyntaxError(f"a symbol was wanted, but '{token.text}' came")
    quoted = token.kind == "string"
    name = token.text[1:-1] if quoted else token.text
    if quoted and not name.strip():
        raise GrammarSyntaxError(f"{token.text} names no operation: write something in the quotes")
    if not name.isprintable():
        raise GrammarSyntaxError(f"{name!r} holds characters that cannot be seen: leave them out")
    values = read_parameters(scanner)
    copies: Parameter = 1
    if scanner.skip("*"):
        copies = scanner.value()
    if isinstance(copies, bool) or not isinstance(copies, int) or copies < 1:
        raise GrammarSyntaxError(f"'{name}*{copies}': copies are a whole number of at least 1")
    return Reference(name, quoted, values, copies)


def read_literal(text: str) -> object:
    """Read an attribute: numbers, names and nested round brackets, `(im, 3, 32, 32)`."""
    try:
        scanner = Scanner(text)
        value = _read_literal(scanner)
        scanner.end()
    except GrammarSyntaxError as fault:
        raise GrammarSyntaxError(
            f"{fault}: an attribute is a number, a name, or some of them in round brackets, with "
            "commas, `((3, 32, 32), none)`"
        ) from fault
    return value


def _read_literal(scanner: Scanner, depth: int = 0) -> object:
    if depth > MOST_BRACKETS:
        raise GrammarSyntaxError(f"brackets are at most {MOST_BRACKETS} within each other")
    if not scanner.skip("("):
        value = scanner.value()
        return None if value in ("None", "none") else value
    values: list[object] = []
    while not scanner.skip(")"):
        values.append(_read_literal(scanner, depth + 1))
        if scanner.peek() != ")":
            scanner.expect(",")
    return tuple(values)


def frozen(value: object) -> object:
    """Return `value` with lists turned into tuples, so that it can be hashed."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(frozen(each) for each in value)
    return value

"""The text form of trees: `seq(route(im2col(k=3), linear(d=64), col2im), relu)`."""

import re

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar.grammar import spell, spell_name
from niwaki.spaces.grammar.syntax import GrammarSyntaxError, Scanner, read_parameters
from niwaki.spaces.grammar.tree import DEEPEST, Tree, tree_from_json


def read_tree(text: str) -> Tree:
    """Read what `str(tree)` wrote; spaces and line breaks are free.

    Raises:
        SpaceError: If the text is not that of a tree.
    """
    try:
        scanner = Scanner(text)
        tree = _read_node(scanner, 0)
        scanner.end()
    except GrammarSyntaxError as fault:
        shown = re.sub(r"\s+", " ", text.strip())[:60]
        raise SpaceError(
            f"a tree such as 'seq(relu, linear(d=64))' was wanted, but '{shown}' came: "
            f"{_as_text(text) or fault}"
        ) from fault
    return tree


def _as_text(text: str) -> str:
    """Return how a tree in JSON is written as text; empty if the text is none."""
    try:
        tree = tree_from_json(text)
    except SpaceError:
        return ""
    return f"that is JSON, and the same tree is written {tree}"


def _read_node(scanner: Scanner, depth: int) -> Tree:
    if depth > DEEPEST:
        raise GrammarSyntaxError(f"it nests deeper than {DEEPEST} levels")
    token = scanner.take("an operation or a label")
    name = spell_name(token.text[1:-1]) if token.kind == "string" else token.text
    if scanner.peek() != "(":
        return Tree(name)
    if scanner.peek(2) == "=":
        return Tree(_spelled(name, scanner))
    scanner.expect("(")
    children = [_read_node(scanner, depth + 1)]
    while not scanner.skip(")"):
        scanner.expect(",")
        children.append(_read_node(scanner, depth + 1))
    return Tree(name, tuple(children))


def _spelled(name: str, scanner: Scanner) -> str:
    parameters = read_parameters(scanner)
    for parameter, values in parameters:
        if len(values) != 1:
            raise GrammarSyntaxError(f"'{parameter}' of '{name}' has several values")
    inside = ",".join(f"{parameter}={spell(values[0])}" for parameter, values in parameters)
    return f"{name}({inside})"

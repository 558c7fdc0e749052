"""What came, in words, and words as they may be shown."""

import re

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def kind_of(value: object) -> str:
    """Return the type of a value with its article: `a list`, `an int`."""
    name = type(value).__name__
    # With u begin a UserDict and a uint8, and an ndarray is read letter by letter.
    article = "an" if name[0] in "aeioAEIO" or name == "ndarray" else "a"
    return f"{article} {name}"


def qualified_name(value: object) -> str:
    """Return the type of a value with its module: `torch.nn.modules.linear.Linear`."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def for_spreadsheet(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: an apostrophe stands before such."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def on_one_line(text: str) -> str:
    """Return text as for a terminal, with tabs and ends of lines spelled out, too."""
    return for_terminal(text).replace("\t", "\\t").replace("\n", "\\n")


def for_terminal(text: str) -> str:
    """Return text with its control characters spelled out, but for tabs and ends of lines.

    A terminal obeys them, and a name in a run of somebody else may hold any.
    """
    return _CONTROLS.sub(lambda found: ascii(found.group())[1:-1], text)

"""What comes from elsewhere, as part of a message."""

from collections.abc import Sequence

MOST_CHARACTERS = 100
MOST_LISTED = 400  # characters of options to choose from


def excerpt(text: str) -> str:
    """Return a text, cut if it is too long for a message."""
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."


def listed(options: Sequence[object]) -> str:
    """Return options as a list; of very many the first ones, and how many there are."""
    shown: list[str] = []
    n_characters = 0
    for option in options:
        shown.append(excerpt(repr(option)))
        n_characters += len(shown[-1]) + 2
        if n_characters > MOST_LISTED and len(shown) < len(options):
            return f"[{', '.join(shown)}, ...] ({len(options):,} in all)"
    return f"[{', '.join(shown)}]"

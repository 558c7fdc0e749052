"""What comes from elsewhere, as part of a message."""

MOST_CHARACTERS = 100


def excerpt(text: str) -> str:
    """Return a text, cut if it is too long for a message."""
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."

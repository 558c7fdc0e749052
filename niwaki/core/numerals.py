"""Numbers in text for people."""

_LARGEST_WHOLE = 1e15  # beyond, a double has no room for its last digits


def numeral(value: float, *, digits: int = 4) -> str:
    """Return a number to so many significant digits; counts beyond them in full: 91,234,567.

    It is for people alone: programs are told numbers as JSON.
    """
    if 10**digits <= abs(value) + 0.5 and abs(value) < _LARGEST_WHOLE:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"

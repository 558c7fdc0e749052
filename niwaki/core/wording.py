"""What came, in words."""


def kind_of(value: object) -> str:
    """Return the type of a value with its article: `a list`, `an int`."""
    name = type(value).__name__
    # With u begin a UserDict and a uint8, and an ndarray is read letter by letter.
    article = "an" if name[0] in "aeioAEIO" or name == "ndarray" else "a"
    return f"{article} {name}"

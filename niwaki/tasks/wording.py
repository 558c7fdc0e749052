"""What came, in words."""


def kind_of(value: object) -> str:
    """Return the type of a value with its article: `a list`, `an int`."""
    name = type(value).__name__
    article = "an" if name[0] in "aeioAEIO" else "a"  # with u begin a UserDict and a uint8
    return f"{article} {name}"

"""Attribute rules as nobody should write them."""

from niwaki.spaces.grammar import Effect

no_function = 5


def explode(given: object) -> Effect:
    """Fail in a way of its own."""
    raise RuntimeError("boom")


def nothing(given: object) -> None:
    """Forget to return something."""


def negative(given: tuple[int, ...]) -> Effect:
    """Give parameters back."""
    return Effect(given, parameters=-5)


def no_number(given: tuple[int, ...]) -> Effect:
    """Count what cannot be counted."""
    return Effect(given, macs=float("nan"))  # type: ignore[arg-type]


def quits(given: object) -> Effect:
    """End the process."""
    raise SystemExit(0)


def countless(given: tuple[int, ...]) -> Effect:
    """Count more than there can be."""
    return Effect(given, parameters=10**5000)

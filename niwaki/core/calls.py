"""Whether functions of the user can be called as they will be, known long before they are."""

import inspect
from collections.abc import Iterable, Sequence

from niwaki.core.wording import kind_of


def misfit(function: object, given: Sequence[str] = (), named: Iterable[str] = ()) -> str:
    """Return why a function cannot be called so, as the end of a sentence; empty if it can.

    Empty, too, where Python does not know: what some functions take that are not written in it.

    Args:
        function: A function, a class, or what was given instead.
        given: What it gets by position, in words.
        named: What it gets by name.
    """
    if not callable(function):
        return f"is {kind_of(function)}, but a class or a function is needed"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ""
    named = tuple(named)
    try:
        signature.bind(*given, **dict.fromkeys(named))
    except TypeError as fault:
        call = ", ".join([*given, *(f"{name}=..." for name in named)])
        return f"takes ({', '.join(signature.parameters)}), but is called with ({call}): {fault}"
    return ""


def unwritten(made_by: object) -> frozenset[str]:
    """Return the abstract methods that a class leaves to others; none of a function."""
    names = getattr(made_by, "__abstractmethods__", ()) if inspect.isabstract(made_by) else ()
    return frozenset(names)

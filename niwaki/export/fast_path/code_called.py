"""Which code a module's forward pass is written in: its own, and what that calls."""

import sys
from collections.abc import Iterator
from itertools import chain
from types import CodeType, FunctionType, ModuleType
from typing import Any

from torch import nn

# They know what a stand-in is, or hand on to what does.
_LEFT_ALONE = frozenset({"torch", "numpy", "niwaki", *sys.stdlib_module_names} - {"__main__"})


def namespaces_of(module: nn.Module) -> list[dict[str, Any]]:
    """Return the global names of all code that may run when a module is called.

    These are the methods of each layer, the functions that it holds, and those that are named in
    them, in turn, but for those of torch, numpy, Python and niwaki. What code calls is told by the
    names in it, so that some may never be called.
    """
    found: dict[int, dict[str, Any]] = {}
    seen: set[int] = set()
    waiting: list[FunctionType] = []
    for kind in dict.fromkeys(chain.from_iterable(type(m).__mro__ for m in module.modules())):
        if kind.__module__.startswith("torch."):
            continue
        forward = vars(kind).get("forward")
        space = getattr(forward, "__globals__", None)
        if space is not None:
            found[id(space)] = space
        waiting.extend(_functions(kind))
    for child in module.modules():
        for value in vars(child).values():
            waiting.extend(_plain(value))
    while waiting:
        function = waiting.pop()
        if id(function) in seen:
            continue
        seen.add(id(function))
        space = function.__globals__
        if not _is_left_alone(str(space.get("__name__", ""))):
            found[id(space)] = space
            waiting.extend(_named_in(function))
    return list(found.values())


def _named_in(function: FunctionType) -> Iterator[FunctionType]:
    """Yield the functions that a function names."""
    names = set(_names(function.__code__))
    space = function.__globals__
    values = [space[name] for name in names if name in space]
    for value in values:
        if isinstance(value, ModuleType) and not _is_left_alone(value.__name__):
            values.extend(vars(value)[name] for name in names if name in vars(value))
    yield from chain.from_iterable(_functions(value) for value in values)
    for cell in function.__closure__ or ():  # of what decorates another function
        try:
            yield from _functions(cell.cell_contents)
        except ValueError:  # it is not filled yet
            continue


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _functions(value: Any) -> Iterator[FunctionType]:
    """Yield a function, or the methods of a class."""
    if isinstance(value, type):
        for kind in value.__mro__:
            if not _is_left_alone(kind.__module__):
                for member in vars(kind).values():
                    yield from _plain(member)
    else:
        yield from _plain(value)


def _plain(value: Any) -> Iterator[FunctionType]:
    """Yield the function inside of what decorates it."""
    if isinstance(value, property):
        value = value.fget
    value = getattr(value, "__wrapped__", value)
    value = getattr(value, "__func__", value)
    if isinstance(value, FunctionType):
        yield value


def _is_left_alone(name: str) -> bool:
    return name.partition(".")[0] in _LEFT_ALONE

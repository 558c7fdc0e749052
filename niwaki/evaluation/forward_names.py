"""Names that the code of a model's forward passes speaks of."""

import inspect
from collections.abc import Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

from torch import nn

_BY_TEXT = {"getattr", "vars", "__dict__"}  # with which code reaches attributes of any name


class ForwardNames:
    """What a forward pass of a model may look up: attributes, methods, globals, by name.

    Followed from the `forward` of every part and from hooks, through methods of the model's classes
    and functions that are called by name.

    Args:
        module: Any model.
    """

    def __init__(self, module: nn.Module) -> None:
        self._names: set[str] = set()
        seen: set[int] = set()
        methods = _methods(module)
        todo = list(_entries(module))
        while todo:
            function = todo.pop()
            if id(function) in seen:
                continue
            seen.add(id(function))
            names = set(_names_in(function.__code__))
            self._names |= names
            for name in names:
                todo += methods.get(name, ())
                todo += _functions_of(function.__globals__.get(name))
            for cell in function.__closure__ or ():
                todo += _functions_of(getattr(cell, "cell_contents", None))

    def __contains__(self, name: str) -> bool:
        return name in self._names or not _BY_TEXT.isdisjoint(self._names)


def _entries(module: nn.Module) -> Iterator[FunctionType]:
    for part in module.modules():
        yield from _functions_of(vars(part).get("forward", type(part).forward))
        for hook in (*part._forward_pre_hooks.values(), *part._forward_hooks.values()):
            yield from _functions_of(hook)


def _methods(module: nn.Module) -> dict[str, list[FunctionType]]:
    """Return the methods and properties of a model's own classes, by name."""
    found: dict[str, list[FunctionType]] = {}
    bases = {base for kind in {type(part) for part in module.modules()} for base in kind.__mro__}
    for base in bases - {nn.Module, object}:
        for name, value in vars(base).items():
            found.setdefault(name, []).extend(_functions_of(value))
    return found


def _functions_of(value: Any) -> list[FunctionType]:
    if isinstance(value, property):
        value = value.fget
    if isinstance(value, partial):
        value = value.func
    if isinstance(value, MethodType | classmethod | staticmethod):
        value = value.__func__
    if not isinstance(value, FunctionType) or (value.__module__ or "").startswith("torch."):
        return []
    return [f for f in (value, inspect.unwrap(value)) if isinstance(f, FunctionType)]


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)

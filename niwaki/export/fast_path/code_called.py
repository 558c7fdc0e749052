"""Which code a module's forward pass is written in: its own, and what that calls."""

import sys
from collections import defaultdict
from collections.abc import Iterator
from inspect import getattr_static
from itertools import chain
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import nn

# They know what a stand-in is, or hand on to what does.
_LEFT_ALONE = frozenset({"torch", "numpy", "niwaki", *sys.stdlib_module_names})


class CodeCalled:
    """The code that may run when a module is called.

    These are the `forward` of each layer, the functions that it holds, and the functions and
    methods that are named in them, in turn, but for those of torch, numpy, Python and niwaki. What
    code calls is told by the names in it, so that some may never be called.

    Attributes:
        functions: All of them.
        namespaces: Their global names, and those of the `forward` of niwaki's own layers.

    Args:
        module: The module.
    """

    def __init__(self, module: nn.Module) -> None:
        self.functions: list[FunctionType] = []
        self._seen: set[int] = set()
        self._names: set[str] = set()
        self._waiting: list[FunctionType] = []
        # Methods of which nobody has said the name yet.
        self._unnamed: defaultdict[str, list[FunctionType]] = defaultdict(list)
        spaces: list[dict[str, Any]] = []
        for kind in dict.fromkeys(chain.from_iterable(type(m).__mro__ for m in module.modules())):
            if kind.__module__.startswith("torch."):
                continue
            spaces.append(getattr(vars(kind).get("forward"), "__globals__", {}))
            self._add_class(kind, called=("forward",))
        for child in module.modules():
            for value in vars(child).values():
                self._waiting.extend(_plain(value))
        while self._waiting:
            self._add(self._waiting.pop())
        spaces.extend(each.__globals__ for each in self.functions)
        self.namespaces = list({id(space): space for space in spaces if space}.values())

    def _add(self, function: FunctionType) -> None:
        name = str(function.__globals__.get("__name__", ""))
        if id(function) in self._seen or _is_left_alone(name):
            return
        self._seen.add(id(function))
        self.functions.append(function)
        names = set(_names(function.__code__))
        for new in names - self._names:
            self._waiting.extend(self._unnamed.pop(new, ()))
        self._names |= names
        for value in _values(function, names):
            if not isinstance(value, type):
                self._waiting.extend(_plain(value))
            elif id(value) not in self._seen:
                self._seen.add(id(value))
                for kind in value.__mro__:
                    self._add_class(kind)

    def _add_class(self, kind: type, called: tuple[str, ...] = ()) -> None:
        if _is_left_alone(kind.__module__):
            return
        for name, member in vars(kind).items():
            is_called = name in called or name in self._names or name.startswith("__")
            (self._waiting if is_called else self._unnamed[name]).extend(_plain(member))


def _values(function: FunctionType, names: set[str]) -> Iterator[Any]:
    """Yield what a function names, in itself and in modules, and what it decorates."""
    space = function.__globals__
    for value in [space[name] for name in names if name in space]:
        yield value
        if isinstance(value, ModuleType) and not _is_left_alone(value.__name__):
            yield from (vars(value)[name] for name in names if name in vars(value))
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is not filled yet
            continue


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _plain(value: Any) -> Iterator[FunctionType]:
    """Yield the function inside of what decorates it, if it is one."""
    if isinstance(value, property):
        value = value.fget
    if isinstance(value, staticmethod | classmethod | MethodType):
        value = value.__func__
    if callable(value):  # and not asked itself: what stands for an import that failed may raise
        value = getattr_static(value, "__wrapped__", value)
    if isinstance(value, FunctionType):
        yield value


def _is_left_alone(name: str) -> bool:
    return name.partition(".")[0] in _LEFT_ALONE

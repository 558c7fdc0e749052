"""`len(x)` and `int(n)`, followed: Python turns them into plain numbers, and so fixes the batch.

`len` has to return an integer, so neither a symbolic trace nor torch's exporter can see that it
grows with the batch. While a model is traced, its code therefore finds another `len`. The same goes
for `int`, with which windows are counted, `int(windows.shape[0] / (h * w / size / size))`; it is a
class as well, so that it is another one only in functions that do no more than call it.
"""

import builtins
import dis
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

import torch
from torch import fx

from niwaki.export.fast_path.code_called import CodeCalled

_INT = "int called in place of Python's"  # no name that code can have


@contextmanager
def lengths_followed(code: CodeCalled) -> Iterator[None]:
    """Let all code that a module calls read `x.shape[0]` where it says `len(x)`, in the block."""
    with in_code_of(code, "len", _length):
        yield


@contextmanager
def in_code_of(code: CodeCalled, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Let all code that a module calls find a function in place of a built-in one, in the block."""
    replaced = [space for space in code.namespaces if name not in space]
    for space in replaced:
        space[name] = function
    try:
        yield
    finally:
        for space in replaced:
            del space[name]


@contextmanager
def integers_called(code: CodeCalled, function: Callable[..., Any]) -> Iterator[None]:
    """Let functions that a module calls find another `int`, where they call it, in the block."""
    changed = [f for f in code.functions if "int" not in f.__globals__ if _calls_int(f.__code__)]
    kept = [each.__code__ for each in changed]
    for each, plain in zip(changed, kept, strict=True):
        each.__globals__[_INT] = function
        names = tuple(_INT if name == "int" else name for name in plain.co_names)
        each.__code__ = plain.replace(co_names=names)
    try:
        yield
    finally:
        for each, plain in zip(changed, kept, strict=True):
            each.__code__ = plain
            each.__globals__.pop(_INT, None)


def _calls_int(code: CodeType) -> bool:
    """Whether all that is done with the global name `int` is to call it."""
    if "int" not in code.co_names:
        return False
    uses = [each for each in dis.get_instructions(code) if each.argval == "int"]
    # The lowest bit says that room for a call is made.
    return all(each.opname == "LOAD_GLOBAL" and (each.arg or 0) & 1 for each in uses)


def _length(value: Any) -> Any:
    tracer: Any = value.tracer if isinstance(value, fx.Proxy) else None
    if isinstance(value, torch.Tensor) or (tracer is not None and tracer.is_tensor(value)):
        shape: Any = value.shape
        return shape[0]
    return builtins.len(value)

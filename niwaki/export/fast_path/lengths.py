"""`len(x)` of a tensor, followed: Python turns it into a plain number, and so fixes the batch.

`len` has to return an integer, so neither a symbolic trace nor torch's exporter can see that it
grows with the batch. While a model is traced, its code therefore finds another `len`.
"""

import builtins
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx, nn

from niwaki.export.fast_path.code_called import namespaces_of


@contextmanager
def lengths_followed(module: nn.Module) -> Iterator[None]:
    """Let all code that a module calls read `x.shape[0]` where it says `len(x)`, in the block."""
    with in_code_of(module, "len", _length):
        yield


@contextmanager
def in_code_of(module: nn.Module, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Let all code that a module calls find a function in place of a built-in one, in the block."""
    replaced = [space for space in namespaces_of(module) if name not in space]
    for space in replaced:
        space[name] = function
    try:
        yield
    finally:
        for space in replaced:
            del space[name]


def _length(value: Any) -> Any:
    tracer: Any = value.tracer if isinstance(value, fx.Proxy) else None
    if isinstance(value, torch.Tensor) or (tracer is not None and tracer.is_tensor(value)):
        shape: Any = value.shape
        return shape[0]
    return builtins.len(value)

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


@contextmanager
def lengths_followed(module: nn.Module) -> Iterator[None]:
    """Let the code of all modules read `x.shape[0]` where it says `len(x)`, inside the block."""
    with in_code_of(module, "len", _length):
        yield


@contextmanager
def in_code_of(module: nn.Module, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Let the code of all modules find a function in place of a built-in one, inside the block."""
    spaces = {id(space): space for child in module.modules() for space in _namespaces(child)}
    replaced = [space for space in spaces.values() if name not in space]
    for space in replaced:
        space[name] = function
    try:
        yield
    finally:
        for space in replaced:
            del space[name]


def _namespaces(module: nn.Module) -> Iterator[dict[str, Any]]:
    """Yield the global names of the code that a module's forward pass is written in."""
    for kind in type(module).__mro__:
        forward = vars(kind).get("forward")
        space = getattr(forward, "__globals__", None)
        if space is not None and not str(space.get("__name__", "")).startswith("torch."):
            yield space


def _length(value: Any) -> Any:
    tracer: Any = value.tracer if isinstance(value, fx.Proxy) else None
    if isinstance(value, torch.Tensor) or (tracer is not None and tracer.is_tensor(value)):
        shape: Any = value.shape
        return shape[0]
    return builtins.len(value)

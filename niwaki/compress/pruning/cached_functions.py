"""Functions that remember what they gave before, as those of einops do for shapes."""

import functools
import gc
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from torch import nn

from niwaki.compress.pruning.model_calls import Inputs, call_model, repeatable

Cached: TypeAlias = Any  # `functools._lru_cache_wrapper`, which has no public name

_KIND = type(functools.lru_cache(lambda: None))
_NOT_ABOUT_SIZES = sys.stdlib_module_names | {"numpy", "torch"}


def cached_functions(module: nn.Module, inputs: Inputs) -> tuple[Cached, ...]:
    """Return the functions with a cache of `functools` that a model asks when it is called."""
    everywhere = [each for each in gc.get_objects() if type(each) is _KIND]
    found = [f for f in everywhere if _root(f) not in _NOT_ABOUT_SIZES]
    before = [each.cache_info() for each in found]
    with repeatable(module):
        call_model(module, inputs)
    return tuple(f for f, info in zip(found, before, strict=True) if f.cache_info() != info)


def _root(function: Cached) -> str:
    return str(getattr(function, "__module__", "")).partition(".")[0]


@contextmanager
def forgetful(functions: Collection[Cached]) -> Iterator[None]:
    """Let functions compute anew inside the block, and forget that afterwards.

    A size that is followed equals one that is not: either would be taken for the other.
    """
    _forget(functions)
    try:
        yield
    finally:
        _forget(functions)


def _forget(functions: Collection[Cached]) -> None:
    for each in functions:
        each.cache_clear()

"""Whether copies of a model compute with layers of their own."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from niwaki.compress.pruning.model_calls import call_model, repeatable
from niwaki.core.errors import ConfigError

_REMEDY = (
    "a hook, a function among its attributes, or a `forward` that was replaced, as by "
    "torch.compile, knows the original by itself. Write it as a method of a class, remove hooks "
    "that only watch, and give the model as it was before torch.compile"
)


def require_own_layers(copy: nn.Module, original: nn.Module, inputs: torch.Tensor) -> None:
    """Check that a copy of a model computes with nothing that the original holds.

    Functions are not copied: what knows a layer by itself, as `lambda x: layer(x)` does, knows
    that of the original, whatever is done to copies.

    Args:
        copy: In evaluation mode; left as it is.
        original: That it was copied from.
        inputs: (n, ...), which the copy takes.

    Raises:
        ConfigError: If it does, or if it changes what the original holds.
    """
    before, watch = _held(original), _Watch(original)
    with torch.no_grad(), repeatable(copy), watch:
        call_model(copy, inputs)
    if watch.met:
        raise ConfigError(
            f"a copy of the model computes with '{watch.met[0]}' of the original, which would stay "
            f"as it is whatever is pruned or quantized: {_REMEDY}"
        )
    after = _held(original)
    if changed := [name for name in after if not _same(after[name], before.get(name, ()))]:
        raise ConfigError(
            f"a copy of the model, when it is run, changes '{changed[0]}' of the original and not "
            f"its own: {_REMEDY}"
        )


class _Watch(TorchFunctionMode):
    """Takes note of a model's parameters and buffers that operations are called with."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        tensors = (*model.named_parameters(), *model.named_buffers())
        self._names = {id(tensor): name for name, tensor in tensors}
        self.met: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = tree_leaves((args, kwargs))
        self.met += [self._names[id(each)] for each in given if id(each) in self._names]
        return func(*args, **(kwargs or {}))


def _held(model: nn.Module) -> dict[str, tuple[object, ...]]:
    """Return what the parts of a model hold, by path: lists and mappings by what is in them."""
    return {
        f"{path}.{name}".strip("."): _inside(value)
        for path, part in model.named_modules()
        for name, value in vars(part).items()
    }


def _inside(value: object) -> tuple[object, ...]:
    if isinstance(value, Mapping):
        return tuple(value.values())
    return tuple(value) if isinstance(value, list) else (value,)


def _same(found: tuple[object, ...], before: tuple[object, ...]) -> bool:
    return len(found) == len(before) and all(a is b for a, b in zip(found, before, strict=True))

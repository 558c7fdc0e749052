"""Whether copies of a model compute with layers of their own."""

import copy
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from niwaki.compress.pruning.model_calls import call_model, named_tensors, repeatable
from niwaki.core.errors import ConfigError

_REMEDY = (
    "what copying leaves as it is knows the original by itself, such as a hook or another function "
    "that is no method, a `forward` that was replaced, as by torch.compile, or a weak reference. "
    "Write it as a method of a class, and give the model as it was before torch.compile"
)
# Which a function may ask of a layer without computing with it; sizes change as channels go.
_ABOUT: list[Any] = [getattr(torch.Tensor, name).__get__ for name in ("device", "dtype", "is_cuda")]


def require_own_layers(
    own: nn.Module, original: nn.Module, inputs: torch.Tensor, *, part: str = ""
) -> None:
    """Check that a copy of a model computes with nothing that the original holds.

    Functions are not copied: what knows a layer by itself, as `lambda x: layer(x)` does, knows
    that of the original, whatever is done to copies.

    Args:
        own: The copy, in evaluation mode; left as it is. Whether it runs is not looked at.
        original: That it was copied from; left as it is.
        inputs: (n, ...), which the copy takes; n is 2 or more.
        part: Path of what was copied, if it is not all.

    Raises:
        ConfigError: If it does: names what.
    """
    with torch.no_grad(), repeatable(original), repeatable(own):
        before, watch = _held(original), _Watch(original)
        with suppress(Exception), watch:  # the model's own code runs here: it may raise anything
            call_model(own, inputs)
        if watch.met:
            raise ConfigError(
                f"a copy of the model computes with '{watch.met[0]}' of the original, which would "
                f"stay as it is whatever is pruned or quantized: {_REMEDY}"
            )
        after = _held(original)
        changed = [where for where in after if not _same(after[where], before.get(where, ()))]
        within = {where: _path_within(part, where[0]) for where in changed}
        found = {where: path for where, path in within.items() if path is not None}
        if found and _reads(own, original, found, inputs):
            path, name = changed[0]
            raise ConfigError(
                f"a copy of the model, when it is run, changes '{f'{path}.{name}'.strip('.')}' of "
                f"the original and reads its own: {_REMEDY}"
            )


class _Watch(TorchFunctionMode):
    """Takes note of a model's parameters and buffers that operations are called with."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        tensors = (*model.named_parameters(), *model.named_buffers())
        self._names = {id(tensor): name for name, tensor in tensors}
        self.met: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in _ABOUT:
            given = tree_leaves((args, kwargs))
            self.met += [self._names[id(each)] for each in given if id(each) in self._names]
        return func(*args, **(kwargs or {}))


def _held(model: nn.Module) -> dict[tuple[str, str], tuple[object, ...]]:
    """Return what the parts of a model hold, by path and name: lists by what is in them."""
    return {
        (path, name): _inside(value)
        for path, part in model.named_modules()
        for name, value in vars(part).items()
    }


def _inside(value: object) -> tuple[object, ...]:
    if isinstance(value, Mapping):
        return tuple(value.values())
    return tuple(value) if isinstance(value, list) else (value,)


def _same(found: tuple[object, ...], before: tuple[object, ...]) -> bool:
    return len(found) == len(before) and all(a is b for a, b in zip(found, before, strict=True))


def _path_within(part: str, path: str) -> str | None:
    """Return a path within a part of a model, as it was written; None if it is elsewhere."""
    written = path.replace("_orig_mod", "").replace("..", ".").strip(".")
    if not part or written == part:
        return "" if written == part else written
    return written.removeprefix(f"{part}.") if written.startswith(f"{part}.") else None


def _reads(
    own: nn.Module,
    original: nn.Module,
    changed: Mapping[tuple[str, str], str],
    inputs: torch.Tensor,
) -> bool:
    """Whether a copy goes by what changes in the original: by what other inputs left of that.

    What a hook keeps for somebody to look at later changes no answer.

    Args:
        own: The copy.
        original: That it is a copy of.
        changed: Path within the copy, of each path and name in the original.
        inputs: (n, ...).
    """

    def answer(left_by: torch.Tensor) -> list[torch.Tensor]:
        with suppress(Exception):  # of the model's own code
            call_model(own, left_by)
        for (path, name), within in changed.items():
            left = vars(original.get_submodule(path))[name]
            vars(own.get_submodule(within))[name] = copy.copy(left)
        return [tensor for _, tensor in named_tensors(call_model(own, inputs))]

    try:
        pairs = zip(answer(inputs), answer(inputs.flip(0)), strict=True)
        return not all(torch.equal(a, b) for a, b in pairs)
    except Exception:  # of the model's own code; or it has other parts than the original
        return True

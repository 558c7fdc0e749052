"""How models are called, and what their inputs and outputs are called."""

import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import fields, is_dataclass
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from niwaki.core.user_randomness import seeded

M = TypeVar("M", bound=nn.Module)

Inputs: TypeAlias = Tensor | tuple[Any, ...] | Mapping[str, Any]
"""One tensor; a tuple of positional arguments; or a mapping of keyword arguments."""

_DYNAMO = "torch._dynamo"


def call_model(module: nn.Module, inputs: Inputs) -> Any:
    """Call a model with inputs as users give them; what is compiled runs as it was written."""
    is_any_compiled = _DYNAMO in sys.modules  # nothing can be, where it was never imported
    with torch.compiler.set_stance("force_eager") if is_any_compiled else nullcontext():
        if isinstance(inputs, Mapping):
            return module(**inputs)
        if isinstance(inputs, tuple | list):
            return module(*inputs)
        return module(inputs)


def in_evaluation(module: M) -> M:
    """Return a module, put into evaluation mode: a user's own `train` may return nothing."""
    module.eval()
    return module


def let_forget(module: nn.Module) -> None:
    """Let a model forget what it has computed from parameters that have changed since.

    Some keep a table of attention biases while they are in evaluation mode, and drop or renew it
    when the mode changes. So it is changed there and back, if there are tensors among the
    attributes; every part stays in its own mode.
    """
    if not any(_holds_tensors(child) for child in module.modules()):
        return
    modes = [(child, child.training) for child in module.modules()]
    whole = module.training
    module.train(not whole)
    module.train(whole)
    for child, mode in modes:
        if child.training != mode:
            child.training = mode


def _holds_tensors(module: nn.Module) -> bool:
    """Whether a module has tensors that are no parameters or buffers."""
    registered = ("_parameters", "_buffers", "_modules")
    held = [value for name, value in vars(module).items() if name not in registered]
    return next(named_tensors(held), None) is not None


@contextmanager
def repeatable(module: nn.Module) -> Iterator[None]:
    """Let passes inside the block be like the first ones, and undo what they leave behind.

    Random numbers, also those of Python, numpy and GPUs, are those of a fixed seed. On leaving,
    they are as before, and so are the attributes and hooks of modules and the values of buffers:
    some models count their calls, keep what they computed for the next, or hang up hooks at first.
    """
    kept = KeptState(module)
    try:
        with seeded():
            yield
    finally:
        kept.restore()


class KeptState:
    """What modules hold besides parameters, to be put back."""

    def __init__(self, module: nn.Module) -> None:
        children = [m for m in module.modules() if not isinstance(m, torch.jit.ScriptModule)]
        self._attributes = [(vars(child), dict(vars(child))) for child in children]
        held = [value for _, before in self._attributes for value in before.values()]
        self._lists = [(value, list(value)) for value in held if type(value) is list]
        self._mappings = [(value, dict(value)) for value in held if type(value) is dict]
        # Those of lazy modules are taken down for good by the first pass.
        self._hooks = [(value, set(value)) for value in held if type(value) is OrderedDict]
        made = [buffer for buffer in module.buffers() if not is_lazy(buffer)]
        self._buffers = [(buffer, buffer.clone()) for buffer in made]

    def restore(self) -> None:
        """Put attributes, lists, mappings and the values of buffers back."""
        for now, before in self._attributes:
            now.clear()
            now.update(before)
        for items, old in self._lists:
            items[:] = old
        for mapping, was in self._mappings:
            mapping.clear()
            mapping.update(was)
        for hooks, hung in self._hooks:
            for added in [key for key in hooks if key not in hung]:
                del hooks[added]
        with torch.no_grad():
            for buffer, values in self._buffers:
                if buffer.shape == values.shape:
                    buffer.copy_(values)


def named_tensors(values: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in nested tuples, mappings and dataclasses, each with its path.

    A single tensor has an empty path; `{"seg": (a, b)}` gives `seg.0` and `seg.1`.
    """
    if isinstance(values, Tensor):
        yield prefix, values
        return
    for name, value in _parts(values):
        yield from named_tensors(value, f"{prefix}.{name}" if prefix else name)


def _parts(values: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(values, Mapping):
        yield from ((str(name), value) for name, value in values.items())
    elif isinstance(values, tuple) and isinstance(getattr(values, "_fields", None), tuple):
        yield from zip(values._fields, values, strict=True)  # type: ignore[attr-defined]
    elif isinstance(values, tuple | list):
        yield from ((str(i), value) for i, value in enumerate(values))
    elif is_dataclass(values) and not isinstance(values, type):
        yield from ((field.name, getattr(values, field.name)) for field in fields(values))
    elif type(values).__module__ not in ("builtins", "torch", "numpy") and vars_of(values):
        yield from vars_of(values).items()


def vars_of(values: Any) -> dict[str, Any]:
    """Return the public attributes of a plain object that hold tensors, directly."""
    try:
        attributes = vars(values)
    except TypeError:
        return {}
    return {
        name: value
        for name, value in attributes.items()
        if not name.startswith("_") and isinstance(value, Tensor | tuple | list | dict)
    }


def mapped(values: Any, function: Any) -> Any:
    """Return the same nested tuples, lists and mappings, with `function` of each tensor."""
    if isinstance(values, Tensor):
        return function(values)
    if isinstance(values, Mapping):
        return {name: mapped(value, function) for name, value in values.items()}
    if isinstance(values, tuple) and isinstance(getattr(values, "_fields", None), tuple):
        return type(values)(*(mapped(value, function) for value in values))
    if isinstance(values, tuple | list):
        return type(values)([mapped(value, function) for value in values])
    return values


def move_floats(values: Inputs, dtype: torch.dtype) -> Any:
    """Return inputs with their floating-point tensors in another type."""
    return mapped(values, lambda t: t.to(dtype) if t.is_floating_point() else t)

"""How models are called, and what their inputs and outputs are called."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

Inputs: TypeAlias = "Tensor | tuple[Any, ...] | Mapping[str, Any]"
"""One tensor; a tuple of positional arguments; or a mapping of keyword arguments."""


MODEL_ERRORS = (RuntimeError, ValueError, IndexError, AssertionError, TypeError, KeyError)
"""What a forward pass raises when sizes do not fit; anything else is a defect to be seen."""


def call_model(module: nn.Module, inputs: Inputs) -> Any:
    """Call a model with inputs as users give them."""
    if isinstance(inputs, Mapping):
        return module(**inputs)
    if isinstance(inputs, tuple | list):
        return module(*inputs)
    return module(inputs)


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

"""Models that decide by the values of tensors: their decisions, noted and repeated.

`if x.mean() > 0`, `int(mask.sum())` and the like turn a tensor into a number of Python. A graph has
no place for that. So the model is run once on real inputs, what it read is noted, and when it is
exported it reads the same again: the graph goes the way that these inputs went. Whether others go
another way, the verification of the export on real data tells.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from niwaki.compress.pruning.model_calls import repeatable
from niwaki.export.user_code import is_users

_TORCH = str(Path(torch.__file__).parent)
_READING = frozenset({"__bool__", "__float__", "__index__", "__int__", "item"})


@dataclass(frozen=True)
class Decision:
    """One value that a model read from a tensor.

    Attributes:
        place: `file.py:line` in the model's code.
        value: What it read.
    """

    place: str
    value: object


def decisions_of(module: nn.Module, inputs: Sequence[torch.Tensor]) -> tuple[Decision, ...]:
    """Run a module, and return what it read from tensors, in order; it keeps nothing of the run.

    Args:
        module: In evaluation mode.
        inputs: Positional arguments.
    """
    noting = _Noting()
    with torch.no_grad(), repeatable(module), noting:
        module(*(x.clone() for x in inputs))  # some models change in place what they are given
    return tuple(noting.decisions)


@contextmanager
def repeated(module: nn.Module, decisions: Sequence[Decision]) -> Iterator[None]:
    """Let a module read the same again, whatever its tensors hold, inside the block."""
    forward, had_own = module.forward, "forward" in vars(module)

    def repeating(*args: Any, **kwargs: Any) -> Any:
        with _Repeating(decisions):
            return forward(*args, **kwargs)

    # torch's exporter looks at the parameters of the function that it exports.
    repeating.__wrapped__ = forward  # type: ignore[attr-defined]
    module.forward = repeating
    try:
        yield
    finally:
        if had_own:
            module.forward = forward
        else:
            del module.forward


class _Noting(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.decisions: list[Decision] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        value = func(*args, **(kwargs or {}))
        if _is_reading(func):
            self.decisions.append(Decision(_caller(), value))
        return value


class _Repeating(TorchFunctionMode):
    def __init__(self, decisions: Sequence[Decision]) -> None:
        super().__init__()
        self._left = iter(decisions)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if _is_reading(func):
            decision = next(self._left, None)
            if decision is None:
                raise RuntimeError("the model reads more values from tensors than before")
            return decision.value
        return func(*args, **(kwargs or {}))


def _is_reading(func: Any) -> bool:
    """Whether a model's code reads a value; torch's own code does, too, while it exports."""
    if getattr(func, "__name__", "") not in _READING:
        return False
    return not sys._getframe(2).f_code.co_filename.startswith(_TORCH)


def _caller() -> str:
    frame = sys._getframe(2)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "the model"

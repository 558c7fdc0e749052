"""Where in a model an operation is called."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle


@dataclass(frozen=True)
class CallSite:
    """One call of one forward pass; the same in every pass of the same model.

    Attributes:
        module: Path of the module whose code runs, empty for the model itself.
        invocation: How often that module had been entered before, in this pass.
        ordinal: How many operations of interest it had called before, in this invocation.
    """

    module: str
    invocation: int
    ordinal: int


@dataclass
class _Frame:
    module: str
    invocation: int
    n_calls: int = 0


class ModuleStack:
    """Knows at every moment of a forward pass which module's code runs.

    Args:
        module: The model; hooks are on it inside `watching` only.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._frames: list[_Frame] = []
        self._entered: dict[str, int] = {}

    @property
    def entered(self) -> frozenset[str]:
        """Paths of the modules that ran in this pass."""
        return frozenset(self._entered)

    @property
    def path(self) -> str:
        """Path of the module whose code runs."""
        return self._frames[-1].module if self._frames else ""

    def site(self) -> CallSite:
        """Return the site of the call that is being made; each call makes a new one."""
        if not self._frames:
            self._frames.append(_Frame("", 0))
        frame = self._frames[-1]
        frame.n_calls += 1
        return CallSite(frame.module, frame.invocation, frame.n_calls - 1)

    @contextmanager
    def watching(self) -> Iterator["ModuleStack"]:
        """Follow the forward passes inside the block."""
        handles: list[RemovableHandle] = []
        for path, module in self._module.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue  # takes no hooks
            handles.append(module.register_forward_pre_hook(self._entering(path), prepend=True))
            handles.append(module.register_forward_hook(self._leaving, always_call=True))
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def _entering(self, path: str) -> Any:
        def enter(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            del inputs
            if module is self._module:
                self._frames.clear()
                self._entered.clear()
            invocation = self._entered.get(path, 0)
            self._entered[path] = invocation + 1
            self._frames.append(_Frame(path, invocation))

        return enter

    def _leaving(self, *_: Any) -> None:
        if self._frames:
            self._frames.pop()

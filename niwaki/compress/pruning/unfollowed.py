"""Code that cannot be followed: it is closed, and what it calls is followed part by part.

Some code does not bear being watched: it asks for `type(n) is int`, or is compiled for torch's
interpreter. Such a module is closed: what enters it and what its own code makes of it stays as it
is. The modules that it calls are followed nevertheless, each from its inputs to its outputs, which
stay.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode, _pop_mode, _push_mode
from torch.utils.hooks import RemovableHandle

from niwaki.compress.pruning.call_sites import ModuleStack
from niwaki.compress.pruning.model_calls import repeatable
from niwaki.compress.pruning.provenance import Provenance, tensors_in

SCRIPTED = "it is scripted (torch.jit)"


@dataclass(frozen=True)
class Unfollowed:
    """Modules whose code is not followed, or not closely.

    Attributes:
        plain: Paths of modules whose numbers are left as they are: what they count is not seen.
        closed: Why the own code of a module is not followed at all, by path.
    """

    plain: frozenset[str] = frozenset()
    closed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def widened(self, module: nn.Module, error: BaseException) -> "Unfollowed | None":
        """Return what to leave out as well after an error under watch; None if all was.

        The module whose code raised is left its plain numbers, with all that is inside of it; if it
        had them, it is closed; if it was, the module that called it is next. All modules of a class
        have the same code.
        """
        calls = _calls(module, error) or [("", "")]
        for path, line in reversed(calls):
            kind = type(module.get_submodule(path))
            alike = [p for p, child in module.named_modules() if type(child) is kind]
            if path not in self.plain:
                return replace(self, plain=self.plain.union(_inside(module, alike)))
            if path not in self.closed:
                raised = f"{type(error).__name__} {str(error)[:80]}".strip()
                why = f"it raises {raised}{f' at {line}' if line else ''} when it is watched"
                return replace(self, closed={**self.closed, **dict.fromkeys(alike, why)})
        return None if "" in self.closed else self._all_of(error)

    def _all_of(self, error: BaseException) -> "Unfollowed":
        why = f"something in it raises {type(error).__name__} when it is watched"
        return replace(self, plain=self.plain | {""}, closed={**self.closed, "": why})


def _inside(module: nn.Module, paths: list[str]) -> set[str]:
    return {
        path
        for path, _ in module.named_modules()
        if any(not outer or path == outer or path.startswith(f"{outer}.") for outer in paths)
    }


def _calls(module: nn.Module, error: BaseException) -> list[tuple[str, str]]:
    """Return the path of each module whose own code was running, with its line; outermost first.

    Code of torch's layers is fine: where one raises, whoever called it is meant.
    """
    paths = {id(child): path for path, child in module.named_modules()}
    found: list[tuple[str, str]] = []
    traceback = error.__traceback__
    while traceback is not None:
        own = traceback.tb_frame.f_locals.get("self")
        if id(own) in paths and not type(own).__module__.startswith("torch."):
            line = f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
            is_code = not line.startswith(torch.__path__[0])
            if not found or found[-1][0] != paths[id(own)]:
                found.append((paths[id(own)], line if is_code else ""))
            elif is_code:
                found[-1] = (paths[id(own)], line)
        traceback = traceback.tb_next
    return found


class Borders:
    """Where followed code calls code that is not, and the other way round.

    What enters a closed module is pinned, and so is what comes back to its code. The code of a
    closed module runs without being watched, that of the modules that it calls is watched again.

    Args:
        state: Of the trace.
        stack: Its hooks are there already, and stay longer.
        watch: Sees the functions that are called.
        closed: Why modules are closed, by path.
    """

    def __init__(
        self,
        state: Provenance,
        stack: ModuleStack,
        watch: TorchFunctionMode,
        closed: Mapping[str, str],
    ) -> None:
        self._state, self._stack, self._watch, self._closed = state, stack, watch, closed
        self._modes: list[list[TorchFunctionMode]] = []

    @contextmanager
    def kept(self, module: nn.Module) -> Iterator[None]:
        """Keep the borders of a model inside the block."""
        handles: list[RemovableHandle] = []
        for path, child in module.named_modules() if self._closed else ():
            handles += [
                child.register_forward_pre_hook(self._entering(path), with_kwargs=True),
                child.register_forward_hook(self._leaving, always_call=True),
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _entering(self, path: str) -> Any:
        def enter(child: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            before = _taken_modes()
            self._modes.append(before)
            others = [mode for mode in before if mode is not self._watch]
            if path in self._closed:
                self._pin((args, kwargs), path)
                _push(others)
                if isinstance(child, _Sealed):
                    with repeatable(child):
                        self._state.count(path, child.forward, args, kwargs)
            else:
                _push([*others, self._watch])

        return enter

    def _leaving(self, _: nn.Module, inputs: Any, outputs: Any) -> None:
        del inputs
        _taken_modes()
        _push(self._modes.pop())
        if self._stack.path in self._closed:
            self._pin(outputs, self._stack.path)

    def _pin(self, values: Any, path: str) -> None:
        with torch._C.DisableTorchFunction():
            for tensor in tensors_in(values):
                self._state.close(tensor, reason_of(path, self._closed[path]))


def _taken_modes() -> list[TorchFunctionMode]:
    """Take all modes away, and return them, the innermost last."""
    n_modes = torch._C._len_torch_function_stack()
    return [_pop_mode() for _ in range(n_modes)][::-1]  # type: ignore[no-untyped-call]


def _push(modes: list[TorchFunctionMode]) -> None:
    for mode in modes:
        _push_mode(mode)  # type: ignore[no-untyped-call]


def reason_of(path: str, why: str) -> str:
    """Return why channels at a border stay, for people."""
    return f"the code of {path or 'the model itself'} is not followed: {why}"


class _Sealed(nn.Module):
    """Stands for a scripted module, which takes no hooks."""

    def __init__(self, scripted: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.__dict__["_scripted"] = scripted

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.__dict__["_scripted"](*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_scripted"], name)


@contextmanager
def sealed(module: nn.Module) -> Iterator[dict[str, str]]:
    """Put something that takes hooks around scripted modules inside the block.

    Yields:
        Why they are closed, by path.
    """
    scripted = _outermost(module, "")
    for path, child in scripted.items():
        parent, _, name = path.rpartition(".")
        module.get_submodule(parent)._modules[name] = _Sealed(child)
    try:
        yield dict.fromkeys(scripted, SCRIPTED)
    finally:
        for path, child in scripted.items():
            parent, _, name = path.rpartition(".")
            module.get_submodule(parent)._modules[name] = child


def _outermost(module: nn.Module, path: str) -> dict[str, torch.jit.ScriptModule]:
    found: dict[str, torch.jit.ScriptModule] = {}
    for name, child in module.named_children():
        inner = f"{path}.{name}" if path else name
        if isinstance(child, torch.jit.ScriptModule):
            found[inner] = child
        else:
            found |= _outermost(child, inner)
    return found


def own_tensors(module: nn.Module, paths: Mapping[str, str]) -> dict[str, str]:
    """Return why nothing is known of parameters in closed modules, by name."""
    found: dict[str, str] = {}
    for path, why in paths.items():
        child = module.get_submodule(path)
        names = [name for name, _ in child.named_parameters(recurse=why == SCRIPTED)]
        found |= {f"{path}.{name}" if path else name: reason_of(path, why) for name in names}
    return found

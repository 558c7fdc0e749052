"""Where in a model an operation is called, and which number of the model it was told."""

from collections.abc import Collection, Iterator
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


@dataclass(frozen=True)
class Tag:
    """What an integer was computed from.

    Attributes:
        name: An attribute of a module, such as `blocks.0.attention:num_heads`.
        size: Its value.
        n_parts: By what it was divided; 1 if the integer is the attribute.
    """

    name: str
    size: int
    n_parts: int = 1


class TaggedInt(int):
    """An integer attribute of a module, which remembers its name wherever it is passed.

    `view(batch, self.num_heads, -1)` then tells that this dimension is `num_heads` of that module,
    and `split(self.width // 2, 1)` that each part has half as many channels as `width` says.
    Multiples are plain integers: much is multiplied by sizes that have nothing to do with channels.
    """

    tag: Tag

    def __new__(cls, value: int, tag: Tag) -> "TaggedInt":
        """Make `value`, which is what the tag says."""
        tagged = super().__new__(cls, value)
        tagged.tag = tag
        return tagged

    def __floordiv__(self, other: Any) -> Any:
        quotient = int(self) // other
        if not isinstance(other, int) or int(self) % other:
            return quotient
        tag = self.tag
        return TaggedInt(quotient, Tag(tag.name, tag.size, tag.n_parts * int(other)))

    def __sub__(self, other: Any) -> Any:
        return _less(self, other, self.tag)

    def __deepcopy__(self, memo: dict[int, Any]) -> int:
        return int(self)


class RemainingInt(int):
    """An attribute of a module less others: `self.width - self.n_kept` channels come behind those.

    Where a dimension is split in just these parts, the attribute counts them all.
    """

    whole: Tag

    def __new__(cls, value: int, whole: Tag) -> "RemainingInt":
        """Make `value`, which is what is left of the whole."""
        remaining = super().__new__(cls, value)
        remaining.whole = whole
        return remaining

    def __sub__(self, other: Any) -> Any:
        return _less(self, other, self.whole)

    def __deepcopy__(self, memo: dict[int, Any]) -> int:
        return int(self)


def _less(value: int, other: Any, whole: Tag) -> Any:
    rest = int(value) - other
    return RemainingInt(rest, whole) if isinstance(other, TaggedInt) else rest


def tag_of(value: object) -> Tag | None:
    """Return what a number of things was computed from, or None."""
    if isinstance(value, TaggedInt) and min(value, value.tag.size) > 0:
        return value.tag
    return None


@contextmanager
def tagged_attributes(module: nn.Module, *, but: Collection[str] = ()) -> Iterator[None]:
    """Tag the integers among the attributes of all modules, also deep inside tuples and lists.

    Args:
        module: The model.
        but: Paths of modules that are left as they are.
    """
    replaced: list[tuple[nn.Module, str, object]] = []
    for path, child in module.named_modules():
        if path in but:
            continue
        for attribute, value in list(vars(child).items()):
            tagged = _tagged(value, f"{path}:{attribute}")
            if tagged is not value and not attribute.startswith("_"):
                replaced.append((child, attribute, value))
                child.__dict__[attribute] = tagged
    try:
        yield
    finally:
        for child, attribute, value in replaced:
            child.__dict__[attribute] = value


def _tagged(value: object, name: str) -> object:
    if type(value) is int:
        return TaggedInt(value, Tag(name, value))
    if isinstance(value, tuple | list) and type(value) in (tuple, list):
        items = [_tagged(item, f"{name}[{i}]") for i, item in enumerate(value)]
        if any(new is not old for new, old in zip(items, value, strict=True)):
            return tuple(items) if isinstance(value, tuple) else items
    return value

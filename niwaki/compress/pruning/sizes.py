"""Integers that remember what they count, while a model is watched."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from niwaki.compress.pruning.comparisons import ComparedInt, Comparisons


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


class TaggedInt(ComparedInt):
    """An integer attribute of a module, which remembers its name wherever it is passed.

    `view(batch, self.num_heads, -1)` then tells that this dimension is `num_heads` of that module,
    and `split(self.width // 2, 1)` that each part has half as many channels as `width` says.
    Multiples are plain integers: much is multiplied by sizes that have nothing to do with channels.
    """

    tag: Tag

    def __new__(cls, value: int, tag: Tag, comparisons: Comparisons) -> "TaggedInt":
        """Make `value`, which is what the tag says."""
        tagged = super().__new__(cls, value)
        tagged.tag, tagged.comparisons = tag, comparisons
        return tagged

    def __floordiv__(self, other: Any) -> Any:
        if not _divides(other, self):
            return int(self) // other
        tag = Tag(self.tag.name, self.tag.size, self.tag.n_parts * int(other))
        return TaggedInt(int(self) // int(other), tag, self.comparisons)

    def __sub__(self, other: Any) -> Any:
        return _less(self, other, self.tag)


class MeasuredInt(ComparedInt):
    """A size that was read from a tensor, or an equal part of it, which remembers its channels.

    Attributes:
        atoms: Of all channels.
        n_parts: By what their number was divided; 1 if the integer is the size.
    """

    atoms: Tensor
    n_parts: int

    def __new__(
        cls, value: int, atoms: Tensor, comparisons: Comparisons, *, n_parts: int = 1
    ) -> "MeasuredInt":
        """Make `value`, the number of `atoms` in each part."""
        measured = super().__new__(cls, value)
        measured.atoms, measured.n_parts, measured.comparisons = atoms, n_parts, comparisons
        return measured

    def __floordiv__(self, other: Any) -> Any:
        if not _divides(other, self):
            return int(self) // other
        parts, n_parts = int(self) // int(other), self.n_parts * int(other)
        return MeasuredInt(parts, self.atoms, self.comparisons, n_parts=n_parts)


def _divides(divisor: object, size: int) -> bool:
    return isinstance(divisor, int) and int(divisor) != 0 and int(size) % int(divisor) == 0


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
    if isinstance(value, TaggedInt) and min(int(value), value.tag.size) > 0:
        return value.tag
    return None


@contextmanager
def tagged_attributes(
    module: nn.Module, comparisons: Comparisons, *, but: Collection[str] = ()
) -> Iterator[None]:
    """Tag the integers among the attributes of all modules, also deep inside tuples and lists.

    Args:
        module: The model.
        comparisons: Where they take note of what they are compared with.
        but: Paths of modules that are left as they are.
    """
    replaced: list[tuple[nn.Module, str, object]] = []
    for path, child in module.named_modules():
        if path in but:
            continue
        for attribute, value in list(vars(child).items()):
            tagged = _tagged(value, f"{path}:{attribute}", comparisons)
            if tagged is not value and not attribute.startswith("_"):
                replaced.append((child, attribute, value))
                child.__dict__[attribute] = tagged
    try:
        yield
    finally:
        for child, attribute, value in replaced:
            child.__dict__[attribute] = value


def _tagged(value: object, name: str, comparisons: Comparisons) -> object:
    if type(value) is int:
        return TaggedInt(value, Tag(name, value), comparisons)
    if isinstance(value, tuple | list) and type(value) in (tuple, list):
        items = [_tagged(item, f"{name}[{i}]", comparisons) for i, item in enumerate(value)]
        if any(new is not old for new, old in zip(items, value, strict=True)):
            return tuple(items) if isinstance(value, tuple) else items
    return value

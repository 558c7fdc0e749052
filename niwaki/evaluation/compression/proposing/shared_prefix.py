"""Forward passes of networks that begin alike: what they have in common is computed once.

Networks that are judged side by side differ in one channel group each. Up to the first operation
that reads a parameter of that group, all of them compute the same. So the passes of one network
are kept up to there, and the next one, which differs later, goes on from that point: its code runs
as ever, but operations before it are not computed again.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.weak import TensorWeakRef

_MOST_BYTES = 2**30
_WRITES_STATISTICS = ("aten::native_batch_norm", "aten::_batch_norm_with_update")
_READ_BY_PYTHON: frozenset[Any] = frozenset(
    {Tensor.numpy, Tensor.tolist, Tensor.__array__, Tensor.data_ptr}
)

_Names: TypeAlias = Mapping[StorageWeakRef, set[str]]


class OtherCourseError(Exception):
    """A pass does not begin as those before did, or needs of these what was not kept."""


@dataclass(eq=False)
class Reads:
    """What one pass of a network reads.

    Attributes:
        first: When each parameter and buffer is first read, by name: a number that ascends.
        is_unfollowed: Whether values are looked at past torch, so that each has to be there, or
            are in tensors that are not strided, such as sparse ones.
    """

    first: dict[str, int] = field(default_factory=dict)
    is_unfollowed: bool = False


@contextmanager
def noting_reads(module: nn.Module) -> Iterator[Reads]:
    """Note what is read of a network inside the block."""
    reads = Reads()
    with _NotingFunctions(reads), _NotingOperations(reads, _names_by_memory(module)):
        yield reads


class _NotingFunctions(TorchFunctionMode):
    def __init__(self, reads: Reads) -> None:
        super().__init__()
        self._reads = reads

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._reads.is_unfollowed |= func in _READ_BY_PYTHON
        return func(*args, **(kwargs or {}))


class _NotingOperations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, reads: Reads, names: _Names) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reads, self._names = reads, names

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = _tensors((args, kwargs))
        self._reads.is_unfollowed |= not all(map(_is_strided, given))
        for name in _read(filter(_is_strided, given), self._names):
            self._reads.first.setdefault(name, len(self._reads.first))
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class _Given:
    """A result that is an argument, by its position among the tensors of the call."""

    position: int


@dataclass(eq=False)
class _Made:
    """A result that is a tensor of its own.

    Attributes:
        seen: The tensor, as long as somebody holds it.
        size: Its shape.
        stride: Its strides.
        dtype: Its type.
    """

    seen: TensorWeakRef
    size: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: Tensor) -> "_Made":
        return cls(TensorWeakRef(tensor), tensor.shape, tensor.stride(), tensor.dtype)

    def again(self, values: Tensor | None) -> Tensor:
        """Return these values in a tensor of its own, or one whose values nobody may read."""
        made = torch.empty_strided(self.size, self.stride, dtype=self.dtype)
        if values is None:
            made.is_blank = True  # type: ignore[attr-defined]
        else:
            made.copy_(values)
        self.seen = TensorWeakRef(made)
        return made

    def whole(self, part: Tensor) -> Tensor:
        """Return the tensor as it was made, of which another is a part."""
        storage = part.untyped_storage()
        return torch.empty(0, dtype=self.dtype).set_(storage, 0, self.size, self.stride)


@dataclass(frozen=True, eq=False)
class _Call:
    """One operation.

    Attributes:
        operation: What was called.
        results: Flat: tensors, arguments that came back, other values.
        form: Their structure.
        is_view: Whether a result shares memory with an argument: it is called again, then.
    """

    operation: Any
    results: list[Any]
    form: Any
    is_view: bool


@dataclass(eq=False)
class _Beginning:
    """The operations of one pass, up to the first that tells networks apart.

    Attributes:
        calls: In their order.
        read: Names of the parameters and buffers that they read.
        written: Names of those that they change.
        values: Of the tensors that are held at the end.
    """

    calls: list[_Call] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    values: Mapping[_Made, Tensor] = field(default_factory=dict)


class SharedPrefix:
    """Keeps how the passes of one network begin, for the next ones.

    Args:
        most_bytes: Of all that is kept: where it would be more, an earlier point is gone on from.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: Mapping[int, _Beginning] = {}

    @contextmanager
    def passes(self, module: nn.Module, changed: Collection[str]) -> Iterator[None]:
        """Let the passes of a network inside the block go on from where earlier networks were.

        They are numbered: each gets the same inputs as those of the same number before.

        Args:
            module: On the CPU, as it is to be run, without gradients.
            changed: Names of the parameters and buffers that may be others than in the networks
                that come here before and after.

        Raises:
            OtherCourseError: If a pass begins otherwise; nothing that it gave may be used.
        """
        following = _Following(module, frozenset(changed), self._kept, self._most_bytes)
        handles = [
            module.register_forward_pre_hook(following.enter, prepend=True),
            module.register_forward_hook(following.leave, always_call=True),
        ]
        try:
            with following:
                yield
        finally:
            for handle in handles:
                handle.remove()
        if following.fault:  # also where the model's code has caught the error
            raise OtherCourseError(following.fault)
        if following.kept:
            self._kept = following.kept


class _Following(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Goes through the passes of one network.

    Attributes:
        kept: How they began, by number; empty if that would be too much to keep.
        fault: Why they cannot be used; empty if they can.
    """

    def __init__(
        self,
        module: nn.Module,
        changed: frozenset[str],
        known: Mapping[int, _Beginning],
        most_bytes: int,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._names, self._changed = _names_by_memory(module), changed
        self._known = known if all(not b.read & changed for b in known.values()) else {}
        self._bytes_left: float = most_bytes
        self._n_passes, self._is_inside = 0, False
        self._not_written: set[str] = set()
        self.kept: dict[int, _Beginning] = {}
        self.fault = ""

    def enter(self, module: nn.Module, inputs: object) -> None:
        """Begin a pass."""
        del module, inputs
        self._from = self._known.get(self._n_passes, _Beginning())
        self._now = _Beginning([], set(self._from.read), set(self._from.written))
        self._not_written |= self._from.written
        self._owners: dict[StorageWeakRef, _Made] = {}
        self._is_inside = self._is_common = True

    def leave(self, *_: object) -> None:
        """End a pass."""
        self._is_inside = False
        self._n_passes += 1
        self._owners.clear()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self._is_inside:
            return func(*args, **kwargs)
        at, calls = len(self._now.calls), self._from.calls
        if self._is_common and at < len(calls):
            self._now.calls.append(calls[at])
            return self._again(calls[at], func, args, kwargs)
        return self._computed(func, args, kwargs)

    def _again(self, call: _Call, func: Any, args: Any, kwargs: Any) -> Any:
        """Return what an operation gave before, without computing it."""
        if call.operation is not func:
            raise self._other(f"{func} came where {call.operation} was")
        given = _tensors((args, kwargs))
        if not call.is_view:
            return tree_unflatten([self._result(each, given) for each in call.results], call.form)
        out = func(*args, **kwargs)
        is_blank = any(map(_is_blank, given))
        for result, tensor in zip(call.results, tree_flatten(out)[0], strict=True):
            if isinstance(result, _Made):
                result.seen = TensorWeakRef(tensor)
                if is_blank:
                    tensor.is_blank = True
        return out

    def _result(self, result: Any, given: list[Tensor]) -> Any:
        if isinstance(result, _Given):
            return given[result.position]
        if not isinstance(result, _Made):
            return result
        tensor = result.again(self._from.values.get(result))
        self._owners[_memory(tensor)] = result
        return tensor

    def _computed(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Return what an operation gives, and note it while it is common to all networks."""
        given = _tensors((args, kwargs))
        if any(map(_is_blank, given)):
            raise self._other(f"{func} reads what was not kept")
        read = set(_read(given, self._names))
        if stale := read & self._not_written:
            raise self._other(f"{func} reads {min(stale)}, which was not written again")
        writes = func._schema.is_mutable
        if self._is_common and (read & self._changed or (writes and self._is_foreign(given[0]))):
            self._is_common = False
            self._keep()
        out = func(*args, **kwargs)
        if self._is_common:
            self._note(func, given, out)
            self._now.read |= read
            if writes or func._schema.name in _WRITES_STATISTICS:
                self._now.written |= read
        return out

    def _is_foreign(self, tensor: Tensor) -> bool:
        """Whether a tensor was made outside of this pass, and is none of the network's."""
        memory = _memory(tensor)
        return memory not in self._owners and memory not in self._names

    def _note(self, func: Any, given: list[Tensor], out: Any) -> None:
        places = {id(each): position for position, each in enumerate(given)}
        memories = set(map(_memory, given))
        leaves, form = tree_flatten(out)
        results = list(leaves)
        is_view = torch.Tag.inplace_view in func.tags
        for i, each in enumerate(leaves):
            if isinstance(each, Tensor) and id(each) in places:
                results[i] = _Given(places[id(each)])
            elif isinstance(each, Tensor):
                made = results[i] = _Made.of(each)
                if _memory(each) in memories:
                    is_view = True
                else:
                    self._owners[_memory(each)] = made
        self._now.calls.append(_Call(func, results, form, is_view))

    def _keep(self) -> None:
        """Keep what is held at this point; nothing of any pass, if it is too much."""
        made = [r for call in self._now.calls for r in call.results if isinstance(r, _Made)]
        held = [each for each in (result.seen() for result in made) if each is not None]
        parts = {_memory(each): each for each in held if not _is_blank(each)}
        live = {self._owners[m]: part for m, part in parts.items() if m in self._owners}
        self._bytes_left -= sum(part.untyped_storage().nbytes() for part in live.values())
        if self._bytes_left < 0:
            self.kept.clear()
            return
        self._now.values = {each: each.whole(part).clone() for each, part in live.items()}
        self.kept[self._n_passes] = self._now

    def _other(self, fault: str) -> OtherCourseError:
        self.fault = self.fault or fault  # the first: code that catches it goes on
        return OtherCourseError(fault)


def _tensors(values: Any) -> list[Tensor]:
    """Return the tensors among the arguments of an operation."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, tuple | list):
        return []
    return [tensor for each in values for tensor in _tensors(each)]


def _is_blank(tensor: Tensor) -> bool:
    return hasattr(tensor, "is_blank")


def _memory(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def _is_strided(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_nested


def _read(given: Iterable[Tensor], names: _Names) -> Iterator[str]:
    for each in given:
        yield from names.get(_memory(each), ())


def _names_by_memory(module: nn.Module) -> _Names:
    found: dict[StorageWeakRef, set[str]] = defaultdict(set)
    for tensors in (module.named_parameters(), module.named_buffers()):
        for name, tensor in tensors:
            if _is_strided(tensor):
                found[_memory(tensor)].add(name)
    return dict(found)

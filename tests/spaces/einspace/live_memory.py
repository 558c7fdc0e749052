"""How much memory torch has in use while a network runs."""

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the storages of tensors from birth to death.

    Attributes:
        most: Bytes that were alive at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._alive: dict[int, int] = {}

    def take(self, tensor: Tensor, *, counts: bool = True) -> None:
        """Take note of a tensor's storage, if it is not known."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._alive:
            self._alive[key] = storage.nbytes() if counts else 0
            self.most = max(self.most, sum(self._alive.values()))
            weakref.finalize(storage, self._alive.pop, key, None)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.take(leaf)
        return result


def live_bytes(network: nn.Module, inputs: Tensor) -> int:
    """Return the most bytes alive at once while a network runs, beside its own."""
    memory = LiveMemory()
    with torch.no_grad(), memory:
        for own in (*network.parameters(), *network.buffers()):
            memory.take(own, counts=False)
        memory.take(inputs)
        network(inputs)
    return memory.most

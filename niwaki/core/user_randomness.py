"""What a user's own code draws at random: the same in every process, and after every restart."""

import random
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Let code draw the same from Python's, numpy's and torch's global generators each time.

    Loaders that shuffle then give one order, and splits that are drawn on the spot are the same.
    The generators, of torch's also those of GPUs that are in use, are put back afterwards.

    Args:
        seed: Of all of them, below 2^32.
    """
    before = _States.now()
    _seed(seed)
    try:
        yield
    finally:
        before.restore()


def seeded_items(items: Iterable[T], seed: int = 0) -> Iterator[T]:
    """Go through what a user's code gives one by one, as `seeded` would all at once.

    Between two items the generators are as others left them.
    """
    with seeded(seed):
        iterator, theirs = iter(items), _States.now()
    while True:
        others = _States.now()
        theirs.restore()
        try:
            item = next(iterator)
        except StopIteration:
            return
        finally:
            theirs = _States.now()
            others.restore()
        yield item


@dataclass(frozen=True)
class _States:
    """Where all generators are; None and nothing of those that are not in use."""

    python: Any
    arrays: Any
    tensors: Any
    on_gpus: list[Any]

    @classmethod
    def now(cls) -> "_States":
        torch = sys.modules.get("torch")  # code that draws from it has imported it; we need not
        return cls(
            random.getstate(),
            np.random.get_state(),  # noqa: NPY002
            torch.get_rng_state() if torch else None,
            torch.cuda.get_rng_state_all() if torch and torch.cuda.is_initialized() else [],
        )

    def restore(self) -> None:
        random.setstate(self.python)
        np.random.set_state(self.arrays)  # noqa: NPY002
        if self.tensors is not None:
            sys.modules["torch"].set_rng_state(self.tensors)
        if self.on_gpus:
            sys.modules["torch"].cuda.set_rng_state_all(self.on_gpus)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if torch := sys.modules.get("torch"):
        torch.default_generator.manual_seed(seed)
        # A seed for GPUs that are not in use is kept for when they are, and cannot be put back.
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)

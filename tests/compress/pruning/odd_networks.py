"""Networks whose code is hard to follow, all with the same layers."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


def _thrice(x: Tensor) -> Tensor:
    return torch.from_numpy(x.numpy() * 3.0)


LIBRARY = torch.library.Library("niwaki_tests", "DEF")  # type: ignore[no-untyped-call]
LIBRARY.define("thrice(Tensor x) -> Tensor")  # type: ignore[no-untyped-call]
LIBRARY.impl("thrice", _thrice, "CPU")  # type: ignore[no-untyped-call]


def layer(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution, batch-norm and ReLU."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, 1), nn.BatchNorm2d(n_out), nn.ReLU())


class Residual(nn.Module):
    """Two convolutions, the first of which can lose channels by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = layer(16, 16), nn.Conv2d(16, 16, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.b(self.a(x)))


class Plain(nn.Module):
    """What the others vary: what happens between the blocks, and after them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.tail = layer(1, 16, 2), Residual(), layer(16, 32, 2)
        self.fc = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Any:
        return self.scores(self.middle(self.stem(x)))

    def middle(self, y: Tensor) -> Tensor:
        found: Tensor = self.body(y)
        return found

    def scores(self, y: Tensor) -> Any:
        return self.fc(self.tail(y).mean((2, 3)))


class Deciding(Plain):
    def middle(self, y: Tensor) -> Tensor:
        y = super().middle(y)
        return super().middle(y) if y.amax() > 0 else y


class Looping(Plain):
    def middle(self, y: Tensor) -> Tensor:
        for _ in range(2 + int(y.abs().sum() * 0)):
            y = super().middle(y)
        return y


class SortedByNumpy(Plain):
    def middle(self, y: Tensor) -> Tensor:
        y = super().middle(y)
        return torch.from_numpy(np.sort(y.numpy(), axis=-1).copy())


class AnsweredByNumpy(Plain):
    def scores(self, y: Tensor) -> Any:
        answer = super().scores(y)
        return answer[:, sorted(range(4), key=lambda i: float(answer[0, i]))].numpy() * 2.0

    def forward(self, x: Tensor) -> Any:
        return torch.from_numpy(super().forward(x))


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * 2


class OwnGradient(Plain):
    def middle(self, y: Tensor) -> Tensor:
        doubled: Tensor = Twice.apply(super().middle(y))  # type: ignore[no-untyped-call]
        return doubled


class OwnOperation(Plain):
    def middle(self, y: Tensor) -> Tensor:
        tripled: Tensor = torch.ops.niwaki_tests.thrice(super().middle(y))
        return tripled


class Bookkeeping(Plain):
    def forward(self, x: Tensor) -> Any:
        kept: dict[str, Any] = {"all": [self.stem(x)], "n": 3, "none": None}
        for _ in range(2):
            kept["all"].append(self.body(kept["all"][-1]))
        kept["scores"] = self.scores(torch.stack(kept.pop("all")).sum(0))
        return kept


class Trying(Plain):
    def middle(self, y: Tensor) -> Tensor:
        y = super().middle(y)
        try:
            return y + torch.ones(2, 16, 3, 3)
        except RuntimeError:
            return y + 1


class Generating(Plain):
    def steps(self, x: Tensor) -> Iterator[Tensor]:
        for block in (self.stem, self.body):
            x = block(x)
            yield x

    def forward(self, x: Tensor) -> Any:
        *_, last = self.steps(x)
        return self.scores(last)


class Scripted(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.body = torch.jit.script(Residual())  # type: ignore[assignment]


class CompiledBlock(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.body = torch.compile(Residual(), backend="eager")  # type: ignore[assignment]


class AskingForPlainIntegers(Plain):
    """Its numbers must not be replaced by others that are as large."""

    def middle(self, y: Tensor) -> Tensor:
        n_channels: Any = self.stem[0].out_channels
        if type(n_channels) is not int:
            raise TypeError("numbers of channels are integers")
        return super().middle(y)


class NotToBeWatched(Plain):
    """Its own code raises whenever functions of torch are watched; that of its blocks does not."""

    def middle(self, y: Tensor) -> Tensor:
        if torch._C._len_torch_function_stack():
            raise ZeroDivisionError("somebody looks")
        return super().middle(y) * 2.0


class Remembering(Plain):
    """Adds what it computed in the pass before."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Tensor | None = None
        self.seen: list[Tensor] = []

    def middle(self, y: Tensor) -> Tensor:
        found = super().middle(y)
        if self.before is not None and self.seen:
            found = found + self.before
        self.before = found.detach()
        self.seen.append(self.before)
        return found


class Locked(Plain):
    """Holds what cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def middle(self, y: Tensor) -> Tensor:
        with self.lock:
            return super().middle(y)


class Noisy(Plain):
    def middle(self, y: Tensor) -> Tensor:
        return super().middle(y) + np.random.rand()  # noqa: NPY002  (somebody's code)


class HalfPrecise(Plain):
    """Computes a part in single precision, whatever the rest is in."""

    def middle(self, y: Tensor) -> Tensor:
        inside = functional.conv2d(y.float(), self.body.b.weight.float(), padding=1)
        return super().middle(y) + inside.to(y.dtype)


STEM, BLOCK, TAIL = "stem.0", "body.a.0", "tail.0"
CASES: dict[type[Plain], tuple[str, ...]] = {
    Plain: (STEM, BLOCK, TAIL),
    Deciding: (BLOCK, TAIL),  # the largest of all channels is asked for
    Looping: (STEM, BLOCK, TAIL),
    SortedByNumpy: (BLOCK, TAIL),
    AnsweredByNumpy: (STEM, BLOCK, TAIL),
    OwnGradient: (STEM, BLOCK, TAIL),
    OwnOperation: (BLOCK, TAIL),
    Bookkeeping: (STEM, BLOCK, TAIL),
    Trying: (STEM, BLOCK, TAIL),
    Generating: (STEM, BLOCK, TAIL),
    Scripted: (TAIL,),
    CompiledBlock: (STEM, "body._orig_mod.a.0", TAIL),
    AskingForPlainIntegers: (STEM, BLOCK, TAIL),
    NotToBeWatched: (BLOCK,),
    Remembering: (STEM, BLOCK, TAIL),
    Locked: (STEM, BLOCK, TAIL),
    Noisy: (STEM, BLOCK, TAIL),
    HalfPrecise: (STEM, TAIL),  # what is read by the weights of one is computed by the other
}

"""What a user's own file of metrics and losses may look like."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch.nn import functional

no_function = [1, 2]


def macro_f1(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    return float(f1_score(targets, outputs.argmax(axis=1), average="macro"))


def squared(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    return float(np.square(outputs - targets).mean(dtype=np.float64))


def decibels(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    return float(-10 * np.log10(squared(outputs, targets)))


def several(outputs: NDArray[Any], targets: NDArray[Any]) -> list[float]:
    return [0.5, 0.5]


def broken(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    raise ZeroDivisionError("of the user")


class MeanError:
    """Keeps sums alone."""

    def __init__(self) -> None:
        self.total, self.n = 0.0, 0

    def update(self, outputs: NDArray[Any], targets: NDArray[Any]) -> None:
        self.total += float(np.abs(outputs - targets).sum(dtype=np.float64))
        self.n += outputs.size

    def compute(self) -> float:
        return self.total / self.n


class NoMetric:
    def update(self, outputs: NDArray[Any], targets: NDArray[Any]) -> None: ...


def always_perfect(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    return 1.0


def of_one(outputs: NDArray[Any]) -> float:
    return float(outputs.mean())


def focal(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    nats = functional.cross_entropy(outputs, targets, reduction="none")
    return ((1 - (-nats).exp()) ** 2 * nats).mean()


def hard(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return outputs.argmax(dim=1).ne(targets).float().mean()


def of_each(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(outputs, targets, reduction="none")


def nothing(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs * 0).sum()


def yes_or_no(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(outputs, targets)


def share_right(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    return float(((outputs > 0) == (targets > 0.5)).mean())


def in_place(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    outputs -= targets
    targets.zero_()
    return outputs.square().mean()


class InPlace:
    def __init__(self) -> None:
        self.mean = MeanError()

    def update(self, outputs: NDArray[Any], targets: NDArray[Any]) -> None:
        self.mean.update(outputs, targets)
        outputs[:] = targets[:] = 0.0

    def compute(self) -> float:
        return self.mean.compute()

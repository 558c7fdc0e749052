"""Modules of a grammar of one's own."""

from torch import Tensor, nn


def conv(given: tuple[int, ...], k: int, d: int) -> nn.Module:
    return nn.Conv2d(given[0], d, k, padding=k // 2)


def halve(given: tuple[int, ...]) -> nn.Module:
    return nn.MaxPool2d(2)


def fails(given: tuple[int, ...]) -> nn.Module:
    raise RuntimeError("no module today")


def no_module(given: tuple[int, ...]) -> int:
    return len(given)


def breaks(given: tuple[int, ...]) -> nn.Module:
    return nn.Conv2d(given[0] + 1, 1, 1)


class Twice(nn.Module):
    def __init__(self, children: list[nn.Module]) -> None:
        super().__init__()
        self.one, self.two = children

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x) + self.two(x)  # type: ignore[no-any-return]

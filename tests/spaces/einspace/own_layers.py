"""Modules of a grammar of one's own."""

import torch
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


class Thirds(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        n = x.shape[1] // 3
        return [x[:, :n], x[:, n:]]


def thirds(given: tuple[int, ...]) -> nn.Module:
    return Thirds()


def halves(given: tuple[int, ...]) -> nn.Module:
    class Halves(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return x.chunk(2, 1)

    return Halves()


class Weighted(nn.Module):
    def __init__(self, given: tuple[tuple[int, ...], ...], times: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(sum(shape[0] for shape in given), 1, 1))
        self.times = times

    def forward(self, parts: list[Tensor]) -> Tensor:
        return (torch.cat(parts, 1) * self.weight).repeat(1, self.times, 1, 1)


weighted = Weighted


def roomy(given: tuple[int, ...], times: int) -> nn.Module:
    """Answer with the mean of some copies."""
    return nn.Sequential(nn.Upsample(scale_factor=times), nn.AvgPool2d(times))

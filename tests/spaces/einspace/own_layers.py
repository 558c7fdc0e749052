"""Modules of a grammar of one's own."""

from torch import nn


def conv(given: tuple[int, ...], k: int, d: int) -> nn.Module:
    return nn.Conv2d(given[0], d, k, padding=k // 2)


def halve(given: tuple[int, ...]) -> nn.Module:
    return nn.MaxPool2d(2)

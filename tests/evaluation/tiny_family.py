"""A family of small convolutional networks, some of which cannot be trained."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.spaces.choices import Choice, ChoiceSpace
from niwaki.spaces.heads import Head, HeadKind

FINE, DIVERGES, HUGE, EXHAUSTS = "fine", "diverges", "huge", "exhausts"


@dataclass(frozen=True)
class TinySettings:
    """Options of the family."""

    widths: tuple[int, ...] = (4, 8)

    def family(self, input_shape: tuple[int, ...], heads: tuple[Head, ...]) -> "TinyFamily":
        """Return the family."""
        return TinyFamily(self, input_shape, heads)


@dataclass(frozen=True)
class TinyFamily:
    """One strided convolution with batch-norm, then a head per task."""

    settings: TinySettings
    input_shape: tuple[int, ...]
    heads: tuple[Head, ...]

    @cached_property
    def space(self) -> ChoiceSpace:
        """A width, and what is wrong with the network."""
        faults = (FINE, DIVERGES, HUGE, EXHAUSTS)
        return ChoiceSpace((Choice("width", self.settings.widths), Choice("fault", faults)))

    def seed(self, name: str) -> Candidate:
        """Return a network without a fault, by its width: `width_4`."""
        width = int(name.removeprefix("width_"))
        if width not in self.settings.widths:
            raise SpaceError(f"there is no seed '{name}'")
        return Candidate.of({"width": width, "fault": FINE})

    def counts(self, candidate: Candidate) -> Mapping[str, float]:
        """Return counts by hand."""
        channels, height, width = self.input_shape
        n = int(str(candidate.decisions["width"]))
        pixels = (height // 2) * (width // 2)
        outputs = sum(head.n_outputs for head in self.heads)
        huge = 1e6 if candidate.decisions["fault"] == HUGE else 1.0
        return {
            "params": float(9 * channels * n + 2 * n + (n + 1) * outputs),
            "macs": float(9 * channels * n * pixels + n * outputs),
            "elements": huge * 3 * n * pixels,
            "peak_bytes": 8.0 * n * pixels,
        }

    def build(self, candidate: Candidate) -> nn.Module:
        """Return the network."""
        fault = str(candidate.decisions["fault"])
        if fault == EXHAUSTS:
            raise MemoryError("no memory left")
        return TinyNetwork(
            self.input_shape[0], int(str(candidate.decisions["width"])), self.heads, fault
        )


class TinyNetwork(nn.Module):
    """What `TinyFamily` builds."""

    def __init__(self, channels: int, width: int, heads: tuple[Head, ...], fault: str) -> None:
        super().__init__()
        assert all(head.kind is HeadKind.VECTOR for head in heads)
        self.conv = nn.Conv2d(channels, width, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(0.1)
        self.heads = nn.ModuleList(nn.Linear(width, head.n_outputs) for head in heads)
        self.fault = fault

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map (B, C, H, W) to (B, n_outputs) per head."""
        if self.fault == DIVERGES:
            x = x * math.inf
        x = self.drop(self.act(self.norm(self.conv(x)))).mean(dim=(2, 3))
        return tuple(head(x) for head in self.heads)


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    """Whether two modules hold bit for bit the same numbers."""
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)

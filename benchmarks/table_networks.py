"""Networks of published tables, built as the papers describe them, to be looked at untrained.

References:
    TransNAS-Bench-101: Duan, Chen, Xu, Chen, Liang, Zhang and Li, CVPR 2021, sections 3.1 and 3.2.
    Accel-NASBench: Ahmad, Du, Xie and Zhang, DAC 2024, appendix B: the blocks of EfficientNet-B0
    (Tan and Le, ICML 2019, table 1), each with its own expansion, kernel, depth and
    squeeze-excitation.
    What the papers leave open follows from the parameters in the tables, which agree.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from benchmarks.zero_cost_proxies import EDGES, convolution

WIDTH = 64  # of TransNAS-Bench-101's networks, after the stem
N_CLASSES = 100  # of its object classification
CELLS_PER_MODULE = 2
BLOCKS_PER_MODULE = 2
MICRO_MODULES = (4, 1, 4, 1, 4)
# A module keeps its shape (1), doubles the channels (2), halves the resolution (3), or both (4).
DOUBLES, HALVES = (2, 4), (3, 4)

STEM_CHANNELS, HEAD_CHANNELS = 32, 1280
BLOCK_CHANNELS = (16, 24, 40, 80, 112, 192, 320)
BLOCK_STRIDES = (1, 2, 2, 2, 1, 2, 1)
SQUEEZE = 4


def stem(width: int) -> list[nn.Module]:
    """Return two convolutions that bring an image to a fourth of its resolution."""
    return [
        nn.Conv2d(3, width // 2, 3, 2, 1, bias=False),
        nn.BatchNorm2d(width // 2),
        nn.ReLU(),
        nn.Conv2d(width // 2, width, 3, 2, 1, bias=False),
        nn.BatchNorm2d(width),
    ]


def head(width: int, n_classes: int) -> list[nn.Module]:
    """Return the pooling and the linear layer of a classifier."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, n_classes)]


class ReducedSkip(nn.Module):
    """A skip that halves the resolution: two 1x1 convolutions, one a pixel aside of the other."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.rectifier = nn.ReLU()
        self.straight = nn.Conv2d(n_in, n_out // 2, 1, 2, bias=False)
        self.aside = nn.Conv2d(n_in, n_out - n_out // 2, 1, 2, bias=False)
        self.norm = nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in, H, W) to (B, n_out, H / 2, W / 2)."""
        x = self.rectifier(x)
        moved = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        y: Tensor = self.norm(torch.cat([self.straight(x), self.aside(moved)], dim=1))
        return y


class MicroCell(nn.Module):
    """Four nodes; each is the sum of what its edges make of earlier nodes.

    Edges out of the first node take over the change of channels and of resolution.

    Args:
        codes: Of the edges in `EDGES`: 0 none, 1 skip, 2 conv 1x1, 3 conv 3x3.
        n_in: Channels that come in.
        n_out: Channels of all other nodes.
        stride: Of the edges out of the first node.
    """

    def __init__(self, codes: Sequence[int], n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.shape = (n_out, stride)
        self.edges = [edge for edge, code in zip(EDGES, codes, strict=True) if code]
        self.operations = nn.ModuleList(
            micro_operation(code, n_out if start else n_in, n_out, 1 if start else stride)
            for (start, _), code in zip(EDGES, codes, strict=True)
            if code
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        n_out, stride = self.shape
        empty = x.new_zeros(len(x), n_out, x.shape[2] // stride, x.shape[3] // stride)
        nodes = [x, empty, empty, empty]
        for (start, end), each in zip(self.edges, self.operations, strict=True):
            nodes[end] = nodes[end] + each(nodes[start])
        return nodes[3]


def micro_operation(code: int, n_in: int, n_out: int, stride: int) -> nn.Module:
    """Return the operation of an edge: 1 skip, 2 conv 1x1, 3 conv 3x3."""
    if code == 1:
        return nn.Identity() if stride == 1 else ReducedSkip(n_in, n_out)
    return convolution(n_in, n_out, 1 if code == 2 else 3, stride)


def transnas_micro(codes: Sequence[int]) -> nn.Module:
    """Return a network of TransNAS-Bench-101's cell space: six edges."""
    width, layers = WIDTH, stem(WIDTH)
    for module in MICRO_MODULES:
        for number in range(CELLS_PER_MODULE):
            n_in, stride = width, 1
            if number == 0 and module in DOUBLES:
                width, stride = 2 * width, 2
            layers.append(MicroCell(codes, n_in, width, stride))
    return nn.Sequential(*layers, *head(width, N_CLASSES))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al., CVPR 2016)."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        changes = stride > 1 or n_in != n_out
        self.shortcut: nn.Module = nn.Identity()
        if changes:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )
        self.rectifier = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        y: Tensor = self.rectifier(self.body(x) + self.shortcut(x))
        return y


def transnas_macro(codes: Sequence[int]) -> nn.Module:
    """Return a network of TransNAS-Bench-101's macro space: 4 to 6 modules, 0 for none."""
    width, layers = WIDTH, stem(WIDTH)
    for module in filter(None, codes):
        for number in range(BLOCKS_PER_MODULE):
            n_in, stride = width, 1
            if number == 0:
                width = 2 * width if module in DOUBLES else width
                stride = 2 if module in HALVES else 1
            layers.append(BasicBlock(n_in, width, stride))
    return nn.Sequential(*layers, *head(width, N_CLASSES))


class SqueezeExcitation(nn.Module):
    """Scales channels by what their means say (Hu et al., CVPR 2018)."""

    def __init__(self, width: int, n_squeezed: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(width, n_squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(n_squeezed, width, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, H, W) to the same shape."""
        y: Tensor = x * self.gate(x)
        return y


class InvertedBottleneck(nn.Module):
    """Expansion, depthwise convolution, squeeze-excitation, projection (Tan et al., CVPR 2019).

    Args:
        n_in: Channels that come in.
        n_out: Channels that go out.
        stride: Of the depthwise convolution.
        choice: Expansion, kernel size, and whether there is a squeeze-excitation.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, choice: tuple[int, int, int]) -> None:
        super().__init__()
        expansion, kernel, squeezes = choice
        width, layers = expansion * n_in, []
        if expansion > 1:
            layers += normalised(nn.Conv2d(n_in, width, 1, bias=False))
        depthwise = nn.Conv2d(width, width, kernel, stride, kernel // 2, groups=width, bias=False)
        layers += normalised(depthwise)
        if squeezes:
            layers.append(SqueezeExcitation(width, max(1, n_in // SQUEEZE)))
        layers += [nn.Conv2d(width, n_out, 1, bias=False), nn.BatchNorm2d(n_out)]
        self.body = nn.Sequential(*layers)
        self.is_residual = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        y: Tensor = self.body(x)
        return x + y if self.is_residual else y


def normalised(convolution: nn.Conv2d) -> list[nn.Module]:
    """Return a convolution, its batch-norm and a rectifier."""
    return [convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()]


def accelerators(codes: Sequence[int]) -> nn.Module:
    """Return a network of Accel-NASBench: e, k, l and se of each of seven blocks."""
    layers = normalised(nn.Conv2d(3, STEM_CHANNELS, 3, 2, 1, bias=False))
    choices = zip(codes[0::4], codes[1::4], codes[2::4], codes[3::4], strict=True)
    shapes = zip(pairwise((STEM_CHANNELS, *BLOCK_CHANNELS)), BLOCK_STRIDES, strict=True)
    for ((n_in, n_out), stride), (expansion, kernel, depth, squeezes) in zip(
        shapes, choices, strict=True
    ):
        choice = (expansion, kernel, squeezes)
        layers.append(InvertedBottleneck(n_in, n_out, stride, choice))
        layers += [InvertedBottleneck(n_out, n_out, 1, choice) for _ in range(depth - 1)]
    layers += normalised(nn.Conv2d(BLOCK_CHANNELS[-1], HEAD_CHANNELS, 1, bias=False))
    return nn.Sequential(*layers, *head(HEAD_CHANNELS, 1000))

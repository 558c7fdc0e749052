"""Networks for small devices."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from niwaki.testing.model_zoo.blocks import Classifier, ConvNorm, SqueezeExcite, scaled


def mobilenet_v1(width: float = 1.0) -> nn.Module:
    """Howard et al., 2017."""
    n_in = scaled(32, width)
    layers: list[nn.Module] = [ConvNorm(3, n_in, 3, 2)]
    plan = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (1024, 2))
    for channels, stride in plan:
        n_out = scaled(channels, width)
        layers += [ConvNorm(n_in, n_in, 3, stride, groups=n_in), ConvNorm(n_in, n_out, 1)]
        n_in = n_out
    return nn.Sequential(*layers, Classifier(n_in))


class InvertedResidual(nn.Module):
    """Expand, depthwise, gate, project; a shortcut where the shapes allow."""

    def __init__(
        self,
        n_in: int,
        expanded: int,
        n_out: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        squeeze: int = 0,
        activation: type[nn.Module] = nn.ReLU6,
        gate: type[nn.Module] = nn.Sigmoid,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if expanded != n_in:
            layers.append(ConvNorm(n_in, expanded, 1, activation=activation()))
        layers.append(
            ConvNorm(expanded, expanded, kernel, stride, groups=expanded, activation=activation())
        )
        if squeeze:
            layers.append(SqueezeExcite(expanded, squeeze, gate()))
        layers.append(ConvNorm(expanded, n_out, 1, active=False))
        self.block = nn.Sequential(*layers)
        self.has_shortcut = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Any:
        """Map (B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        return x + self.block(x) if self.has_shortcut else self.block(x)


def mobilenet_v2(width: float = 1.0) -> nn.Module:
    """Sandler et al., CVPR 2018."""
    n_in = scaled(32, width)
    layers: list[nn.Module] = [ConvNorm(3, n_in, 3, 2, activation=nn.ReLU6())]
    plan = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    for expansion, channels, depth, stride in plan:
        n_out = scaled(channels, width)
        for i in range(depth):
            step = stride if i == 0 else 1
            layers.append(InvertedResidual(n_in, n_in * expansion, n_out, stride=step))
            n_in = n_out
    last = scaled(1280, width)
    return nn.Sequential(*layers, ConvNorm(n_in, last, 1, activation=nn.ReLU6()), Classifier(last))


class MobileNetV3(nn.Module):
    """MobileNetV3-small; `features` gives a shallow and a deep map."""

    def __init__(self, width: float) -> None:
        super().__init__()
        n_in = scaled(16, width)
        plan = (
            (3, 16, 16, True, nn.ReLU, 2),
            (3, 72, 24, False, nn.ReLU, 2),
            (3, 88, 24, False, nn.ReLU, 1),
            (5, 96, 40, True, nn.Hardswish, 2),
            (5, 240, 40, True, nn.Hardswish, 1),
            (5, 120, 48, True, nn.Hardswish, 1),
            (5, 288, 96, True, nn.Hardswish, 2),
            (5, 576, 96, True, nn.Hardswish, 1),
        )
        layers: list[nn.Module] = [ConvNorm(3, n_in, 3, 2, activation=nn.Hardswish())]
        for kernel, expanded, channels, squeeze, activation, stride in plan:
            n_out, inner = scaled(channels, width), scaled(expanded, width)
            layers.append(
                InvertedResidual(
                    n_in,
                    inner,
                    n_out,
                    kernel=kernel,
                    stride=stride,
                    squeeze=scaled(inner // 4, 1.0) if squeeze else 0,
                    activation=activation,
                    gate=nn.Hardsigmoid,
                )
            )
            n_in = n_out
        self.shallow_channels, self.deep_channels = scaled(24, width), n_in
        self.layers = nn.ModuleList(layers)
        inner, hidden = scaled(576, width), scaled(1024, width)
        self.last = ConvNorm(n_in, inner, 1, activation=nn.Hardswish())
        self.classifier = nn.Sequential(
            nn.Linear(inner, hidden), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(hidden, 10)
        )

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps at an eighth and at a thirty-second of the size."""
        shallow = x
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i == 3:
                shallow = x
        return shallow, x

    def forward(self, x: Tensor) -> Any:
        """Map (B, 3, H, W) to (B, 10)."""
        return self.classifier(self.last(self.features(x)[1]).mean((2, 3)))


def mobilenet_v3_small(width: float = 1.0) -> MobileNetV3:
    """Howard et al., ICCV 2019."""
    return MobileNetV3(width)


def efficientnet_b0(width: float = 1.0) -> nn.Module:
    """Tan and Le, ICML 2019."""
    n_in = scaled(32, width)
    layers: list[nn.Module] = [ConvNorm(3, n_in, 3, 2, activation=nn.SiLU())]
    plan = (
        (1, 3, 1, 16, 1),
        (6, 3, 2, 24, 2),
        (6, 5, 2, 40, 2),
        (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3),
        (6, 5, 2, 192, 4),
        (6, 3, 1, 320, 1),
    )
    for expansion, kernel, stride, channels, depth in plan:
        n_out = scaled(channels, width)
        for i in range(depth):
            layers.append(
                InvertedResidual(
                    n_in,
                    n_in * expansion,
                    n_out,
                    kernel=kernel,
                    stride=stride if i == 0 else 1,
                    squeeze=max(1, n_in // 4),
                    activation=nn.SiLU,
                )
            )
            n_in = n_out
    last = scaled(1280, width)
    return nn.Sequential(*layers, ConvNorm(n_in, last, 1, activation=nn.SiLU()), Classifier(last))


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of the groups."""
    n, channels, height, width = x.size()
    x = x.view(n, groups, channels // groups, height, width)
    return torch.transpose(x, 1, 2).contiguous().view(n, channels, height, width)


class ShuffleUnitV2(nn.Module):
    """Half of the channels pass, half are convolved; then both are shuffled."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        half = n_out // 2
        self.stride = stride
        self.branch1: nn.Module = nn.Identity()
        if stride > 1:
            self.branch1 = nn.Sequential(
                ConvNorm(n_in, n_in, 3, stride, groups=n_in, active=False),
                ConvNorm(n_in, half, 1),
            )
        self.branch2 = nn.Sequential(
            ConvNorm(n_in if stride > 1 else half, half, 1),
            ConvNorm(half, half, 3, stride, groups=half, active=False),
            ConvNorm(half, half, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        if self.stride == 1:
            first, second = x.chunk(2, dim=1)
            out = torch.cat((first, self.branch2(second)), dim=1)
        else:
            out = torch.cat((self.branch1(x), self.branch2(x)), dim=1)
        return channel_shuffle(out, 2)


def shufflenet_v2(width: float = 1.0) -> nn.Module:
    """Ma et al., ECCV 2018: 1.0x."""
    n_in = scaled(24, width)
    layers: list[nn.Module] = [ConvNorm(3, n_in, 3, 2), nn.MaxPool2d(3, 2, 1)]
    for depth, channels in ((4, 116), (8, 232), (4, 464)):
        n_out = scaled(channels, width, divisor=4)
        for i in range(depth):
            layers.append(ShuffleUnitV2(n_in, n_out, 1 if i else 2))
            n_in = n_out
    last = scaled(1024, width)
    return nn.Sequential(*layers, ConvNorm(n_in, last, 1), Classifier(last))


class ShuffleUnitV1(nn.Module):
    """Grouped 1x1, shuffle, depthwise, grouped 1x1."""

    def __init__(self, n_in: int, n_out: int, stride: int, groups: int) -> None:
        super().__init__()
        inner, made = n_out // 4, n_out - n_in if stride > 1 else n_out
        self.groups, self.stride = groups, stride
        self.enter = ConvNorm(n_in, inner, 1, groups=groups)
        self.depthwise = ConvNorm(inner, inner, 3, stride, groups=inner, active=False)
        self.leave = ConvNorm(inner, made, 1, groups=groups, active=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        y = self.leave(self.depthwise(channel_shuffle(self.enter(x), self.groups)))
        if self.stride == 1:
            return torch.relu(x + y)
        pooled = nn.functional.avg_pool2d(x, 3, self.stride, 1)
        return torch.relu(torch.cat([pooled, y], 1))


def shufflenet_v1(width: float = 1.0) -> nn.Module:
    """Zhang et al., CVPR 2018: 4 groups."""
    n_in = scaled(24, width)
    layers: list[nn.Module] = [ConvNorm(3, n_in, 3, 2), nn.MaxPool2d(3, 2, 1)]
    for depth, channels in ((4, 272), (8, 544), (4, 1088)):
        n_out = scaled(channels, width, divisor=32)
        for i in range(depth):
            layers.append(ShuffleUnitV1(n_in, n_out, 1 if i else 2, 4))
            n_in = n_out
    return nn.Sequential(*layers, Classifier(n_in))


class GhostModule(nn.Module):
    """Half of the channels by convolution, half from those by a cheap one."""

    def __init__(self, n_in: int, n_out: int, *, active: bool = True) -> None:
        super().__init__()
        self.n_out = n_out
        half = math.ceil(n_out / 2)
        self.primary = ConvNorm(n_in, half, 1, active=active)
        self.cheap = ConvNorm(half, half, 3, groups=half, active=active)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in, H, W) to (B, n_out, H, W)."""
        first = self.primary(x)
        return torch.cat([first, self.cheap(first)], dim=1)[:, : self.n_out, :, :]


class GhostBottleneck(nn.Module):
    """Two ghost modules, a strided depthwise between them, a gate and a shortcut."""

    def __init__(self, n_in: int, inner: int, n_out: int, stride: int, *, squeeze: bool) -> None:
        super().__init__()
        self.ghost1 = GhostModule(n_in, inner)
        self.depthwise: nn.Module = nn.Identity()
        if stride > 1:
            self.depthwise = ConvNorm(inner, inner, 3, stride, groups=inner, active=False)
        self.gate = SqueezeExcite(inner, inner // 4, nn.Hardsigmoid()) if squeeze else nn.Identity()
        self.ghost2 = GhostModule(inner, n_out, active=False)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                ConvNorm(n_in, n_in, 3, stride, groups=n_in, active=False),
                ConvNorm(n_in, n_out, 1, active=False),
            )

    def forward(self, x: Tensor) -> Any:
        """Map (B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        y = self.ghost2(self.gate(self.depthwise(self.ghost1(x))))
        return y + self.shortcut(x)


def ghostnet(width: float = 1.0) -> nn.Module:
    """Han et al., CVPR 2020."""
    n_in = scaled(16, width)
    layers: list[nn.Module] = [ConvNorm(3, n_in, 3, 2)]
    plan = (
        (16, 16, 1, False),
        (48, 24, 2, False),
        (72, 24, 1, False),
        (72, 40, 2, True),
        (120, 40, 1, True),
        (240, 80, 2, False),
        (200, 80, 1, False),
        (480, 112, 1, True),
        (672, 160, 2, True),
    )
    for inner, channels, stride, squeeze in plan:
        n_out = scaled(channels, width)
        layers.append(GhostBottleneck(n_in, scaled(inner, width), n_out, stride, squeeze=squeeze))
        n_in = n_out
    return nn.Sequential(*layers, Classifier(n_in))


class MobileOneBlock(nn.Module):
    """Parallel branches, which fuse into one convolution after training."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, groups: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            ConvNorm(n_in, n_out, kernel, stride, groups=groups, active=False) for _ in range(2)
        )
        self.pointwise: nn.Module | None = None
        if kernel > 1:
            self.pointwise = ConvNorm(n_in, n_out, 1, stride, groups=groups, active=False)
        self.identity: nn.Module | None = None
        if n_in == n_out and stride == 1:
            self.identity = nn.BatchNorm2d(n_in)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        y: Any = 0
        for branch in self.branches:
            y = y + branch(x)
        if self.pointwise is not None:
            y = y + self.pointwise(x)
        if self.identity is not None:
            y = y + self.identity(x)
        return torch.relu(y)


def mobileone(width: float = 1.0) -> nn.Module:
    """Vasu et al., CVPR 2023: in its training form."""
    n_in = scaled(64, width)
    layers: list[nn.Module] = [MobileOneBlock(3, n_in, 3, 2, 1)]
    for depth, channels in ((2, 64), (4, 128), (4, 256), (1, 512)):
        n_out = scaled(channels, width)
        for i in range(depth):
            layers.append(MobileOneBlock(n_in, n_in, 3, 1 if i else 2, n_in))
            layers.append(MobileOneBlock(n_in, n_out, 1, 1, 1))
            n_in = n_out
    return nn.Sequential(*layers, Classifier(n_in))

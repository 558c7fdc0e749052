"""Residual networks and their descendants."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from niwaki.testing.model_zoo.blocks import Classifier, ConvNorm, SqueezeExcite, scaled


class BasicBlock(nn.Module):
    """Two 3x3 convolutions (He et al., 2016)."""

    expansion = 1

    def __init__(self, n_in: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(n_in, planes, 3, stride)
        self.conv2 = ConvNorm(planes, planes, active=False)
        self.downsample: nn.Module | None = None
        if stride != 1 or n_in != planes:
            self.downsample = ConvNorm(n_in, planes, 1, stride, active=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Any:
        """Map (B, C, H, W) to (B, planes, H / stride, W / stride)."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.conv2(self.conv1(x))
        out += identity
        return self.relu(out)


class Bottleneck(nn.Module):
    """1x1, 3x3 in groups, 1x1, and a gate if asked (ResNet, ResNeXt, Wide ResNet, RegNet)."""

    def __init__(
        self,
        n_in: int,
        inner: int,
        n_out: int,
        stride: int,
        *,
        groups: int = 1,
        squeeze: int = 0,
    ) -> None:
        super().__init__()
        self.conv1 = ConvNorm(n_in, inner, 1)
        self.conv2 = ConvNorm(inner, inner, 3, stride, groups=groups)
        self.gate = SqueezeExcite(inner, squeeze) if squeeze else nn.Identity()
        self.conv3 = ConvNorm(inner, n_out, 1, active=False)
        self.downsample: nn.Module | None = None
        if stride != 1 or n_in != n_out:
            self.downsample = ConvNorm(n_in, n_out, 1, stride, active=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Any:
        """Map (B, C, H, W) to (B, n_out, H / stride, W / stride)."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.conv3(self.gate(self.conv2(self.conv1(x))))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    """A stem, stages, a classifier; `features` gives the stages' outputs."""

    def __init__(self, stem: nn.Module, stages: Sequence[nn.Module], n_out: int) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(stages)
        self.head = Classifier(n_out)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the output of each stage."""
        x = self.stem(x)
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def forward(self, x: Tensor) -> Any:
        """Map (B, 3, H, W) to (B, n_classes)."""
        return self.head(self.features(x)[-1])


def _stem(n_out: int) -> nn.Sequential:
    return nn.Sequential(ConvNorm(3, n_out, 7, 2), nn.MaxPool2d(3, 2, 1))


def _basic(depths: Sequence[int], width: float) -> ResNet:
    planes = [scaled(64 * 2**i, width) for i in range(4)]
    n_in, stages = planes[0], []
    for i, (depth, n_out) in enumerate(zip(depths, planes, strict=True)):
        blocks = []
        for j in range(depth):
            blocks.append(BasicBlock(n_in, n_out, 2 if i and j == 0 else 1))
            n_in = n_out
        stages.append(nn.Sequential(*blocks))
    return ResNet(_stem(planes[0]), stages, n_in)


def _bottlenecks(
    depths: Sequence[int],
    width: float,
    *,
    inner: int = 64,
    groups: int = 1,
    squeeze: bool = False,
) -> ResNet:
    n_in, stages = scaled(64, width), []
    stem = _stem(n_in)
    for i, depth in enumerate(depths):
        middle = max(groups, scaled(inner * 2**i, width) // groups * groups)
        n_out = scaled(256 * 2**i, width)
        blocks = []
        for j in range(depth):
            stride = 2 if i and j == 0 else 1
            reduced = middle // 16 or 4 if squeeze else 0
            blocks.append(Bottleneck(n_in, middle, n_out, stride, groups=groups, squeeze=reduced))
            n_in = n_out
        stages.append(nn.Sequential(*blocks))
    return ResNet(stem, stages, n_in)


def resnet18(width: float = 1.0) -> ResNet:
    """He et al., CVPR 2016."""
    return _basic((2, 2, 2, 2), width)


def resnet34(width: float = 1.0) -> ResNet:
    """He et al., CVPR 2016."""
    return _basic((3, 4, 6, 3), width)


def resnet50(width: float = 1.0) -> ResNet:
    """He et al., CVPR 2016."""
    return _bottlenecks((3, 4, 6, 3), width)


def resnext50(width: float = 1.0) -> ResNet:
    """Xie et al., CVPR 2017: 32 groups of 4 channels in the first stage."""
    return _bottlenecks((3, 4, 6, 3), width, inner=128, groups=32 if width >= 1 else 8)


def wide_resnet50(width: float = 1.0) -> ResNet:
    """Zagoruyko and Komodakis, BMVC 2016: twice the inner width."""
    return _bottlenecks((3, 4, 6, 3), width, inner=128)


def se_resnet50(width: float = 1.0) -> ResNet:
    """Hu et al., CVPR 2018."""
    return _bottlenecks((3, 4, 6, 3), width, squeeze=True)


def _regnet(width: float, *, squeeze: bool) -> ResNet:
    n_in = scaled(32, width)
    stem, stages = ConvNorm(3, n_in, 3, 2), []
    group_width = 16 if width >= 1 else 8
    for depth, channels in zip((1, 2, 7, 12), (32, 64, 160, 400), strict=True):
        n_out = scaled(channels, width, divisor=group_width)
        blocks = []
        for j in range(depth):
            blocks.append(
                Bottleneck(
                    n_in,
                    n_out,
                    n_out,
                    1 if j else 2,
                    groups=n_out // group_width,
                    squeeze=max(n_in // 4, 4) if squeeze else 0,
                )
            )
            n_in = n_out
        stages.append(nn.Sequential(*blocks))
    return ResNet(stem, stages, n_in)


def regnet_x(width: float = 1.0) -> ResNet:
    """Radosavovic et al., CVPR 2020: RegNetX-400MF."""
    return _regnet(width, squeeze=False)


def regnet_y(width: float = 1.0) -> ResNet:
    """Radosavovic et al., CVPR 2020: with gates."""
    return _regnet(width, squeeze=True)


class Res2Block(nn.Module):
    """Groups of channels, each convolved together with the result of the one before."""

    def __init__(self, n_in: int, inner: int, n_out: int, stride: int, scale: int = 4) -> None:
        super().__init__()
        self.width = inner // scale
        self.scale = scale
        self.is_first = stride > 1 or n_in != n_out
        self.conv1 = ConvNorm(n_in, self.width * scale, 1)
        self.convs = nn.ModuleList(
            ConvNorm(self.width, self.width, 3, stride) for _ in range(scale - 1)
        )
        self.pool = nn.AvgPool2d(3, stride, 1)
        self.conv3 = ConvNorm(self.width * scale, n_out, 1, active=False)
        self.downsample: nn.Module | None = None
        if self.is_first:
            self.downsample = ConvNorm(n_in, n_out, 1, stride, active=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Any:
        """Map (B, C, H, W) to (B, n_out, H / stride, W / stride)."""
        parts = torch.split(self.conv1(x), self.width, 1)
        done: list[Tensor] = []
        last = parts[0]
        for i, conv in enumerate(self.convs):
            last = parts[i] if i == 0 or self.is_first else last + parts[i]
            last = conv(last)
            done.append(last)
        done.append(self.pool(parts[-1]) if self.is_first else parts[-1])
        identity = x if self.downsample is None else self.downsample(x)
        return self.relu(self.conv3(torch.cat(done, 1)) + identity)


def res2net50(width: float = 1.0) -> ResNet:
    """Gao et al., TPAMI 2021: 26 channels wide, scale 4."""
    n_in, stages = scaled(64, width), []
    stem = _stem(n_in)
    for i, depth in enumerate((3, 4, 6, 3)):
        inner, n_out = 4 * max(4, int(26 * width)) * 2**i, scaled(256 * 2**i, width)
        blocks = []
        for j in range(depth):
            blocks.append(Res2Block(n_in, inner, n_out, 2 if i and j == 0 else 1))
            n_in = n_out
        stages.append(nn.Sequential(*blocks))
    return ResNet(stem, stages, n_in)


class StandardisedConv(nn.Conv2d):
    """A convolution whose weight is standardised over its inputs, with a gain."""

    def __init__(
        self, n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(n_in, n_out, kernel, stride, kernel // 2, groups=groups)
        self.gain = nn.Parameter(torch.ones(n_out, 1, 1, 1))
        self.scale = self.weight[0].numel() ** -0.5

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        weight = nn.functional.batch_norm(
            self.weight.reshape(1, self.out_channels, -1),
            None,
            None,
            weight=(self.gain * self.scale).view(-1),
            training=True,
            momentum=0.0,
            eps=1e-6,
        ).reshape_as(self.weight)
        return nn.functional.conv2d(
            x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class NormFreeBlock(nn.Module):
    """A pre-activation block without normalisation."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        inner = n_out // 4
        self.conv1 = StandardisedConv(n_in, inner, 1)
        self.conv2 = StandardisedConv(inner, inner, 3, stride)
        self.conv3 = StandardisedConv(inner, n_out, 1)
        self.downsample: nn.Module | None = None
        if stride != 1 or n_in != n_out:
            self.downsample = StandardisedConv(n_in, n_out, 1, stride)
        self.gain = nn.Parameter(torch.tensor(0.2))

    def forward(self, x: Tensor) -> Any:
        """Map (B, C, H, W) to (B, n_out, H / stride, W / stride)."""
        y = torch.relu(x) * 1.7
        identity = x if self.downsample is None else self.downsample(y)
        y = torch.relu(self.conv2(torch.relu(self.conv1(y))))
        return self.conv3(y) * self.gain + identity


def nf_resnet26(width: float = 1.0) -> ResNet:
    """Brock et al., ICLR 2021: scaled weight standardisation in place of batch norm."""
    n_in, stages = scaled(64, width), []
    stem = nn.Sequential(StandardisedConv(3, n_in, 7, 2), nn.MaxPool2d(3, 2, 1))
    for i in range(4):
        n_out = scaled(256 * 2**i, width)
        blocks = []
        for j in range(2):
            blocks.append(NormFreeBlock(n_in, n_out, 2 if i and j == 0 else 1))
            n_in = n_out
        stages.append(nn.Sequential(*blocks))
    return ResNet(stem, stages, n_in)


class PaddedBlock(nn.Module):
    """A block whose shortcut grows by zeros (type A of the CIFAR networks)."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(n_in, n_out, 3, stride)
        self.conv2 = ConvNorm(n_out, n_out, active=False)
        self.stride, self.grow = stride, (n_out - n_in) // 2

    def forward(self, x: Tensor) -> Any:
        """Map (B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.grow:
            shortcut = nn.functional.pad(shortcut, (0, 0, 0, 0, self.grow, self.grow))
        return torch.relu(self.conv2(self.conv1(x)) + shortcut)


def resnet20_cifar(width: float = 1.0) -> ResNet:
    """He et al., CVPR 2016, section 4.2."""
    planes = [scaled(16 * 2**i, width) for i in range(3)]
    n_in, stages = planes[0], []
    for i, n_out in enumerate(planes):
        blocks = []
        for j in range(3):
            blocks.append(PaddedBlock(n_in, n_out, 2 if i and j == 0 else 1))
            n_in = n_out
        stages.append(nn.Sequential(*blocks))
    return ResNet(ConvNorm(3, planes[0]), stages, n_in)

"""Networks from before and beside the residual ones."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from niwaki.testing.model_zoo.blocks import Classifier, ConvNorm, scaled


class Vgg(nn.Module):
    """Convolutions in a row, and three linear layers on the flattened maps."""

    def __init__(self, plan: Sequence[int], width: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 3
        for channels in plan:
            if channels:
                layers.append(ConvNorm(n_in, scaled(channels, width)))
                n_in = scaled(channels, width)
            else:
                layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d((7, 7))
        hidden = scaled(4096, width / 4)
        self.classifier = nn.Sequential(
            nn.Linear(n_in * 49, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, 10),
        )

    def forward(self, x: Tensor) -> Any:
        """Map (B, 3, H, W) to (B, 10)."""
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


def vgg11_bn(width: float = 1.0) -> Vgg:
    """Simonyan and Zisserman, ICLR 2015."""
    return Vgg((64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0), width)


def vgg16_bn(width: float = 1.0) -> Vgg:
    """Simonyan and Zisserman, ICLR 2015."""
    plan = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
    return Vgg(plan, width)


class DenseLayer(nn.Module):
    """Norm, 1x1, norm, 3x3, on everything before."""

    def __init__(self, n_in: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(n_in), nn.Conv2d(n_in, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features: list[Tensor]) -> Any:
        """Map the features so far to (B, growth, H, W)."""
        x = self.conv1(torch.relu(self.norm1(torch.cat(features, 1))))
        return self.conv2(torch.relu(self.norm2(x)))


class DenseBlock(nn.ModuleList):
    """Layers that all read all before them."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C + growth * n_layers, H, W)."""
        features = [x]
        for layer in self:
            features.append(layer(features))
        return torch.cat(features, 1)


def densenet121(width: float = 1.0) -> nn.Module:
    """Huang et al., CVPR 2017."""
    growth, n_in = scaled(32, width, divisor=4), scaled(64, width)
    layers: list[nn.Module] = [ConvNorm(3, n_in, 7, 2), nn.MaxPool2d(3, 2, 1)]
    for i, depth in enumerate((6, 12, 24, 16)):
        layers.append(DenseBlock(DenseLayer(n_in + j * growth, growth) for j in range(depth)))
        n_in += depth * growth
        layers.append(nn.BatchNorm2d(n_in))
        layers.append(nn.ReLU(inplace=True))
        if i < 3:
            layers += [nn.Conv2d(n_in, n_in // 2, 1, bias=False), nn.AvgPool2d(2, 2)]
            n_in //= 2
    return nn.Sequential(*layers, Classifier(n_in))


class Fire(nn.Module):
    """Squeeze, then two expansions side by side."""

    def __init__(self, n_in: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(n_in, squeeze, 1)
        self.one = nn.Conv2d(squeeze, expand, 1)
        self.three = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 2 * expand, H, W)."""
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.one(x)), torch.relu(self.three(x))], 1)


def squeezenet(width: float = 1.0) -> nn.Module:
    """Iandola et al., 2016: version 1.1."""
    n_in = scaled(64, width)
    layers: list[nn.Module] = [nn.Conv2d(3, n_in, 3, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)]
    for i, (squeeze, expand) in enumerate(
        ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
    ):
        layers.append(Fire(n_in, scaled(squeeze, width), scaled(expand, width)))
        n_in = 2 * scaled(expand, width)
        if i in (1, 3):
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
    last = [nn.Dropout(), nn.Conv2d(n_in, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *last)


class Inception(nn.Module):
    """Four branches side by side."""

    def __init__(self, n_in: int, sizes: Sequence[int]) -> None:
        super().__init__()
        one, three_in, three, five_in, five, pooled = sizes
        self.branches = nn.ModuleList(
            [
                ConvNorm(n_in, one, 1),
                nn.Sequential(ConvNorm(n_in, three_in, 1), ConvNorm(three_in, three)),
                nn.Sequential(ConvNorm(n_in, five_in, 1), ConvNorm(five_in, five, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), ConvNorm(n_in, pooled, 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, sum of the branches, H, W)."""
        return torch.cat([branch(x) for branch in self.branches], 1)


class GoogLeNet(nn.Module):
    """Inception blocks, and an auxiliary classifier half way."""

    def __init__(self, width: float) -> None:
        super().__init__()
        plan = (
            (64, 96, 128, 16, 32, 32),
            (128, 128, 192, 32, 96, 64),
            (192, 96, 208, 16, 48, 64),
            (160, 112, 224, 24, 64, 64),
            (256, 160, 320, 32, 128, 128),
        )
        n_in = scaled(192, width)
        self.stem = nn.Sequential(
            ConvNorm(3, scaled(64, width), 7, 2),
            nn.MaxPool2d(3, 2, 1),
            ConvNorm(scaled(64, width), n_in),
        )
        self.blocks = nn.ModuleList()
        for sizes in plan:
            wanted = [scaled(size, width) for size in sizes]
            self.blocks.append(Inception(n_in, wanted))
            n_in = wanted[0] + wanted[2] + wanted[4] + wanted[5]
            if len(self.blocks) == 3:
                self.auxiliary = Classifier(n_in)
        self.head = Classifier(n_in)

    def forward(self, x: Tensor) -> Any:
        """Map (B, 3, H, W) to two times (B, 10)."""
        x = self.stem(x)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == 2:
                auxiliary = self.auxiliary(x)
        return {"out": self.head(x), "aux": auxiliary}


def googlenet(width: float = 1.0) -> GoogLeNet:
    """Szegedy et al., CVPR 2015."""
    return GoogLeNet(width)


class FactorisedInception(nn.Module):
    """Branches of 1x7 and 7x1 convolutions (Inception-v3)."""

    def __init__(self, n_in: int, n_out: int, inner: int) -> None:
        super().__init__()
        self.one = ConvNorm(n_in, n_out, 1)
        self.enter = ConvNorm(n_in, inner, 1)
        self.row = nn.Conv2d(inner, inner, (1, 7), padding=(0, 3), bias=False)
        self.column = nn.Conv2d(inner, n_out, (7, 1), padding=(3, 0), bias=False)
        self.norm = nn.BatchNorm2d(n_out)
        self.pooled = ConvNorm(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 3 * n_out, H, W)."""
        factorised = torch.relu(self.norm(self.column(self.row(self.enter(x)))))
        pooled = self.pooled(nn.functional.avg_pool2d(x, 3, 1, 1))
        return torch.cat([self.one(x), factorised, pooled], 1)


def inception_v3(width: float = 1.0) -> nn.Module:
    """Szegedy et al., CVPR 2016: its factorised blocks."""
    sizes = [scaled(c, width) for c in (32, 64, 192, 128)]
    return nn.Sequential(
        ConvNorm(3, sizes[0], 3, 2),
        ConvNorm(sizes[0], sizes[1]),
        nn.MaxPool2d(3, 2),
        FactorisedInception(sizes[1], sizes[2], sizes[3]),
        FactorisedInception(3 * sizes[2], sizes[2], sizes[3]),
        Classifier(3 * sizes[2]),
    )


class Separable(nn.Sequential):
    """Depthwise, pointwise, norm."""

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(n_in, n_in, 3, stride, 1, groups=n_in, bias=False),
            nn.Conv2d(n_in, n_out, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )


class XceptionBlock(nn.Module):
    """Two separable convolutions and a strided shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(), Separable(n_in, n_out), nn.ReLU(), Separable(n_out, n_out, stride)
        )
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.skip = ConvNorm(n_in, n_out, 1, stride, active=False)

    def forward(self, x: Tensor) -> Any:
        """Map (B, C, H, W) to (B, n_out, H / stride, W / stride)."""
        return self.body(x) + self.skip(x)


def xception(width: float = 1.0) -> nn.Module:
    """Chollet, CVPR 2017."""
    sizes = [scaled(c, width) for c in (32, 64, 128, 256, 728)]
    layers: list[nn.Module] = [ConvNorm(3, sizes[0], 3, 2), ConvNorm(sizes[0], sizes[1])]
    layers += [XceptionBlock(a, b, 2) for a, b in pairwise(sizes[1:])]
    layers += [XceptionBlock(sizes[4], sizes[4], 1) for _ in range(4)]
    return nn.Sequential(*layers, nn.ReLU(), Classifier(sizes[4]))

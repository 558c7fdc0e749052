"""Blocks that several architectures share."""

from typing import Any

import torch
from torch import Tensor, nn


def scaled(channels: int, width: float, *, divisor: int = 8) -> int:
    """Return a channel count times a width, as a multiple of `divisor`, at least one of them."""
    return max(divisor, int(channels * width + divisor / 2) // divisor * divisor)


class ConvNorm(nn.Sequential):
    """Convolution, batch-norm, activation."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: int = 3,
        stride: int = 1,
        *,
        groups: int = 1,
        dilation: int = 1,
        activation: nn.Module | None = None,
        active: bool = True,
    ) -> None:
        padding = dilation * (kernel - 1) // 2
        layers: list[nn.Module] = [
            nn.Conv2d(
                n_in,
                n_out,
                kernel,
                stride,
                padding,
                dilation=dilation,
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(n_out),
        ]
        if active:
            layers.append(activation or nn.ReLU(inplace=True))
        super().__init__(*layers)


class SqueezeExcite(nn.Module):
    """A gate per channel."""

    def __init__(self, channels: int, hidden: int, gate: nn.Module | None = None) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)
        self.act = nn.ReLU(inplace=True)
        self.gate = gate or nn.Sigmoid()

    def forward(self, x: Tensor) -> Any:
        """Map (B, C, H, W) to the same shape."""
        scale = x.mean((2, 3), keepdim=True)
        return x * self.gate(self.expand(self.act(self.reduce(scale))))


class Classifier(nn.Module):
    """Global pooling, dropout, linear."""

    def __init__(self, n_in: int, n_classes: int = 10) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(n_in, n_classes)

    def forward(self, x: Tensor) -> Any:
        """Map (B, C, H, W) to (B, n_classes)."""
        return self.fc(self.drop(torch.flatten(self.pool(x), 1)))


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of feature maps."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        x = x.permute(0, 2, 3, 1)
        x = nn.functional.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)

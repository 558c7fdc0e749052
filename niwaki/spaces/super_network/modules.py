"""Parts of networks that super-networks have in common."""

from collections.abc import Mapping

from torch import Tensor, nn

from niwaki.spaces.super_network.layers import Layer


class ConvNorm(nn.Module):
    """Convolution and batch-norm, with or without a ReLU behind."""

    def __init__(self, layer: Layer, *, activation: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            layer.n_inputs,
            layer.n_outputs,
            layer.kernel,
            layer.stride,
            layer.kernel // 2,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(layer.n_outputs)
        self.act = nn.ReLU() if activation else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_inputs, H, W) to (B, n_outputs, H / stride, W / stride)."""
        y: Tensor = self.act(self.norm(self.conv(x)))
        return y


class Block(nn.Module):
    """A residual block of two 3x3 convolutions; the first of a stage has a 1x1 shortcut."""

    def __init__(self, layers: Mapping[str, Layer], path: str) -> None:
        super().__init__()
        self.enter = ConvNorm(layers[f"{path}.enter.conv"])
        self.leave = ConvNorm(layers[f"{path}.leave.conv"], activation=False)
        self.shortcut: nn.Module = nn.Identity()
        if f"{path}.shortcut.conv" in layers:
            self.shortcut = ConvNorm(layers[f"{path}.shortcut.conv"], activation=False)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, width, H / stride, W / stride)."""
        y: Tensor = self.act(self.leave(self.enter(x)) + self.shortcut(x))
        return y


class VectorDecoder(nn.Module):
    """Takes the strongest answer of each deepest feature, and classifies or regresses.

    The maximum, not the mean: what a task asks about may be small, and a mean would drown it.
    """

    def __init__(self, layers: Mapping[str, Layer], path: str, side: tuple[int, int]) -> None:
        super().__init__()
        enter, leave = layers[f"{path}.enter"], layers[f"{path}.leave"]
        self.pool = nn.MaxPool2d(side)
        self.enter = nn.Linear(enter.n_inputs, enter.n_outputs)
        self.act = nn.ReLU()
        self.leave = nn.Linear(leave.n_inputs, leave.n_outputs)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map features, of which the last are the deepest, to (B, n_outputs)."""
        pooled = self.pool(features[-1]).flatten(1)  # (B, C)
        y: Tensor = self.leave(self.act(self.enter(pooled)))
        return y

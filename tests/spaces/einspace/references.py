"""The four published networks in plain torch, as anyone would write them.

Convolutions have biases and ReLUs leak, as einspace's do. What comes first in `__init__` is what
comes first in a canonical tree: shortcuts before the blocks that they lead around.
"""

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, nn


def _relu() -> nn.Module:
    return nn.LeakyReLU(0.01)


class BasicBlock(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            conv = nn.Conv2d(before, width, 1, stride)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(width))
        self.block = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1), nn.BatchNorm2d(width), _relu(),
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.block(x) + self.shortcut(x), 0.01)


class ResNet18(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        stem = [nn.Conv2d(3, 64, 3, 1, 1), nn.BatchNorm2d(64), _relu(), nn.Conv2d(64, 64, 3, 2, 1)]
        sizes = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
        sizes += [(128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
        self.body = nn.Sequential(*stem, *(BasicBlock(*each) for each in sizes))
        self.head = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))  # type: ignore[no-any-return]


class WideBlock(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.shortcut: nn.Module = nn.Identity()
        if before != width:
            self.shortcut = nn.Conv2d(before, width, 1, stride)
        self.block = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1), nn.BatchNorm2d(width), _relu(),
            nn.Conv2d(width, width, 3, 1, 1),
        )  # fmt: skip
        self.after = nn.Sequential(nn.BatchNorm2d(width), _relu())

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.block(x) + self.shortcut(x))  # type: ignore[no-any-return]


class WideResNet16x4(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        stem = [nn.Conv2d(3, 16, 3, 1, 1), nn.BatchNorm2d(16), _relu()]
        sizes = [(16, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2)]
        sizes += [(256, 256, 1)]
        self.body = nn.Sequential(*stem, *(WideBlock(*each) for each in sizes))
        self.head = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))  # type: ignore[no-any-return]


class Position(nn.Module):
    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, n_tokens, 512))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


class Embedding(nn.Module):
    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 512, 4, 4)
        self.position = Position(n_tokens)

    def forward(self, x: Tensor) -> Tensor:
        return self.position(self.patches(x).flatten(2).transpose(1, 2))  # type: ignore[no-any-return]


class AttentionHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(512, 64) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))


class TransformerLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(AttentionHead() for _ in range(4))
        self.out = nn.Linear(256, 512)
        self.first_norm = nn.LayerNorm(512)
        self.forward_part = nn.Sequential(nn.Linear(512, 512), _relu(), nn.Linear(512, 512))
        self.second_norm = nn.LayerNorm(512)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.out(torch.cat([head(x) for head in self.heads], dim=-1))
        x = self.first_norm(x + mixed)
        return self.second_norm(x + self.forward_part(x))  # type: ignore[no-any-return]


class VisionTransformer(nn.Module):
    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.embedding = Embedding(n_tokens)
        self.layers = nn.Sequential(*(TransformerLayer() for _ in range(4)))
        self.head = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.embedding(x)).mean(1))  # type: ignore[no-any-return]


class MixerLayer(nn.Module):
    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(512)
        self.widen, self.narrow = (
            nn.Linear(n_tokens, 4 * n_tokens),
            nn.Linear(4 * n_tokens, n_tokens),
        )
        self.features = nn.Sequential(nn.Linear(512, 256), _relu(), nn.Linear(256, 512))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).transpose(1, 2)
        mixed = self.narrow(F.leaky_relu(self.widen(tokens), 0.01)).transpose(1, 2)
        return x + self.features(mixed)  # type: ignore[no-any-return]


class MLPMixer(nn.Module):
    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.embedding = Embedding(n_tokens)
        self.layers = nn.Sequential(*(MixerLayer(n_tokens) for _ in range(8)))
        self.head = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.embedding(x)).mean(1))  # type: ignore[no-any-return]


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy parameters in order; a convolution of one pixel may become a linear layer."""
    pairs = zip(source.parameters(), target.parameters(), strict=True)
    with torch.no_grad():
        for given, wanted in pairs:
            # Positional encodings lie features first where tokens are kept as a map.
            as_map = given.ndim == 4 and given.shape[0] == 1 and wanted.ndim == 3
            moved = given.flatten(2).transpose(1, 2) if as_map else given
            assert moved.numel() == wanted.numel()
            wanted.copy_(moved.reshape(wanted.shape))

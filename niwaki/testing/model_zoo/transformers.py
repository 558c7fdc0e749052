"""Transformers, and networks between them and convolutions."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from niwaki.testing.model_zoo.blocks import ConvNorm, LayerNorm2d, scaled
from niwaki.testing.model_zoo.mobile_networks import InvertedResidual


class Mlp(nn.Module):
    """Two linear layers."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Any:
        """Map (..., width) to the same shape."""
        return self.fc2(self.act(self.fc1(x)))


class FusedAttention(nn.Module):
    """Self-attention with one matrix for queries, keys and values, as in timm."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim = num_heads, width // num_heads
        self.attn_dim = width
        self.scale = self.head_dim**-0.5
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Any:
        """Map (B, N, width) to the same shape."""
        n, t, _ = x.shape
        qkv = self.qkv(x).reshape(n, t, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        x = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(n, t, self.attn_dim))


class EncoderBlock(nn.Module):
    """Attention and MLP, each behind a norm and beside a shortcut."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.mlp = FusedAttention(width, num_heads), Mlp(width, 4 * width)

    def forward(self, x: Tensor) -> Any:
        """Map (B, N, width) to the same shape."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """Patches, class token, learnt positions, blocks; a distillation token if asked."""

    def __init__(self, width: int, depth: int, num_heads: int, *, distilled: bool) -> None:
        super().__init__()
        n_tokens = 2 if distilled else 1
        self.patch = nn.Conv2d(3, width, 16, 16)
        self.tokens = nn.Parameter(torch.zeros(1, n_tokens, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 16 + n_tokens, width))
        self.blocks = nn.Sequential(*(EncoderBlock(width, num_heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)
        self.head_dist = nn.Linear(width, 10) if distilled else None

    def forward(self, x: Tensor) -> Any:
        """Map (B, 3, 64, 64) to (B, 10), twice if distilled."""
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.tokens.expand(len(x), -1, -1), x], 1) + self.positions
        x = self.norm(self.blocks(x))
        if self.head_dist is None:
            return self.head(x[:, 0])
        return self.head(x[:, 0]), self.head_dist(x[:, 1])


def vit_tiny(width: float = 1.0) -> VisionTransformer:
    """Dosovitskiy et al., ICLR 2021."""
    return VisionTransformer(scaled(192, width, divisor=12), 6, 3, distilled=False)


def deit_distilled(width: float = 1.0) -> VisionTransformer:
    """Touvron et al., ICML 2021."""
    return VisionTransformer(scaled(192, width, divisor=12), 4, 3, distilled=True)


class FixedVisionTransformer(nn.Module):
    """With `nn.MultiheadAttention` and a width that the code checks, as in torchvision."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.hidden_dim = width
        self.conv_proj = nn.Conv2d(3, width, 16, 16)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embedding = nn.Parameter(0.02 * torch.randn(1, 17, width))
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "ln_1": nn.LayerNorm(width),
                    "attention": nn.MultiheadAttention(width, 4, batch_first=True),
                    "ln_2": nn.LayerNorm(width),
                    "mlp": Mlp(width, 4 * width),
                }
            )
            for _ in range(depth)
        )
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Any:
        """Map (B, 3, 64, 64) to (B, 10)."""
        n = x.shape[0]
        x = self.conv_proj(x).reshape(n, self.hidden_dim, -1).permute(0, 2, 1)
        x = torch.cat([self.class_token.expand(n, -1, -1), x], dim=1) + self.pos_embedding
        for layer in self.layers:
            parts: Any = layer
            y = parts["ln_1"](x)
            x = x + parts["attention"](y, y, y, need_weights=False)[0]
            x = x + parts["mlp"](parts["ln_2"](x))
        return self.head(x[:, 0])


def vit_fixed(width: float = 1.0) -> FixedVisionTransformer:
    """Dosovitskiy et al., ICLR 2021, in the style of torchvision."""
    return FixedVisionTransformer(scaled(128, width), 4)


class WindowAttention(nn.Module):
    """Attention inside of windows, with a bias for each head and offset, shifted in turn."""

    def __init__(self, width: int, num_heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.num_heads, self.window, self.shift = num_heads, window, shift
        self.scale = (width // num_heads) ** -0.5
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        side = 2 * window - 1
        self.table = nn.Parameter(0.02 * torch.randn(side * side, num_heads))
        grid = torch.stack(torch.meshgrid([torch.arange(window)] * 2, indexing="ij")).flatten(1)
        offset = grid[:, :, None] - grid[:, None] + window - 1
        self.register_buffer("index", offset[0] * side + offset[1])

    def forward(self, x: Tensor) -> Any:
        """Map (B, H, W, C) to the same shape."""
        n, height, width, c = x.shape
        w = self.window
        if self.shift:
            x = torch.roll(x, (-self.shift, -self.shift), dims=(1, 2))
        x = x.view(n, height // w, w, width // w, w, c).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(-1, w * w, c)
        qkv = self.qkv(x).reshape(len(x), w * w, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0] * self.scale, qkv[1], qkv[2]
        index: Any = self.index
        bias = self.table[index.view(-1)].view(w * w, w * w, -1).permute(2, 0, 1)
        scores = q @ k.transpose(-2, -1) + bias.unsqueeze(0)
        if self.shift:
            scores = scores + self._mask(height, width, n, x).unsqueeze(1)
        x = (scores.softmax(-1) @ v).transpose(1, 2).reshape(len(x), w * w, -1)
        x = self.proj(x).view(n, height // w, width // w, w, w, c).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(n, height, width, c)
        return torch.roll(x, (self.shift, self.shift), dims=(1, 2)) if self.shift else x

    def _mask(self, height: int, width: int, n: int, like: Tensor) -> Tensor:
        w = self.window
        regions = like.new_zeros((height, width))
        cuts = (slice(0, -w), slice(-w, -self.shift), slice(-self.shift, None))
        for i, rows in enumerate(cuts):
            for j, columns in enumerate(cuts):
                regions[rows, columns] = 3 * i + j
        parts = regions.view(height // w, w, width // w, w).transpose(1, 2).reshape(-1, w * w)
        return (parts[:, None] != parts[:, :, None]).to(like.dtype).mul(-100.0).repeat(n, 1, 1)


class SwinBlock(nn.Module):
    """Window attention and MLP."""

    def __init__(self, width: int, num_heads: int, shift: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = WindowAttention(width, num_heads, 4, shift)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x: Tensor) -> Any:
        """Map (B, H, W, C) to the same shape."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    """Four neighbours become one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Any:
        """Map (B, H, W, C) to (B, H / 2, W / 2, 2 C)."""
        parts = [x[:, i::2, j::2, :] for j in (0, 1) for i in (0, 1)]
        return self.reduction(self.norm(torch.cat(parts, -1)))


class Swin(nn.Module):
    """Patches, stages of window attention with merging between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.patch = nn.Sequential(nn.Conv2d(3, width, 4, 4), LayerNorm2d(width))
        layers: list[nn.Module] = []
        for i, depth in enumerate((2, 2)):
            if i:
                layers.append(PatchMerging(width))
                width *= 2
            layers += [SwinBlock(width, 3 * 2**i, 2 * (j % 2)) for j in range(depth)]
        self.layers = nn.Sequential(*layers)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Any:
        """Map (B, 3, 64, 64) to (B, 10)."""
        x = self.layers(self.patch(x).permute(0, 2, 3, 1))
        return self.head(self.norm(x).mean((1, 2)))


def swin_tiny(width: float = 1.0) -> Swin:
    """Liu et al., ICCV 2021: its first two stages."""
    return Swin(scaled(96, width, divisor=12))


class MixerBlock(nn.Module):
    """MLP over the positions, MLP over the channels; affine in place of norms if asked."""

    def __init__(self, width: int, n_tokens: int, *, affine: bool) -> None:
        super().__init__()
        self.norm1: nn.Module = Affine(width) if affine else nn.LayerNorm(width)
        self.norm2: nn.Module = Affine(width) if affine else nn.LayerNorm(width)
        self.tokens: nn.Module = Mlp(n_tokens, 2 * n_tokens)
        if affine:
            self.tokens = nn.Linear(n_tokens, n_tokens)
        self.channels = Mlp(width, 4 * width)
        self.scale = nn.Parameter(0.1 * torch.ones(width))

    def forward(self, x: Tensor) -> Any:
        """Map (B, N, C) to the same shape."""
        mixed = self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.scale * mixed
        return x + self.channels(self.norm2(x))


class Affine(nn.Module):
    """A scale and a shift per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, 1, width))
        self.beta = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, x: Tensor) -> Any:
        """Map (B, N, C) to the same shape."""
        return torch.addcmul(self.beta, self.alpha, x)


class Mixer(nn.Module):
    """Patches, mixer blocks, mean over the positions."""

    def __init__(self, width: int, *, affine: bool) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 16, 16)
        self.blocks = nn.Sequential(*(MixerBlock(width, 16, affine=affine) for _ in range(4)))
        self.norm: nn.Module = Affine(width) if affine else nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Any:
        """Map (B, 3, 64, 64) to (B, 10)."""
        x = self.patch(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(x)).mean(1))


def mlp_mixer(width: float = 1.0) -> Mixer:
    """Tolstikhin et al., NeurIPS 2021."""
    return Mixer(scaled(128, width), affine=False)


def resmlp(width: float = 1.0) -> Mixer:
    """Touvron et al., TPAMI 2022."""
    return Mixer(scaled(128, width), affine=True)


class PoolBlock(nn.Module):
    """Pooling in place of attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(1, width), nn.GroupNorm(1, width)
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.mlp = nn.Sequential(
            nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, width, 1)
        )
        self.scale1 = nn.Parameter(0.1 * torch.ones(width))
        self.scale2 = nn.Parameter(0.1 * torch.ones(width))

    def forward(self, x: Tensor) -> Any:
        """Map (B, C, H, W) to the same shape."""
        y = self.norm1(x)
        x = x + self.scale1.unsqueeze(-1).unsqueeze(-1) * (self.pool(y) - y)
        return x + self.scale2.unsqueeze(-1).unsqueeze(-1) * self.mlp(self.norm2(x))


class PoolFormer(nn.Module):
    """Stages of pooling blocks."""

    def __init__(self, width: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 3
        for i, n_out in enumerate(scaled(c, width) for c in (64, 128, 320, 512)):
            layers.append(nn.Conv2d(n_in, n_out, 3, 2 if i else 4, 1))
            layers += [PoolBlock(n_out), PoolBlock(n_out)]
            n_in = n_out
        self.layers = nn.Sequential(*layers)
        self.norm, self.head = nn.LayerNorm(n_in), nn.Linear(n_in, 10)

    def forward(self, x: Tensor) -> Any:
        """Map (B, 3, H, W) to (B, 10)."""
        return self.head(self.norm(self.layers(x).mean([-2, -1])))


def poolformer(width: float = 1.0) -> PoolFormer:
    """Yu et al., CVPR 2022: S12."""
    return PoolFormer(width)


class GlobalResponseNorm(nn.Module):
    """The length of each channel over their mean."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(width))
        self.beta = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Any:
        """Map (B, H, W, C) to the same shape."""
        length = torch.norm(x, p=2, dim=(1, 2), keepdim=True)
        return self.gamma * (x * length / (length.mean(-1, keepdim=True) + 1e-6)) + self.beta + x


class ConvNextBlock(nn.Module):
    """Depthwise 7x7, norm, MLP, scale."""

    def __init__(self, width: int, *, second: bool) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.grn = GlobalResponseNorm(4 * width) if second else nn.Identity()
        self.gamma = None if second else nn.Parameter(1e-6 * torch.ones(width))

    def forward(self, x: Tensor) -> Any:
        """Map (B, C, H, W) to the same shape."""
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.fc2(self.grn(functional.gelu(self.fc1(y))))
        y = y if self.gamma is None else self.gamma * y
        return x + y.permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    """Four stages with strided convolutions between them."""

    def __init__(self, width: float, *, second: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 3
        for i, n_out in enumerate(scaled(c, width) for c in (96, 192, 384, 768)):
            if i:
                layers += [LayerNorm2d(n_in, eps=1e-6), nn.Conv2d(n_in, n_out, 2, 2)]
            else:
                layers += [nn.Conv2d(n_in, n_out, 4, 4), LayerNorm2d(n_out, eps=1e-6)]
            layers += [ConvNextBlock(n_out, second=second) for _ in range((3, 3, 9, 3)[i])]
            n_in = n_out
        self.layers = nn.Sequential(*layers)
        self.norm, self.head = nn.LayerNorm(n_in), nn.Linear(n_in, 10)

    def forward(self, x: Tensor) -> Any:
        """Map (B, 3, H, W) to (B, 10)."""
        return self.head(self.norm(self.layers(x).mean([-2, -1])))


def convnext_tiny(width: float = 1.0) -> ConvNext:
    """Liu et al., CVPR 2022."""
    return ConvNext(width, second=False)


def convnext_v2(width: float = 1.0) -> ConvNext:
    """Woo et al., CVPR 2023."""
    return ConvNext(width, second=True)


class MobileVitBlock(nn.Module):
    """Convolution, attention between the pixels of patches, and both joined."""

    def __init__(self, n_in: int, width: int) -> None:
        super().__init__()
        self.patch = 2
        self.local = nn.Sequential(ConvNorm(n_in, n_in), nn.Conv2d(n_in, width, 1, bias=False))
        self.blocks = nn.Sequential(EncoderBlock(width, 4), EncoderBlock(width, 4))
        self.norm = nn.LayerNorm(width)
        self.project = ConvNorm(width, n_in, 1)
        self.fusion = ConvNorm(2 * n_in, n_in)

    def forward(self, x: Tensor) -> Any:
        """Map (B, C, H, W) to the same shape."""
        shortcut, p = x, self.patch
        x = self.local(x)
        n, c, height, width = x.shape
        rows, columns = height // p, width // p
        x = x.reshape(n * c * rows, p, columns, p).transpose(1, 2)
        x = x.reshape(n, c, rows * columns, p * p).transpose(1, 3)
        x = x.reshape(n * p * p, rows * columns, c)
        x = self.norm(self.blocks(x))
        x = x.contiguous().view(n, p * p, rows * columns, -1).transpose(1, 3)
        x = x.reshape(n * c * rows, columns, p, p).transpose(1, 2)
        x = self.project(x.reshape(n, c, height, width))
        return self.fusion(torch.cat((shortcut, x), dim=1))


def mobilevit(width: float = 1.0) -> nn.Module:
    """Mehta and Rastegari, ICLR 2022."""
    a, b, c = scaled(32, width), scaled(64, width), scaled(96, width)
    return nn.Sequential(
        ConvNorm(3, a, 3, 2, activation=nn.SiLU()),
        InvertedResidual(a, 4 * a, b, stride=2, activation=nn.SiLU),
        InvertedResidual(b, 4 * b, b, activation=nn.SiLU),
        MobileVitBlock(b, c),
        ConvNorm(b, 4 * b, 1, activation=nn.SiLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * b, 10),
    )

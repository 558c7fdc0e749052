"""Idioms of convolutional networks."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from niwaki.testing.pruning_idioms.composed import (
    Composed,
    conv,
    conv_norm,
    head,
    parameter,
    relu,
)


def plain() -> nn.Module:
    """Convolutions in a row."""
    return nn.Sequential(conv_norm(3, 16), conv_norm(16, 24), head(24))


def residual() -> nn.Module:
    """An identity shortcut."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        return m.head(relu(m.b(m.a(y)) + y))

    parts = {"stem": conv_norm(3, 16), "a": conv_norm(16, 24), "b": conv(24, 16), "head": head(16)}
    return Composed(compute, parts)


def chained_residuals() -> nn.Module:
    """Three blocks on one stream."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        for block in m.blocks:
            y = y + block(y)
        return m.head(y)

    blocks = nn.ModuleList(nn.Sequential(conv_norm(16, 8), conv(8, 16)) for _ in range(3))
    return Composed(compute, {"stem": conv_norm(3, 16), "blocks": blocks, "head": head(16)})


def projection_shortcut() -> nn.Module:
    """A shortcut with a convolution of its own."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        return m.head(relu(m.a(y) + m.shortcut(y)))

    parts = {
        "stem": conv_norm(3, 16),
        "a": nn.Sequential(conv_norm(16, 24), conv(24, 32, stride=2)),
        "shortcut": conv(16, 32, 1, stride=2),
        "head": head(32),
    }
    return Composed(compute, parts)


def concatenation() -> nn.Module:
    """Two branches side by side."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        return m.head(m.mix(torch.cat([m.a(y), m.b(y)], dim=1)))

    parts = {
        "stem": conv_norm(3, 16),
        "a": conv_norm(16, 12),
        "b": conv_norm(16, 20),
        "mix": conv_norm(32, 24),
        "head": head(24),
    }
    return Composed(compute, parts)


def dense_block() -> nn.Module:
    """Each layer reads all before it."""

    def compute(m: Any, x: Tensor) -> Any:
        features = [m.stem(x)]
        for layer in m.layers:
            features.append(layer(torch.cat(features, 1)))
        return m.head(torch.cat(features, 1))

    layers = nn.ModuleList(conv_norm(16 + 8 * i, 8) for i in range(3))
    return Composed(compute, {"stem": conv_norm(3, 16), "layers": layers, "head": head(40)})


def nested_concatenation() -> nn.Module:
    """A concatenation of a concatenation and a residual stream."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        inner = torch.cat([m.a(y), y], 1)
        outer = torch.cat([inner, m.b(inner) + y], 1)
        return m.head(outer)

    parts = {
        "stem": conv_norm(3, 16),
        "a": conv_norm(16, 8),
        "b": conv_norm(24, 16),
        "head": head(40),
    }
    return Composed(compute, parts)


def split_after_concatenation() -> nn.Module:
    """What was joined is split at other places."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        joined = torch.cat([m.a(y), m.b(y)], 1)
        first, second = joined.chunk(2, 1)
        return m.head(m.c(first) + m.d(second))

    parts = {
        "stem": conv_norm(3, 16),
        "a": conv_norm(16, 8),
        "b": conv_norm(16, 24),
        "c": conv_norm(16, 12),
        "d": conv_norm(16, 12),
        "head": head(12),
    }
    return Composed(compute, parts)


def cross_stage_chunk() -> nn.Module:
    """Half of the channels goes through a bottleneck, and all are joined (C2f)."""

    def compute(m: Any, x: Tensor) -> Any:
        parts = list(m.enter(x).chunk(2, 1))
        parts.extend(block(parts[-1]) for block in m.blocks)
        return m.head(m.leave(torch.cat(parts, 1)))

    blocks = nn.ModuleList([conv_norm(16, 16)])
    parts = {
        "enter": conv_norm(3, 32),
        "blocks": blocks,
        "leave": conv_norm(48, 24),
        "head": head(24),
    }
    return Composed(compute, parts)


def split_by_attribute() -> nn.Module:
    """The size of the split is a number that the module keeps (CSP)."""

    def compute(m: Any, x: Tensor) -> Any:
        first, second = m.enter(x).split((m.c, m.c), 1)
        return m.head(torch.cat([first, m.block(second)], 1))

    parts = {"c": 16, "enter": conv_norm(3, 32), "block": conv_norm(16, 16), "head": head(32)}
    return Composed(compute, parts)


def split_by_measured_size() -> nn.Module:
    """As many channels are taken as another tensor has (WaveNet)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        value, gate = m.both(y).split(y.shape[1], 1)
        return m.head(y + m.back(torch.tanh(value) * torch.sigmoid(gate)))

    parts = {"enter": conv_norm(3, 16), "both": conv(16, 32), "back": conv(16, 16, 1)}
    return Composed(compute, {**parts, "head": head(16)})


def split_by_half_of_attribute() -> nn.Module:
    """The size of the split is half of a number that the module keeps (CSP in timm)."""

    def compute(m: Any, x: Tensor) -> Any:
        first, second = m.enter(x).split(m.c // 2, 1)
        return m.head(torch.cat([first, m.block(second)], 1))

    parts = {"c": 32, "enter": conv_norm(3, 32), "block": conv_norm(16, 16), "head": head(32)}
    return Composed(compute, parts)


def split_by_rest_of_attribute() -> nn.Module:
    """What is left of a number of the module passes by (SHViT)."""

    def compute(m: Any, x: Tensor) -> Any:
        first, second = m.enter(x).split([m.n, m.c - m.n], 1)
        return m.head(torch.cat([m.block(first), second], 1))

    parts = {"c": 32, "n": 12, "enter": conv_norm(3, 32), "block": conv_norm(12, 12)}
    return Composed(compute, {**parts, "head": head(32)})


def split_by_ratio_of_attributes() -> nn.Module:
    """The size of the split is one number of the module over another (selective kernels)."""

    def compute(m: Any, x: Tensor) -> Any:
        parts = m.enter(x).split(m.c // m.n_paths, 1)
        return m.head(sum(path(part) for path, part in zip(m.paths, parts, strict=True)))

    parts = {
        "c": 24,
        "n_paths": 2,
        "enter": conv_norm(3, 24),
        "paths": nn.ModuleList(conv_norm(12, 16) for _ in range(2)),
        "head": head(16),
    }
    return Composed(compute, parts)


def slices_by_attribute() -> nn.Module:
    """Both sides of a slice at a number that the module keeps."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        return m.head(torch.cat([m.block(y[:, : m.c]), y[:, m.c :]], 1))

    parts = {"c": 8, "enter": conv_norm(3, 32), "block": conv_norm(8, 8), "head": head(32)}
    return Composed(compute, parts)


def half_slices() -> nn.Module:
    """Slices at half of whatever width there is."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        half = y.shape[1] // 2
        return m.head(m.a(y[:, :half]) + m.b(y[:, half:]))

    parts = {
        "enter": conv_norm(3, 32),
        "a": conv_norm(16, 12),
        "b": conv_norm(16, 12),
        "head": head(12),
    }
    return Composed(compute, parts)


def strided_slices() -> nn.Module:
    """Even and odd channels."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        return m.head(m.a(y[:, 0::2]) + m.b(y[:, 1::2]))

    parts = {
        "enter": conv_norm(3, 32),
        "a": conv_norm(16, 12),
        "b": conv_norm(16, 12),
        "head": head(12),
    }
    return Composed(compute, parts)


def constant_slice() -> nn.Module:
    """The first ten channels, by a number in the code: they must stay."""

    def compute(m: Any, x: Tensor) -> Any:
        return m.head(m.a(m.enter(x)[:, :10]))

    return Composed(compute, {"enter": conv_norm(3, 24), "a": conv_norm(10, 16), "head": head(16)})


def channel_shuffle() -> nn.Module:
    """Grouped convolutions and a shuffle by view and transpose (ShuffleNet)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.a(m.stem(x))
        n, c, height, width = y.shape
        y = y.view(n, m.groups, c // m.groups, height, width).transpose(1, 2)
        return m.head(m.b(y.reshape(n, c, height, width)))

    parts = {
        "groups": 4,
        "stem": conv_norm(3, 32),
        "a": conv_norm(32, 32, 1, groups=4),
        "b": conv_norm(32, 32, groups=4),
        "head": head(32),
    }
    return Composed(compute, parts)


def plain_shuffle() -> nn.Module:
    """A shuffle between plain convolutions."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        n, c, height, width = y.shape
        y = y.view(n, 2, c // 2, height, width).transpose(1, 2).contiguous()
        return m.head(m.b(y.view(n, -1, height, width)))

    return Composed(compute, {"stem": conv_norm(3, 32), "b": conv_norm(32, 24), "head": head(24)})


def shuffle_layer() -> nn.Module:
    """`nn.ChannelShuffle`."""
    return nn.Sequential(conv_norm(3, 24), nn.ChannelShuffle(3), conv_norm(24, 16), head(16))


def channel_flip() -> nn.Module:
    """The channels in reverse order, added to themselves."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        return m.head(m.a(y + y.flip(1)))

    return Composed(compute, {"stem": conv_norm(3, 16), "a": conv_norm(16, 24), "head": head(24)})


def grouped() -> nn.Module:
    """Few groups of many channels."""
    return nn.Sequential(conv_norm(3, 32), conv_norm(32, 48, groups=2), head(48))


def many_groups() -> nn.Module:
    """Many groups of few channels (ResNeXt)."""
    return nn.Sequential(
        conv_norm(3, 32), conv_norm(32, 64, groups=16), conv_norm(64, 24, 1), head(24)
    )


def depthwise() -> nn.Module:
    """Depthwise and pointwise (MobileNet)."""
    return nn.Sequential(
        conv_norm(3, 16), conv_norm(16, 16, groups=16), conv_norm(16, 24, 1), head(24)
    )


def depthwise_multiplier() -> nn.Module:
    """A depthwise convolution with two outputs per channel."""
    return nn.Sequential(
        conv_norm(3, 16), conv_norm(16, 32, groups=16), conv_norm(32, 24, 1), head(24)
    )


def transposed() -> nn.Module:
    """A transposed convolution."""
    up = nn.ConvTranspose2d(16, 24, 2, 2)
    return nn.Sequential(conv_norm(3, 16), up, nn.BatchNorm2d(24), nn.ReLU(), head(24))


def grouped_transposed() -> nn.Module:
    """A transposed convolution in groups."""
    up = nn.ConvTranspose2d(16, 24, 2, 2, groups=4)
    return nn.Sequential(conv_norm(3, 16), up, nn.ReLU(), conv_norm(24, 16), head(16))


def depthwise_transposed() -> nn.Module:
    """A transposed convolution of each channel."""
    up = nn.ConvTranspose2d(16, 16, 2, 2, groups=16)
    return nn.Sequential(conv_norm(3, 16), up, nn.ReLU(), conv_norm(16, 16), head(16))


def squeeze_excite() -> nn.Module:
    """A gate per channel from two 1x1 convolutions."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        gate = torch.sigmoid(m.up(relu(m.down(y.mean((2, 3), keepdim=True)))))
        return m.head(y * gate)

    parts = {
        "stem": conv_norm(3, 32),
        "down": conv(32, 8, 1),
        "up": conv(8, 32, 1),
        "head": head(32),
    }
    return Composed(compute, parts)


def squeeze_excite_linear() -> nn.Module:
    """A gate per channel from linear layers and a view."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        n, c, _, _ = y.size()
        gate = m.gate(functional.adaptive_avg_pool2d(y, 1).view(n, c)).view(n, c, 1, 1)
        return m.head(y * gate.expand_as(y))

    gate = nn.Sequential(nn.Linear(32, 8), nn.ReLU(), nn.Linear(8, 32), nn.Sigmoid())
    return Composed(compute, {"stem": conv_norm(3, 32), "gate": gate, "head": head(32)})


def efficient_channel_attention() -> nn.Module:
    """A convolution along the channels: its neighbours must stay (ECA)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.a(m.stem(x))
        pooled = y.mean((2, 3)).unsqueeze(1)
        gate = torch.sigmoid(m.along(pooled)).transpose(1, 2).unsqueeze(-1)
        return m.head(y * gate)

    parts = {
        "stem": conv_norm(3, 24),
        "a": conv_norm(24, 16),
        "along": nn.Conv1d(1, 1, 3, padding=1, bias=False),
        "head": head(16),
    }
    return Composed(compute, parts)


def channel_and_spatial_attention() -> nn.Module:
    """Mean and maximum over the channels (CBAM), of which fewer are left."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.a(m.stem(x))
        pooled = torch.cat([y.mean(1, keepdim=True), y.amax(1, keepdim=True)], 1)
        return m.head(y * torch.sigmoid(m.spatial(pooled)))

    parts = {
        "stem": conv_norm(3, 24),
        "a": conv_norm(24, 16),
        "spatial": conv(2, 1, 7),
        "head": head(16),
    }
    return Composed(compute, parts)


def larger_of_two() -> nn.Module:
    """The larger of two branches, and the largest of its channels (maxout, LightCNN)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        y = torch.max(m.a(y), m.b(y))
        return m.head(y * torch.sigmoid(y.max(1, keepdim=True)[0]))

    parts = {
        "stem": conv_norm(3, 24),
        "a": conv_norm(24, 16),
        "b": conv_norm(24, 16),
        "head": head(16),
    }
    return Composed(compute, parts)


def selective_kernel() -> nn.Module:
    """Two branches weighted by a softmax over the branches (SK)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        both = torch.stack([m.a(y), m.b(y)], 1)
        scores = m.score(both.sum(1).mean((2, 3)))
        weights = scores.view(len(x), 2, -1).softmax(1)[..., None, None]
        return m.head((both * weights).sum(1))

    parts = {
        "stem": conv_norm(3, 16),
        "a": conv_norm(16, 24),
        "b": conv_norm(16, 24, 5),
        "score": nn.Linear(24, 48),
        "head": head(24),
    }
    return Composed(compute, parts)


def gated_function() -> nn.Module:
    """`nn.functional.glu`."""

    def compute(m: Any, x: Tensor) -> Any:
        return m.head(functional.glu(m.stem(x), dim=1))

    return Composed(compute, {"stem": conv_norm(3, 32), "head": head(16)})


def flattened() -> nn.Module:
    """A linear layer on flattened feature maps."""
    return nn.Sequential(
        conv_norm(3, 16),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, 5),
    )


def multi_scale_flatten() -> nn.Module:
    """Feature maps of two sizes, flattened and joined (SSD)."""

    def compute(m: Any, x: Tensor) -> Any:
        a = m.a(x)
        b = m.b(functional.max_pool2d(a, 2))
        maps = [functional.max_pool2d(y, 2).flatten(1) for y in (a, b)]
        return m.head(torch.cat(maps, 1))

    parts = {
        "a": conv_norm(3, 8),
        "b": conv_norm(8, 12),
        "head": nn.Linear(8 * 16 + 12 * 4, 5),
    }
    return Composed(compute, parts)


def unflattened() -> nn.Module:
    """A generator: a linear layer, unflattened to a feature map."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.project(x.mean((2, 3))).view(len(x), -1, 4, 4)
        return m.out(relu(m.up(relu(y))))

    parts = {
        "project": nn.Linear(3, 16 * 16),
        "up": nn.ConvTranspose2d(16, 24, 2, 2),
        "out": conv(24, 3),
    }
    return Composed(compute, parts)


def pixel_shuffle() -> nn.Module:
    """Upsampling by channels that become pixels."""
    return nn.Sequential(conv_norm(3, 32), nn.PixelShuffle(2), conv_norm(8, 16), head(16))


def pixel_unshuffle() -> nn.Module:
    """Downsampling by pixels that become channels."""
    return nn.Sequential(conv_norm(3, 8), nn.PixelUnshuffle(2), conv_norm(32, 16), head(16))


def repeated() -> nn.Module:
    """The channels twice in a row."""

    def compute(m: Any, x: Tensor) -> Any:
        return m.head(m.a(m.stem(x).repeat(1, 2, 1, 1)))

    return Composed(compute, {"stem": conv_norm(3, 16), "a": conv_norm(32, 24), "head": head(24)})


def repeated_interleaved() -> nn.Module:
    """Every channel twice."""

    def compute(m: Any, x: Tensor) -> Any:
        return m.head(m.a(m.stem(x).repeat_interleave(2, dim=1)))

    return Composed(compute, {"stem": conv_norm(3, 16), "a": conv_norm(32, 24), "head": head(24)})


def padded_shortcut() -> nn.Module:
    """A shortcut that grows by zero channels (ResNet of CIFAR, type A)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        shortcut = functional.pad(y[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8))
        return m.head(relu(m.block(y) + shortcut))

    block = nn.Sequential(conv_norm(16, 32, stride=2), conv(32, 32))
    return Composed(compute, {"stem": conv_norm(3, 16), "block": block, "head": head(32)})


def zeros_joined() -> nn.Module:
    """A shortcut joined with zeros."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        grown = torch.cat([y, torch.zeros_like(y)], 1)
        return m.head(relu(m.block(y) + grown))

    block = nn.Sequential(conv_norm(16, 24), conv(24, 32))
    return Composed(compute, {"stem": conv_norm(3, 16), "block": block, "head": head(32)})


def buffer_gain() -> nn.Module:
    """Buffers with one value per channel."""

    def compute(m: Any, x: Tensor) -> Any:
        return m.head(m.stem(x) * m.gain.view(1, -1, 1, 1) + m.shift)

    parts = {
        "stem": conv_norm(3, 16),
        "gain": torch.rand(16),
        "shift": torch.rand(1, 16, 1, 1),
        "head": head(16),
    }
    return Composed(compute, parts)


def gain_of_open_shape() -> nn.Module:
    """A gain is viewed in a shape that the module keeps, with -1 for the channels."""

    def compute(m: Any, x: Tensor) -> Any:
        return m.head(m.stem(x) * m.gain.view(m.shape))

    parts = {"shape": (1, -1, 1, 1), "stem": conv(3, 16), "gain": parameter(16), "head": head(16)}
    return Composed(compute, parts)


def layer_scale() -> nn.Module:
    """A parameter with one value per channel on a residual branch."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        return m.head(y + m.scale[:, None, None] * m.a(y))

    parts = {
        "stem": conv_norm(3, 16),
        "scale": parameter(16),
        "a": conv_norm(16, 16),
        "head": head(16),
    }
    return Composed(compute, parts)


def group_normalised() -> nn.Module:
    """Group norms, of several groups and of one."""
    return nn.Sequential(
        conv(3, 16), nn.GroupNorm(8, 16), nn.ReLU(), conv(16, 24), nn.GroupNorm(1, 24), head(24)
    )


def instance_normalised() -> nn.Module:
    """An instance norm with a scale, and one without."""
    norm, plain = nn.InstanceNorm2d(16, affine=True), nn.InstanceNorm2d(24)
    return nn.Sequential(conv(3, 16), norm, nn.ReLU(), conv(16, 24), plain, nn.ReLU(), head(24))


def slopes() -> nn.Module:
    """A PReLU with one slope per channel."""
    return nn.Sequential(conv(3, 16), nn.PReLU(16), conv(16, 24), nn.PReLU(), head(24))


def upsampled_skip() -> nn.Module:
    """Down, up, and joined with what was there before (U-Net)."""

    def compute(m: Any, x: Tensor) -> Any:
        a = m.a(x)
        b = m.b(functional.max_pool2d(a, 2))
        up = functional.interpolate(b, scale_factor=2.0, mode="nearest")
        return m.out(m.merge(torch.cat([up, a], 1)))

    parts = {
        "a": conv_norm(3, 16),
        "b": conv_norm(16, 32),
        "merge": conv_norm(48, 16),
        "out": conv(16, 4, 1),
    }
    return Composed(compute, parts)


def blurred() -> nn.Module:
    """A fixed depthwise filter, whose number of groups is kept as an attribute (blur pool)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        y = functional.conv2d(y, m.filter, stride=2, padding=1, groups=m.channels)
        return m.head(m.a(y))

    parts = {
        "channels": 16,
        "filter": torch.full((16, 1, 3, 3), 1 / 9),
        "stem": conv_norm(3, 16),
        "a": conv_norm(16, 24),
        "head": head(24),
    }
    return Composed(compute, parts)


def one_and_three_dimensions() -> nn.Module:
    """Convolutions over time and over volumes."""

    def compute(m: Any, x: Tensor) -> Any:
        rows = m.time(x.flatten(2))
        volume = m.volume(x[:, :, None])
        return m.head(rows.mean(2) + volume.mean((2, 3, 4)))

    time = nn.Sequential(nn.Conv1d(3, 16, 3), nn.BatchNorm1d(16), nn.ReLU(), nn.Conv1d(16, 12, 1))
    volume = nn.Sequential(nn.Conv3d(3, 16, 1), nn.BatchNorm3d(16), nn.ReLU(), nn.Conv3d(16, 12, 1))
    return Composed(compute, {"time": time, "volume": volume, "head": nn.Linear(12, 5)})


def neighbours_normalised() -> nn.Module:
    """A local response norm: those channels must stay."""
    return nn.Sequential(
        conv_norm(3, 16), conv_norm(16, 12), nn.LocalResponseNorm(3), conv_norm(12, 16), head(16)
    )

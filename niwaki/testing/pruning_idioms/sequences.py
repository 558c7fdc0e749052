"""Idioms of transformers, recurrent networks and other models of sequences."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from niwaki.testing.pruning_idioms.composed import Composed, conv, conv_norm, head, parameter, relu

_WIDTH, _HEADS = 24, 4


def _mlp(width: int = _WIDTH) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))


def tokens_with_positions() -> nn.Module:
    """Patches, a class token, learnt positions, and a layer norm."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.patches(x).flatten(2).transpose(1, 2)
        y = torch.cat([m.token.expand(len(y), -1, -1), y], 1) + m.positions
        y = y + m.mlp(m.norm(y))
        return m.head(y[:, 0])

    parts = {
        "patches": nn.Conv2d(3, _WIDTH, 2, 2),
        "token": parameter(1, 1, _WIDTH),
        "positions": parameter(1, 17, _WIDTH),
        "norm": nn.LayerNorm(_WIDTH),
        "mlp": _mlp(),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def gated_mlp() -> nn.Module:
    """A hidden layer of which one half gates the other (SwiGLU)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        gate, value = m.up(y).chunk(2, dim=-1)
        return m.head((y + m.down(functional.silu(gate) * value)).mean(1))

    parts = {
        "enter": nn.Linear(6, _WIDTH),
        "up": nn.Linear(_WIDTH, 64),
        "down": nn.Linear(32, _WIDTH),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def convolution_over_tokens() -> nn.Module:
    """A convolution of one position takes several tokens together (CoaT): channels pass."""

    def compute(m: Any, x: Tensor) -> Any:
        y = functional.relu(m.enter(x))
        return m.head(m.aggregate(torch.stack([y[:, 0], y[:, 1], y.mean(1)], 1)).squeeze(1))

    parts = {
        "enter": nn.Linear(6, _WIDTH),
        "aggregate": nn.Conv1d(3, 1, 1),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def bilinear_fusion() -> nn.Module:
    """Two branches that meet in a bilinear layer (as in visual question answering)."""

    def compute(m: Any, x: Tensor) -> Any:
        left, right = functional.relu(m.left(x)), functional.relu(m.right(x))
        return m.head(functional.relu(m.fusion(left, right)).mean(1))

    parts = {
        "left": nn.Linear(6, 10),
        "right": nn.Linear(6, 12),
        "fusion": nn.Bilinear(10, 12, 8),
        "head": nn.Linear(8, 5),
    }
    return Composed(compute, parts)


def fused_attention() -> nn.Module:
    """Queries, keys and values from one matrix; the number of heads is kept."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        n, t, _ = y.shape
        qkv = m.qkv(y).reshape(n, t, 3, m.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        out = functional.scaled_dot_product_attention(q, k, v)
        return m.head((y + m.project(out.transpose(1, 2).flatten(2))).mean(1))

    parts = {
        "num_heads": _HEADS,
        "enter": nn.Linear(6, _WIDTH),
        "qkv": nn.Linear(_WIDTH, 3 * _WIDTH),
        "project": nn.Linear(_WIDTH, _WIDTH),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def separate_attention() -> nn.Module:
    """Queries, keys and values apart, and the scores by hand."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        n, t, _ = y.shape

        def split(z: Tensor) -> Any:
            return z.view(n, t, m.heads, m.head_dim).transpose(1, 2)

        q, k, v = split(m.q(y)), split(m.k(y)), split(m.v(y))
        scores = (q @ k.transpose(-2, -1)) * m.scale
        out = scores.softmax(-1) @ v
        return m.head((y + m.o(out.transpose(1, 2).reshape(n, t, -1))).mean(1))

    parts: dict[str, Any] = {"heads": _HEADS, "head_dim": _WIDTH // _HEADS, "scale": 0.4}
    parts |= {name: nn.Linear(_WIDTH, _WIDTH) for name in "qkvo"}
    parts |= {"enter": nn.Linear(6, _WIDTH), "head": nn.Linear(_WIDTH, 5)}
    return Composed(compute, parts)


def attention_of_the_input_width() -> nn.Module:
    """The result is reshaped to the width of the input, so that heads and stream go together."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        n, t, c = y.shape
        qkv = m.qkv(y).reshape(n, t, 3, m.num_heads, c // m.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        out = functional.scaled_dot_product_attention(q, k, v)
        return m.head((y + m.o(out.transpose(1, 2).reshape(n, t, c))).mean(1))

    parts = {
        "num_heads": _HEADS,
        "enter": nn.Linear(6, _WIDTH),
        "qkv": nn.Linear(_WIDTH, 3 * _WIDTH),
        "o": nn.Linear(_WIDTH, _WIDTH),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def widths_compared() -> nn.Module:
    """What is narrower is projected: with equal widths, the code would go another way (Hiera)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        z = functional.relu(y)
        if m.width != m.wider:
            y = m.project(z).view(len(x), -1, m.wider)
        return m.head((y + m.branch(z)).mean(1))

    parts = {
        **{"width": 12, "wider": _WIDTH, "enter": nn.Linear(6, 12)},
        "project": nn.Linear(12, _WIDTH),
        "branch": nn.Linear(12, _WIDTH),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def measured_widths_compared() -> nn.Module:
    """A shortcut is projected unless it is as wide as what it is added to."""

    def compute(m: Any, x: Tensor) -> Any:
        z = functional.relu(m.enter(x))
        y = functional.relu(m.branch(z))
        weights = m.project if y.shape[-1] != z.shape[-1] else torch.eye(z.shape[-1], dtype=y.dtype)
        return m.head((y + z @ weights).mean(1))

    parts = {
        "enter": nn.Linear(6, 16),
        "project": parameter(16, _WIDTH),
        "branch": nn.Linear(16, _WIDTH),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def width_asserted() -> nn.Module:
    """The code insists on the width that it was made for, and on whole heads."""

    def compute(m: Any, x: Tensor) -> Any:
        y = functional.relu(m.enter(x))
        if y.shape[-1] != m.width or y.shape[-1] % 4:
            raise ValueError("not the width that this was made for")
        return m.head(functional.relu(m.hidden(y)).mean(1))

    parts = {
        "width": _WIDTH,
        "enter": nn.Linear(6, _WIDTH),
        "hidden": nn.Linear(_WIDTH, 16),
        "head": nn.Linear(16, 5),
    }
    return Composed(compute, parts)


def heads_of_a_measured_width() -> nn.Module:
    """Heads of unit length are as wide as a part of the stream (Swin v2)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        n, t, c = y.shape
        qkv = m.qkv(y).view(n, t, 3, m.n_heads, c // m.n_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        alike = functional.normalize(q, dim=-1) @ functional.normalize(k, dim=-1).transpose(-2, -1)
        out = (alike * m.scale).softmax(-1) @ v
        return m.head((y + m.o(out.transpose(1, 2).reshape(n, t, -1))).mean(1))

    parts = {
        **{"n_heads": 3, "scale": parameter(3, 1, 1)},
        "enter": nn.Linear(6, _WIDTH),
        "qkv": nn.Linear(_WIDTH, 3 * _WIDTH),
        "o": nn.Linear(_WIDTH, _WIDTH),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def linear_attention() -> nn.Module:
    """Attention without a softmax: a column of ones beside the values sums up (EfficientViT)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        n, _, height, width = y.shape
        qkv = m.qkv(y).reshape(n, -1, 3 * m.dim, height * width).transpose(-1, -2)
        q, k, v = qkv.chunk(3, dim=-1)
        q, k, v = relu(q), relu(k), functional.pad(v, (0, 1), value=1.0)
        out = q @ (k.transpose(-1, -2) @ v)
        out = out[..., :-1] / (out[..., -1:] + 1e-6)
        return m.head(y + m.o(out.transpose(-1, -2).reshape(n, -1, height, width)))

    parts = {
        "dim": 6,
        "stem": conv_norm(3, _WIDTH),
        "qkv": conv(_WIDTH, 3 * _WIDTH, 1),
        "o": conv(_WIDTH, _WIDTH, 1),
        "head": head(_WIDTH),
    }
    return Composed(compute, parts)


def heads_and_groups() -> nn.Module:
    """Groups of a convolution and heads of the input's width meet in one stream (Next-ViT)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        y = y + m.mix(relu(m.grouped(y)))
        tokens = y.flatten(2).transpose(1, 2)
        n, t, c = tokens.shape
        q, k, v = (
            each(tokens).reshape(n, t, m.num_heads, m.head_dim).transpose(1, 2)
            for each in (m.q, m.k, m.v)
        )
        out = (q @ k.transpose(-2, -1) * 0.3).softmax(-1) @ v
        tokens = tokens + m.o(out.transpose(1, 2).reshape(n, t, c))
        return m.head(tokens.transpose(1, 2).reshape(n, c, 8, 8))

    parts: dict[str, Any] = {"num_heads": 3, "head_dim": 8, "stem": conv_norm(3, _WIDTH)}
    parts |= {"grouped": conv(_WIDTH, _WIDTH, groups=3), "mix": conv(_WIDTH, _WIDTH, 1)}
    parts |= {name: nn.Linear(_WIDTH, _WIDTH) for name in "qkvo"}
    return Composed(compute, {**parts, "head": head(_WIDTH)})


def channel_attention() -> nn.Module:
    """Scores between the channels of each head (XCiT)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        n, t, _ = y.shape
        q, k, v = m.qkv(y).reshape(n, t, 3, m.num_heads, -1).permute(2, 0, 3, 4, 1).unbind(0)
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        out = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return m.head((y + m.o(out.permute(0, 3, 1, 2).flatten(2))).mean(1))

    parts = {
        "num_heads": _HEADS,
        "enter": nn.Linear(6, _WIDTH),
        "qkv": nn.Linear(_WIDTH, 3 * _WIDTH),
        "o": nn.Linear(_WIDTH, _WIDTH),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def constant_heads() -> nn.Module:
    """The number of heads stands in the code, so that only their channels can go."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        n, t, _ = y.shape
        q, k, v = (each(y).view(n, t, 4, -1).transpose(1, 2) for each in (m.q, m.k, m.v))
        out = (q @ k.transpose(-2, -1) * 0.3).softmax(-1) @ v
        return m.head((y + m.o(out.transpose(1, 2).flatten(2))).mean(1))

    parts: dict[str, Any] = {name: nn.Linear(_WIDTH, _WIDTH) for name in "qkvo"}
    parts |= {"enter": nn.Linear(6, _WIDTH), "head": nn.Linear(_WIDTH, 5)}
    return Composed(compute, parts)


def grouped_query_attention() -> nn.Module:
    """Two heads of queries share one of keys and values."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        n, t, _ = y.shape
        q = m.q(y).view(n, t, m.num_heads, m.head_dim).transpose(1, 2)
        k = m.k(y).view(n, t, m.num_kv_heads, m.head_dim).transpose(1, 2)
        v = m.v(y).view(n, t, m.num_kv_heads, m.head_dim).transpose(1, 2)
        k, v = (z.repeat_interleave(2, dim=1) for z in (k, v))
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return m.head((y + m.o(out.transpose(1, 2).flatten(2))).mean(1))

    parts = {
        "num_heads": 8,
        "num_kv_heads": 4,
        "head_dim": 4,
        "enter": nn.Linear(6, _WIDTH),
        "q": nn.Linear(_WIDTH, 32),
        "k": nn.Linear(_WIDTH, 16),
        "v": nn.Linear(_WIDTH, 16),
        "o": nn.Linear(32, _WIDTH),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def multi_query_attention() -> nn.Module:
    """One head of keys and values for all queries."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        n, t, _ = y.shape
        q = m.q(y).view(n, t, m.num_heads, -1).transpose(1, 2)
        k, v = m.k(y)[:, None], m.v(y)[:, None]
        out = (q @ k.transpose(-2, -1) * 0.3).softmax(-1) @ v
        return m.head((y + m.o(out.transpose(1, 2).flatten(2))).mean(1))

    parts = {
        "num_heads": 4,
        "enter": nn.Linear(6, _WIDTH),
        "q": nn.Linear(_WIDTH, 32),
        "k": nn.Linear(_WIDTH, 8),
        "v": nn.Linear(_WIDTH, 8),
        "o": nn.Linear(32, _WIDTH),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def attention_layer() -> nn.Module:
    """`nn.MultiheadAttention`, which loses whole heads with the stream."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        y = y + m.attention(y, y, y, need_weights=False)[0]
        return m.head((y + m.mlp(m.norm(y))).mean(1))

    parts = {
        "enter": nn.Linear(6, _WIDTH),
        "attention": nn.MultiheadAttention(_WIDTH, _HEADS, batch_first=True),
        "norm": nn.LayerNorm(_WIDTH),
        "mlp": _mlp(),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def encoder_layer() -> nn.Module:
    """`nn.TransformerEncoderLayer`."""
    layer = nn.TransformerEncoderLayer(_WIDTH, _HEADS, 48, batch_first=True)
    return nn.Sequential(nn.Linear(6, _WIDTH), layer, nn.Linear(_WIDTH, 5))


def cross_attention() -> nn.Module:
    """Queries of one sequence, keys and values of another."""

    def compute(m: Any, x: Tensor, memory: Tensor) -> Any:
        y = m.enter(x)
        n, t, _ = y.shape
        q = m.q(y).view(n, t, m.num_heads, -1).transpose(1, 2)
        kv = m.kv(memory).view(n, memory.shape[1], 2, m.num_heads, -1)
        k, v = kv[:, :, 0].transpose(1, 2), kv[:, :, 1].transpose(1, 2)
        out = functional.scaled_dot_product_attention(q, k, v)
        return m.head(y + m.o(out.transpose(1, 2).flatten(2)))

    parts = {
        "num_heads": 4,
        "enter": nn.Linear(6, _WIDTH),
        "q": nn.Linear(_WIDTH, 32),
        "kv": nn.Linear(10, 64),
        "o": nn.Linear(32, _WIDTH),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def biased_attention() -> nn.Module:
    """Scores with a learnt bias for each head and distance (Swin)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        n, t, _ = y.shape
        q, k, v = (each(y).view(n, t, m.num_heads, -1).transpose(1, 2) for each in (m.q, m.k, m.v))
        bias = m.table[m.distance.view(-1)].view(t, t, -1).permute(2, 0, 1)
        scores = q @ k.transpose(-2, -1) * 0.3 + bias.unsqueeze(0)
        out = scores.softmax(-1) @ v
        return m.head((y + m.o(out.transpose(1, 2).flatten(2))).mean(1))

    steps = torch.arange(7)
    parts: dict[str, Any] = {"num_heads": _HEADS, "table": parameter(13, _HEADS)}
    parts |= {"distance": steps[:, None] - steps[None] + 6}
    parts |= {name: nn.Linear(_WIDTH, _WIDTH) for name in "qkvo"}
    parts |= {"enter": nn.Linear(6, _WIDTH), "head": nn.Linear(_WIDTH, 5)}
    return Composed(compute, parts)


def rotary_attention() -> nn.Module:
    """Queries and keys turned by their position, half against half."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        n, t, _ = y.shape
        q, k, v = (each(y).view(n, t, m.num_heads, -1).transpose(1, 2) for each in (m.q, m.k, m.v))

        def turned(z: Tensor) -> Any:
            first, second = z.chunk(2, dim=-1)
            return z * m.cos + torch.cat([-second, first], dim=-1) * m.sin

        out = functional.scaled_dot_product_attention(turned(q), turned(k), v)
        return m.head((y + m.o(out.transpose(1, 2).flatten(2))).mean(1))

    parts: dict[str, Any] = {"num_heads": _HEADS, "cos": torch.rand(7, 6), "sin": torch.rand(7, 6)}
    parts |= {name: nn.Linear(_WIDTH, _WIDTH) for name in "qkvo"}
    parts |= {"enter": nn.Linear(6, _WIDTH), "head": nn.Linear(_WIDTH, 5)}
    return Composed(compute, parts)


def windowed() -> nn.Module:
    """Feature maps cut into windows and put together again."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x).permute(0, 2, 3, 1)
        n, height, width, c = y.shape
        windows = y.view(n, height // 4, 4, width // 4, 4, c).permute(0, 1, 3, 2, 4, 5)
        tokens = windows.reshape(-1, 16, c)
        tokens = tokens + m.mlp(tokens)
        back = tokens.view(n, height // 4, width // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5)
        return m.head(back.reshape(n, height, width, c).permute(0, 3, 1, 2))

    return Composed(compute, {"stem": conv_norm(3, _WIDTH), "mlp": _mlp(), "head": head(_WIDTH)})


def patch_merging() -> nn.Module:
    """Four neighbours become one token of four times the width (Swin)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x).permute(0, 2, 3, 1)
        parts = [y[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return m.head(m.reduce(m.norm(torch.cat(parts, -1))).mean((1, 2)))

    parts = {
        "stem": conv_norm(3, 16),
        "norm": nn.LayerNorm(64),
        "reduce": nn.Linear(64, 32, bias=False),
        "head": nn.Linear(32, 5),
    }
    return Composed(compute, parts)


def token_mixing() -> nn.Module:
    """Linear layers over the positions, then over the channels (Mixer)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.patches(x).flatten(2).transpose(1, 2)
        y = y + m.tokens(m.first(y).transpose(1, 2)).transpose(1, 2)
        y = y + m.channels(m.second(y))
        return m.head(y.mean(1))

    parts = {
        "patches": nn.Conv2d(3, _WIDTH, 2, 2),
        "first": nn.LayerNorm(_WIDTH),
        "tokens": nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)),
        "second": nn.LayerNorm(_WIDTH),
        "channels": _mlp(),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def channels_last_block() -> nn.Module:
    """A depthwise convolution, a layer norm over the channels, and a scale (ConvNeXt)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        z = m.norm(m.depthwise(y).permute(0, 2, 3, 1))
        z = (m.scale * m.mlp(z)).permute(0, 3, 1, 2)
        return m.head(y + z)

    parts = {
        "stem": conv(3, _WIDTH),
        "depthwise": conv(_WIDTH, _WIDTH, 7, groups=_WIDTH),
        "norm": nn.LayerNorm(_WIDTH),
        "mlp": _mlp(),
        "scale": parameter(_WIDTH),
        "head": head(_WIDTH),
    }
    return Composed(compute, parts)


def plain_layer_norm() -> nn.Module:
    """A layer norm without a scale."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        return m.head((y + m.mlp(m.norm(y))).mean(1))

    parts = {
        "enter": nn.Linear(6, _WIDTH),
        "norm": nn.LayerNorm(_WIDTH, elementwise_affine=False),
        "mlp": _mlp(),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def root_mean_square_norm() -> nn.Module:
    """`nn.RMSNorm`."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        return m.head((y + m.mlp(m.norm(y))).mean(1))

    parts = {
        "enter": nn.Linear(6, _WIDTH),
        "norm": nn.RMSNorm(_WIDTH),
        "mlp": _mlp(),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def norm_by_hand() -> nn.Module:
    """A norm written as a mean of squares (T5, LLaMA)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        square = y.pow(2).mean(-1, keepdim=True, dtype=y.dtype)
        return m.head((y + m.mlp(m.gain * (y * torch.rsqrt(square + 1e-6)))).mean(1))

    parts = {
        "enter": nn.Linear(6, _WIDTH),
        "gain": parameter(_WIDTH),
        "mlp": _mlp(),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def response_norm() -> nn.Module:
    """The length of each channel over their mean (GRN of ConvNeXt V2)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.up(m.enter(x))
        length = y.norm(p=2, dim=1, keepdim=True)
        y = m.gamma * (y * length / (length.mean(-1, keepdim=True) + 1e-6)) + m.beta + y
        return m.head(m.down(y).mean(1))

    parts = {
        "enter": nn.Linear(6, 16),
        "up": nn.Linear(16, _WIDTH),
        "gamma": parameter(_WIDTH),
        "beta": parameter(_WIDTH),
        "down": nn.Linear(_WIDTH, 12),
        "head": nn.Linear(12, 5),
    }
    return Composed(compute, parts)


def batch_norm_of_features() -> nn.Module:
    """Batch norms between linear layers."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(42, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Linear(32, 24),
        nn.BatchNorm1d(24),
        nn.Linear(24, 5),
    )


def einsum_products() -> nn.Module:
    """Products written as einsum."""

    def compute(m: Any, x: Tensor) -> Any:
        y = torch.einsum("bti,ih->bth", x, m.enter)
        scores = torch.einsum("bth,bsh->bts", y, m.key(y)).softmax(-1)
        return m.head(torch.einsum("bts,bsh->bth", scores, y).mean(1))

    parts = {
        "enter": parameter(6, _WIDTH),
        "key": nn.Linear(_WIDTH, _WIDTH),
        "head": nn.Linear(_WIDTH, 5),
    }
    return Composed(compute, parts)


def bare_matrices() -> nn.Module:
    """Parameters as matrices, also transposed."""

    def compute(m: Any, x: Tensor) -> Any:
        y = relu(x @ m.first + m.bias)
        return torch.addmm(m.offset, relu(y.mean(1) @ m.second.t()), m.third)

    parts = {
        "first": parameter(6, 24),
        "bias": parameter(24),
        "second": parameter(32, 24),
        "third": parameter(32, 5),
        "offset": parameter(5),
    }
    return Composed(compute, parts)


def patches_by_unfold() -> nn.Module:
    """Columns of an unfolded feature map through a linear layer."""

    def compute(m: Any, x: Tensor) -> Any:
        columns = functional.unfold(m.stem(x), 3, padding=1, stride=2)
        return m.head(relu(m.mix(columns.transpose(1, 2))).mean(1))

    parts = {"stem": conv_norm(3, 12), "mix": nn.Linear(108, 24), "head": nn.Linear(24, 5)}
    return Composed(compute, parts)


def words_and_convolution() -> nn.Module:
    """Embedded words through a convolution over time."""

    def compute(m: Any, words: Tensor) -> Any:
        y = relu(m.time(m.words(words).transpose(1, 2)))
        return m.head(y.amax(2))

    parts = {
        "words": nn.Embedding(50, 24, padding_idx=0),
        "time": nn.Conv1d(24, 32, 3, padding=1),
        "head": nn.Linear(32, 5),
    }
    return Composed(compute, parts)


def _edges() -> tuple[Tensor, Tensor]:
    """Return where the edges of a graph of seven nodes begin and end: a circle, and two chords."""
    return torch.tensor([0, 1, 2, 3, 4, 5, 6, 0, 6]), torch.tensor([1, 2, 3, 4, 5, 6, 0, 3, 3])


def message_passing() -> nn.Module:
    """Nodes of a graph that hear the mean of their neighbours."""

    def compute(m: Any, x: Tensor) -> Any:
        y = relu(m.enter(x))
        along = torch.cat([y.index_select(1, m.source), y.index_select(1, m.target)], -1)
        said = m.message(along)
        nothing = torch.zeros(len(x), x.shape[1], said.shape[-1]).to(x)
        heard = nothing.index_add(1, m.target, said) / m.degree
        return m.head((y + relu(m.update(heard))).mean(1))

    source, target = _edges()
    parts = {
        "source": source,
        "target": target,
        "degree": torch.bincount(target).float()[:, None],
        "enter": nn.Linear(6, 24),
        "message": nn.Sequential(nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 16)),
        "update": nn.Linear(16, 24),
        "head": nn.Linear(24, 5),
    }
    return Composed(compute, parts)


def graph_attention() -> nn.Module:
    """Nodes that weigh what their neighbours say."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.values(relu(m.enter(x)))
        said = y[:, m.source]
        weight = torch.sigmoid(m.score(torch.cat([said, y[:, m.target]], -1)))
        place = m.target[None, :, None].expand(len(x), -1, 1)
        total = torch.ones(len(x), x.shape[1], 1).to(x).scatter_add(1, place, weight)
        heard = torch.zeros_like(y).scatter_reduce(
            1, place.expand(-1, -1, y.shape[-1]), weight * said, "sum"
        )
        return m.head((heard / total).amax(1))

    source, target = _edges()
    parts = {
        "source": source,
        "target": target,
        "enter": nn.Linear(6, 24),
        "values": nn.Linear(24, 16),
        "score": nn.Linear(32, 1),
        "head": nn.Linear(16, 5),
    }
    return Composed(compute, parts)


def chosen_experts() -> nn.Module:
    """Each position takes the answers of its two best experts of three."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.enter(x)
        share, which = m.gate(y).softmax(-1).topk(2, -1)
        inner = relu(torch.einsum("ntc,ech->nteh", y, m.up))
        answers = torch.einsum("nteh,ehc->ntec", inner, m.down)
        taken = answers.gather(2, which[..., None].expand(-1, -1, -1, answers.shape[-1]))
        return m.head((y + (share[..., None] * taken).sum(2)).mean(1))

    parts = {
        "enter": nn.Linear(6, 24),
        "gate": nn.Linear(24, 3),
        "up": parameter(3, 24, 32),
        "down": parameter(3, 32, 24),
        "head": nn.Linear(24, 5),
    }
    return Composed(compute, parts)


def picked_positions() -> nn.Module:
    """The positions that matter most go on, of all channels: twice fewer of them."""

    def compute(m: Any, x: Tensor) -> Any:
        y = relu(m.enter(x))
        most = m.score(x).topk(4, 1).indices
        y = relu(m.middle(y.gather(-2, most.expand(-1, -1, y.shape[2]))))
        return m.head(torch.take_along_dim(y, most[:, :2] % 4, dim=1).mean(1))

    parts = {
        "enter": nn.Linear(6, 24),
        "score": nn.Linear(6, 1),
        "middle": nn.Linear(24, 32),
        "head": nn.Linear(32, 5),
    }
    return Composed(compute, parts)

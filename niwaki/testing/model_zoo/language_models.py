"""Models of text."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from niwaki.testing.model_zoo.blocks import scaled
from niwaki.testing.model_zoo.transformers import Mlp

_VOCABULARY = 100


class BertAttention(nn.Module):
    """Separate projections, scores by hand, and a norm behind the shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_attention_heads = heads
        self.attention_head_size = width // heads
        self.all_head_size = width
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.dense, self.norm = nn.Linear(width, width), nn.LayerNorm(width)

    def _split(self, x: Tensor) -> Tensor:
        shape = (*x.size()[:-1], self.num_attention_heads, self.attention_head_size)
        return x.view(shape).permute(0, 2, 1, 3)

    def forward(self, x: Tensor, mask: Tensor) -> Any:
        """Map (B, T, width) to the same shape; mask (B, 1, 1, T) is added to the scores."""
        q, k, v = self._split(self.query(x)), self._split(self.key(x)), self._split(self.value(x))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(self.attention_head_size)
        context = torch.matmul((scores + mask).softmax(-1), v).permute(0, 2, 1, 3).contiguous()
        context = context.view((*context.size()[:-2], self.all_head_size))
        return self.norm(self.dense(context) + x)


class BertLayer(nn.Module):
    """Attention and MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = BertAttention(width, heads)
        self.mlp, self.norm = Mlp(width, 4 * width), nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Any:
        """Map (B, T, width) to the same shape."""
        x = self.attention(x, mask)
        return self.norm(self.mlp(x) + x)


class Bert(nn.Module):
    """Three embeddings, layers, a pooled answer."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.words = nn.Embedding(_VOCABULARY, width, padding_idx=0)
        self.positions, self.types = nn.Embedding(32, width), nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(BertLayer(width, 4) for _ in range(depth))
        self.pooler, self.classifier = nn.Linear(width, width), nn.Linear(width, 3)
        self.register_buffer("position_ids", torch.arange(32).unsqueeze(0), persistent=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        """Map (B, T) words and mask to (B, 3)."""
        ids: Any = self.position_ids
        x = self.words(input_ids) + self.positions(ids[:, : input_ids.shape[1]])
        x = self.norm(x + self.types(torch.zeros_like(input_ids)))
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * -1e4
        for layer in self.layers:
            x = layer(x, mask)
        return {"logits": self.classifier(torch.tanh(self.pooler(x[:, 0])))}


def bert(width: float = 1.0) -> Bert:
    """Devlin et al., NAACL 2019."""
    return Bert(scaled(128, width), 3)


class GptBlock(nn.Module):
    """Causal attention with a fused matrix, split by the width."""

    def __init__(self, width: int, n_head: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.n_head, self.n_embd = n_head, width
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x: Tensor) -> Any:
        """Map (B, T, width) to the same shape."""
        n, t, _ = x.size()
        q, k, v = self.c_attn(self.ln_1(x)).split(self.n_embd, dim=2)
        q, k, v = (z.view(n, t, self.n_head, -1).transpose(1, 2) for z in (q, k, v))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).contiguous().view(n, t, -1))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    """Embeddings that are tied to the output, positions, blocks."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(_VOCABULARY, width), nn.Embedding(32, width)
        self.blocks = nn.ModuleList(GptBlock(width, 4) for _ in range(depth))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, _VOCABULARY, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, words: Tensor) -> Any:
        """Map (B, T) words to (B, T, vocabulary)."""
        x = self.wte(words) + self.wpe(torch.arange(words.shape[1], device=words.device))
        for block in self.blocks:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def gpt(width: float = 1.0) -> Gpt:
    """Radford et al., 2019."""
    return Gpt(scaled(128, width), 3)


class LlamaBlock(nn.Module):
    """Root-mean-square norms, rotary positions, shared keys and values, a gated MLP."""

    def __init__(self, width: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, width // heads
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.q_proj = nn.Linear(width, heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(width, kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(width, kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(heads * self.head_dim, width, bias=False)
        self.gate, self.up = nn.Linear(width, 3 * width), nn.Linear(width, 3 * width)
        self.down = nn.Linear(3 * width, width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Any:
        """Map (B, T, width) to the same shape."""
        n, t, _ = x.shape
        y = self.norm1(x)
        q = self.q_proj(y).view(n, t, self.heads, self.head_dim).transpose(1, 2)
        k = self.k_proj(y).view(n, t, self.kv_heads, self.head_dim).transpose(1, 2)
        v = self.v_proj(y).view(n, t, self.kv_heads, self.head_dim).transpose(1, 2)
        q, k = (z * cos + _turned(z) * sin for z in (q, k))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o_proj(y.transpose(1, 2).reshape(n, t, -1))
        y = self.norm2(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))


def _turned(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


class Llama(nn.Module):
    """Embeddings, blocks, a head."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.words = nn.Embedding(_VOCABULARY, width)
        self.blocks = nn.ModuleList(LlamaBlock(width, 8, 4) for _ in range(depth))
        self.norm, self.head = nn.RMSNorm(width), nn.Linear(width, _VOCABULARY, bias=False)
        half = width // 16
        angles = torch.arange(32)[:, None] / 100 ** (torch.arange(half)[None] / half)
        angles = torch.cat([angles, angles], -1)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, words: Tensor) -> Any:
        """Map (B, T) words to (B, T, vocabulary)."""
        x = self.words(words)
        cos, sin = self.cos[: words.shape[1]], self.sin[: words.shape[1]]  # type: ignore[index]
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.head(self.norm(x))


def llama(width: float = 1.0) -> Llama:
    """Touvron et al., 2023, with the grouped queries of Ainslie et al., 2023."""
    return Llama(scaled(128, width, divisor=16), 3)


class T5Norm(nn.Module):
    """A root-mean-square norm written by hand."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Any:
        """Map (B, T, width) to the same shape."""
        variance = x.pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(variance + 1e-6))


class T5Attention(nn.Module):
    """Attention to the same or another sequence, with a bias for each head and distance."""

    def __init__(self, width: int, n_heads: int, inner: int, *, biased: bool) -> None:
        super().__init__()
        self.n_heads, self.inner_dim = n_heads, inner
        self.q, self.k, self.v = (nn.Linear(width, inner, bias=False) for _ in range(3))
        self.o = nn.Linear(inner, width, bias=False)
        self.bias = nn.Embedding(64, n_heads) if biased else None

    def forward(self, x: Tensor, memory: Tensor) -> Any:
        """Map (B, T, width) to the same shape."""

        def split(z: Tensor) -> Tensor:
            return z.view(len(z), -1, self.n_heads, self.inner_dim // self.n_heads).transpose(1, 2)

        q, k, v = split(self.q(x)), split(self.k(memory)), split(self.v(memory))
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k)
        if self.bias is not None:
            steps = torch.arange(x.shape[1], device=x.device)
            distance = steps[None] - steps[:, None] + 32
            scores = scores + self.bias(distance).permute(2, 0, 1).unsqueeze(0)
        out = (scores.softmax(-1) @ v).transpose(1, 2).contiguous()
        return self.o(out.view(len(x), -1, self.inner_dim))


class T5(nn.Module):
    """An encoder, and a decoder that also reads the encoder."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.shared = nn.Embedding(_VOCABULARY, width)
        self.encoder = nn.ModuleList(_t5_layer(width, cross=False) for _ in range(depth))
        self.decoder = nn.ModuleList(_t5_layer(width, cross=True) for _ in range(depth))
        self.norms = nn.ModuleList(T5Norm(width) for _ in range(2))
        self.lm_head = nn.Linear(width, _VOCABULARY, bias=False)

    def forward(self, words: Tensor, answer: Tensor) -> Any:
        """Map (B, S) and (B, T) words to (B, T, vocabulary)."""
        memory = self.shared(words)
        for layer in self.encoder:
            memory = _t5_step(layer, memory, None)
        memory = self.norms[0](memory)
        x = self.shared(answer)
        for layer in self.decoder:
            x = _t5_step(layer, x, memory)
        return self.lm_head(self.norms[1](x))


def _t5_layer(width: int, *, cross: bool) -> nn.ModuleDict:
    parts: dict[str, nn.Module] = {
        "norm1": T5Norm(width),
        "attention": T5Attention(width, 4, width, biased=True),
        "norm2": T5Norm(width),
        "mlp": Mlp(width, 4 * width),
    }
    if cross:
        parts["norm3"] = T5Norm(width)
        parts["cross"] = T5Attention(width, 4, width, biased=False)
    return nn.ModuleDict(parts)


def _t5_step(layer: Any, x: Tensor, memory: Tensor | None) -> Tensor:
    y = layer["norm1"](x)
    x = x + layer["attention"](y, y)
    if memory is not None:
        x = x + layer["cross"](layer["norm3"](x), memory)
    step: Tensor = x + layer["mlp"](layer["norm2"](x))
    return step


def t5(width: float = 1.0) -> T5:
    """Raffel et al., JMLR 2020."""
    return T5(scaled(64, width), 2)


class WaveBlock(nn.Module):
    """A dilated convolution with a gate, a residual and a skip."""

    def __init__(self, channels: int, skip: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.gated = nn.Conv1d(channels, 2 * channels, 2, dilation=dilation)
        self.residual, self.skip = nn.Conv1d(channels, channels, 1), nn.Conv1d(channels, skip, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, T) to the same shape, and to a skip."""
        both = self.gated(functional.pad(x, (self.dilation, 0)))
        value, gate = both.chunk(2, 1)
        y = torch.tanh(value) * torch.sigmoid(gate)
        return x + self.residual(y), self.skip(y)


class WaveNet(nn.Module):
    """Blocks of growing dilation, whose skips are summed."""

    def __init__(self, channels: int, skip: int) -> None:
        super().__init__()
        self.enter = nn.Conv1d(1, channels, 1)
        self.blocks = nn.ModuleList(WaveBlock(channels, skip, 2**i) for i in range(4))
        self.leave = nn.Sequential(
            nn.ReLU(), nn.Conv1d(skip, skip, 1), nn.ReLU(), nn.Conv1d(skip, 16, 1)
        )

    def forward(self, x: Tensor) -> Any:
        """Map (B, 1, T) to (B, 16, T)."""
        x = self.enter(x)
        total: Any = 0
        for block in self.blocks:
            x, skip = block(x)
            total = total + skip
        return self.leave(total)


def wavenet(width: float = 1.0) -> WaveNet:
    """Van den Oord et al., 2016."""
    return WaveNet(scaled(32, width), scaled(64, width))

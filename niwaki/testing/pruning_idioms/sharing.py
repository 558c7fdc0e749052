"""Idioms of sharing: weights, modules, inputs, outputs, parts that do not learn."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from niwaki.testing.pruning_idioms.composed import (
    Composed,
    conv,
    conv_norm,
    head,
    parameter,
    relu,
)


def weight_used_twice() -> nn.Module:
    """One parameter in two functional convolutions."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        once = relu(functional.conv2d(y, m.kernel, padding=1))
        return m.head(functional.conv2d(once, m.kernel, padding=1))

    parts = {"stem": conv_norm(3, 16), "kernel": parameter(16, 16, 3, 3), "head": head(16)}
    return Composed(compute, parts)


def module_used_twice() -> nn.Module:
    """One block, run three times."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        for _ in range(3):
            y = m.block(y)
        return m.head(y)

    block = nn.Sequential(conv_norm(16, 24), conv_norm(24, 16))
    return Composed(compute, {"stem": conv_norm(3, 16), "block": block, "head": head(16)})


def tied_embedding() -> nn.Module:
    """The same matrix looks words up and scores them."""

    def compute(m: Any, words: Tensor) -> Any:
        x = m.words(words)
        return functional.linear(x + m.mlp(x), m.words.weight)

    mlp = nn.Sequential(nn.Linear(24, 48), nn.ReLU(), nn.Linear(48, 24))
    return Composed(compute, {"words": nn.Embedding(50, 24), "mlp": mlp})


def shared_head() -> nn.Module:
    """One head on feature maps of two sizes (RetinaNet)."""

    def compute(m: Any, x: Tensor) -> Any:
        a = m.a(x)
        b = m.b(functional.max_pool2d(a, 2))
        return m.head(a), m.head(b)

    shared = nn.Sequential(conv_norm(16, 24), conv(24, 6, 1))
    return Composed(compute, {"a": conv_norm(3, 16), "b": conv_norm(16, 16), "head": shared})


def siamese() -> nn.Module:
    """Two inputs through one encoder, and their difference."""

    def compute(m: Any, left: Tensor, right: Tensor) -> Any:
        return m.head((m.encode(left) - m.encode(right)).abs())

    encode = nn.Sequential(conv_norm(3, 16), conv_norm(16, 24))
    return Composed(compute, {"encode": encode, "head": head(24)})


def two_inputs() -> nn.Module:
    """An image and a vector, joined late."""

    def compute(m: Any, image: Tensor, vector: Tensor) -> Any:
        y = m.encode(image).mean((2, 3))
        return m.head(relu(m.join(torch.cat([y, m.embed(vector)], 1))))

    parts = {
        "encode": nn.Sequential(conv_norm(3, 16), conv_norm(16, 24)),
        "embed": nn.Linear(7, 12),
        "join": nn.Linear(36, 32),
        "head": nn.Linear(32, 5),
    }
    return Composed(compute, parts)


def several_heads() -> nn.Module:
    """An encoder, and outputs by name, of which one also reads a skip."""

    def compute(m: Any, x: Tensor) -> Any:
        a = m.a(x)
        b = m.b(functional.max_pool2d(a, 2))
        up = functional.interpolate(b, size=a.shape[2:], mode="bilinear", align_corners=False)
        return {"label": m.label(b), "mask": m.mask(torch.cat([a, up], 1))}

    parts = {
        "a": conv_norm(3, 16),
        "b": conv_norm(16, 24),
        "label": head(24),
        "mask": nn.Sequential(conv_norm(40, 16), conv(16, 3, 1)),
    }
    return Composed(compute, parts)


@dataclass
class Answer:
    """What `dataclass_output` returns.

    Attributes:
        logits: (B, 5).
        features: Further results.
    """

    logits: Tensor
    features: tuple[Tensor, ...]


def dataclass_output() -> nn.Module:
    """Results in a dataclass, of which one is a feature map: its channels must stay."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.b(m.a(x))
        return Answer(m.head(y), (y,))

    return Composed(compute, {"a": conv_norm(3, 16), "b": conv_norm(16, 12), "head": head(12)})


def checkpointed() -> nn.Module:
    """A block whose activations are computed again for the backward pass."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        return m.head(y + checkpoint(m.block, y, use_reentrant=False))

    block = nn.Sequential(conv_norm(16, 24), conv(24, 16))
    return Composed(compute, {"stem": conv_norm(3, 16), "block": block, "head": head(16)})


def detached() -> nn.Module:
    """A branch that takes no gradient."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        return m.head(m.a(y) + m.b(y.detach()))

    parts = {
        "stem": conv_norm(3, 16),
        "a": conv_norm(16, 24),
        "b": conv_norm(16, 24),
        "head": head(24),
    }
    return Composed(compute, parts)


def frozen() -> nn.Module:
    """An encoder whose parameters do not learn."""
    encoder = nn.Sequential(conv_norm(3, 16), conv_norm(16, 24))
    for each in encoder.parameters():
        each.requires_grad_(False)
    return nn.Sequential(encoder, conv_norm(24, 16), head(16))


def without_gradient() -> nn.Module:
    """An encoder inside of `torch.no_grad`."""

    def compute(m: Any, x: Tensor) -> Any:
        with torch.no_grad():
            y = m.encoder(x)
        return m.head(m.a(y))

    encoder = nn.Sequential(conv_norm(3, 16), conv_norm(16, 24))
    return Composed(compute, {"encoder": encoder, "a": conv_norm(24, 16), "head": head(16)})


def in_place() -> nn.Module:
    """Operations that write into their input."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        z = m.b(m.a(y).relu_())
        z += y
        z.mul_(0.5).clamp_(min=0.0)
        return m.head(z)

    parts = {"stem": conv_norm(3, 16), "a": conv(16, 24), "b": conv(24, 16), "head": head(16)}
    return Composed(compute, parts)


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x * 2.0

    @staticmethod
    def backward(_: Any, *gradients: Any) -> Any:
        return gradients[0] * 2.0


def own_function() -> nn.Module:
    """A function with a gradient of its own."""
    double: Any = _Double.apply

    def compute(m: Any, x: Tensor) -> Any:
        return m.head(m.a(double(m.stem(x))))

    return Composed(compute, {"stem": conv_norm(3, 16), "a": conv_norm(16, 24), "head": head(24)})


def written_by_number() -> nn.Module:
    """Channels shifted in time by assignment (TSM): those must stay."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.a(m.stem(x))
        out = torch.zeros_like(y)
        out[:, :4, 1:] = y[:, :4, :-1]
        out[:, 4:] = y[:, 4:]
        return m.head(m.b(out))

    parts = {
        "stem": conv_norm(3, 16),
        "a": conv_norm(16, 12),
        "b": conv_norm(12, 16),
        "head": head(16),
    }
    return Composed(compute, parts)


def through_numpy() -> nn.Module:
    """Channels that leave torch for a moment: those must stay."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.a(m.stem(x))
        return m.head(m.b(torch.from_numpy(y.detach().numpy().copy())))

    parts = {
        "stem": conv_norm(3, 16),
        "a": conv_norm(16, 12),
        "b": conv_norm(12, 16),
        "head": head(16),
    }
    return Composed(compute, parts)


def picked_by_index() -> nn.Module:
    """Channels in an order that a buffer keeps: those must stay."""

    def compute(m: Any, x: Tensor) -> Any:
        return m.head(m.b(m.a(m.stem(x))[:, m.order]))

    parts = {
        "order": torch.randperm(12),
        "stem": conv_norm(3, 16),
        "a": conv_norm(16, 12),
        "b": conv_norm(12, 16),
        "head": head(16),
    }
    return Composed(compute, parts)


def control_flow() -> nn.Module:
    """What runs depends on the values."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        y = m.a(y) if float(x.mean()) > -100.0 else m.b(y)
        return m.head(y)

    parts = {
        "stem": conv_norm(3, 16),
        "a": conv_norm(16, 24),
        "b": conv_norm(16, 24),
        "head": head(24),
    }
    return Composed(compute, parts)


def parameter_list() -> nn.Module:
    """Gains in a list, and heads in a dictionary."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        for gain in m.gains:
            y = relu(y * gain)
        return {name: each(y) for name, each in m.heads.items()}

    gains = nn.ParameterList([parameter(16, 1, 1) for _ in range(2)])
    heads = nn.ModuleDict({"first": head(16, 4), "second": head(16, 3)})
    return Composed(compute, {"stem": conv_norm(3, 16), "gains": gains, "heads": heads})


def channel_softmax() -> nn.Module:
    """A softmax over the channels: those must stay."""

    def compute(m: Any, x: Tensor) -> Any:
        return m.head(m.b(m.a(m.stem(x)).softmax(1)))

    parts = {
        "stem": conv_norm(3, 16),
        "a": conv(16, 12),
        "b": conv_norm(12, 16),
        "head": head(16),
    }
    return Composed(compute, parts)


def unit_length() -> nn.Module:
    """Features divided by their length, and compared with prototypes."""

    def compute(m: Any, x: Tensor) -> Any:
        y = functional.normalize(m.encode(x).mean((2, 3)), dim=1)
        return y @ functional.normalize(m.prototypes, dim=1).t()

    encode = nn.Sequential(conv_norm(3, 16), conv_norm(16, 24))
    return Composed(compute, {"encode": encode, "prototypes": parameter(5, 24)})


def weight_norm() -> nn.Module:
    """A weight computed from a direction and a length."""
    layer = nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 24, 3, padding=1))
    return nn.Sequential(conv_norm(3, 16), layer, nn.ReLU(), conv_norm(24, 16), head(16))


def spectral_norm() -> nn.Module:
    """A weight divided by its largest singular value."""
    layer = nn.utils.parametrizations.spectral_norm(nn.Conv2d(16, 24, 3, padding=1))
    return nn.Sequential(conv_norm(3, 16), layer, nn.ReLU(), conv_norm(24, 16), head(16))


def standardised_weight() -> nn.Module:
    """A weight standardised over its inputs (NF-ResNet)."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        weight = m.kernel - m.kernel.mean((1, 2, 3), keepdim=True)
        weight = weight / (weight.std((1, 2, 3), keepdim=True) + 1e-5)
        return m.head(m.b(relu(functional.conv2d(y, weight, padding=1))))

    parts = {
        "stem": conv_norm(3, 16),
        "kernel": parameter(24, 16, 3, 3),
        "b": conv_norm(24, 16),
        "head": head(16),
    }
    return Composed(compute, parts)

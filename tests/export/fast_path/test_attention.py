"""torch's own transformer layers are followed into, layer by layer."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, nn

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.int8.layers import quantizable_layers
from tests.export.fast_path import test_fx_graph, test_tokens
from tests.export.fast_path.test_tokens import LENGTH, N_WORDS, WIDTH, tokens
from tests.export.networks import settled

SEQUENCE = (1, LENGTH, WIDTH)


class Texts(nn.Module):
    """A transformer of torch's own over words, which leaves out what is not there."""

    def __init__(self, *, norm_first: bool = False, causal: bool = False) -> None:
        super().__init__()
        self.words = nn.Embedding(N_WORDS, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 32, batch_first=True, norm_first=norm_first, activation="gelu"
        )
        norm = nn.LayerNorm(WIDTH) if norm_first else None
        self.encoder = nn.TransformerEncoder(layer, 2, norm, enable_nested_tensor=False)
        self.out, self.causal = nn.Linear(WIDTH, 5), causal

    def forward(self, ids: Tensor) -> Tensor:
        missing = ids == 0
        length = ids.shape[1]
        mask = torch.triu(torch.ones(length, length), 1).bool() if self.causal else None
        x = self.encoder(self.words(ids), mask=mask, src_key_padding_mask=missing)
        there = (~missing).unsqueeze(-1).float()
        y: Tensor = self.out((x * there).sum(1) / there.sum(1))
        return y


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_a_transformer_of_torchs_own(norm_first: bool, causal: bool) -> None:
    module = settled(Texts(norm_first=norm_first, causal=causal))
    model = test_tokens.check_equal(module, tokens())
    layers = quantizable_layers(model)
    assert layers[:2] == [f"encoder.layers.0.self_attn{end}" for end in ("", ".out_proj")]
    if not causal:  # two masks at once are beyond the exporter of torch
        assert layers == quantizable_layers(export_module(module, [tokens()]))


class Attending(nn.Module):
    """One attention of torch's own, called in one way or another."""

    def __init__(self, call: Callable[[Any, Tensor], Any], **options: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 4, **{"batch_first": True, **options})
        self.call = call

    def forward(self, x: Tensor) -> Any:
        return self.call(self.attention, x)


def alone(attention: Any, x: Tensor) -> Any:
    return attention(x, x, x)[0]


def by_name(attention: Any, x: Tensor) -> Any:
    return attention(query=x, key=x, value=x, need_weights=False)[0]


def steps_first(attention: Any, x: Tensor) -> Any:
    turned = x.transpose(0, 1)
    return attention(turned, turned, turned)[0].transpose(0, 1)


def with_reals_as_masks(attention: Any, x: Tensor) -> Any:
    missing = (x[..., 0] > 0.5).float() * -3.0
    pairs = torch.linspace(-1, 1, LENGTH * LENGTH).reshape(LENGTH, LENGTH)
    return attention(x, x, x, key_padding_mask=missing, attn_mask=pairs)[0]


@pytest.mark.parametrize(
    ("call", "options"),
    [
        (alone, {}),
        (alone, {"bias": False}),
        (by_name, {}),
        (steps_first, {"batch_first": False}),
        (with_reals_as_masks, {}),
    ],
)
def test_an_attention_of_torchs_own(
    call: Callable[[Any, Tensor], Any], options: dict[str, Any]
) -> None:
    module = settled(Attending(call, **options))
    model = test_fx_graph.check_equal(module, SEQUENCE)
    assert quantizable_layers(model) == ["attention", "attention.out_proj"]


def hooked() -> nn.Module:
    module = Attending(alone)
    module.attention.register_forward_hook(lambda *_: None)
    return module


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_an_attention_between_different_tensors(batch_first: bool, bias: bool) -> None:
    def call(attention: Any, x: Tensor) -> Any:
        ordered = x if batch_first else x.transpose(0, 1)
        keys = torch.cat([ordered.flip(1), ordered], 1 if batch_first else 0)
        missing = torch.zeros(x.shape[0], 2 * LENGTH).masked_fill(
            torch.arange(2 * LENGTH) > 7, -2.0
        )
        answer = attention(ordered, keys, keys * 2, key_padding_mask=missing)[0]
        return answer if batch_first else answer.transpose(0, 1)

    module = settled(Attending(call, bias=bias, batch_first=batch_first))
    model = test_fx_graph.check_equal(module, SEQUENCE)
    assert quantizable_layers(model) == [
        *("attention", "attention:2", "attention:3"),
        "attention.out_proj",
    ]


class Translation(nn.Module):
    """torch's own encoder and decoder, one behind the other."""

    def __init__(self, norm_first: bool, batch_first: bool) -> None:
        super().__init__()
        options: dict[str, Any] = {"norm_first": norm_first, "batch_first": batch_first}
        layer = nn.TransformerDecoderLayer(WIDTH, 4, 32, **options)
        self.encoder = nn.TransformerEncoderLayer(WIDTH, 4, 32, **options)
        self.decoder = nn.TransformerDecoder(layer, 2, nn.LayerNorm(WIDTH))

    def forward(self, x: Tensor) -> Any:
        later = nn.Transformer.generate_square_subsequent_mask(LENGTH)
        return self.decoder(x.roll(1, 2), self.encoder(x), tgt_mask=later, tgt_is_causal=True)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_decoder_of_torchs_own(norm_first: bool, batch_first: bool) -> None:
    module = settled(Translation(norm_first, batch_first))
    if batch_first:
        test_fx_graph.check_equal(module, SEQUENCE)
    else:  # the first axis of the input is then that of steps
        wrapped = Attending(lambda _, x: module(x.transpose(0, 1)).transpose(0, 1))
        wrapped.add_module("module", module)
        test_fx_graph.check_equal(wrapped.eval(), SEQUENCE)


class Doubled(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def replaced() -> nn.Module:
    module = Attending(alone)
    setattr(module.attention, "out_proj", Doubled(WIDTH, WIDTH))  # noqa: B010  (of another type)
    return module


@pytest.mark.parametrize(
    ("make", "said"),
    [
        # torch reads the weights of the last layer, and does not call it.
        (replaced, "no converter for MultiheadAttention"),
        (lambda: Attending(lambda a, x: a(x, x, x)[1]), "weights of its attention are read"),
        (lambda: Attending(alone, add_bias_kv=True), "no converter for MultiheadAttention"),
        (hooked, "has hooks"),
    ],
)
def test_other_attention_is_left_to_torch(make: Callable[[], nn.Module], said: str) -> None:
    with pytest.raises(ExportError, match=said):
        build_graph(make().eval(), [SEQUENCE])


class Heads(nn.Module):
    """Queries, keys and values of one layer, and torch's function over them."""

    def __init__(self, attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.joined, self.attend = nn.Linear(WIDTH, 3 * WIDTH), attend

    def forward(self, x: Tensor) -> Tensor:
        heads = self.joined(x).reshape(x.shape[0], LENGTH, 3, 4, -1).permute(2, 0, 3, 1, 4)
        q, k, v = heads.unbind(0)
        return self.attend(q, k, v).transpose(1, 2).flatten(2)


SEEN = torch.rand(LENGTH, LENGTH) > 0.5
SEEN[3] = False


@pytest.mark.parametrize(
    "attend",
    [
        F.scaled_dot_product_attention,
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3),
        lambda q, k, v: F.scaled_dot_product_attention(q[:, 0], k[:, 0], v[:, 0]).unsqueeze(1),
        lambda q, k, v: F.scaled_dot_product_attention(q[:, :, :5], k, v).repeat(1, 1, 1, 2),
        lambda q, k, v: F.scaled_dot_product_attention(q / 2, q / 2, q / 2),
        # Nobody is seen by the fourth, for whom torch has zeros.
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=SEEN),
        lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, attn_mask=torch.zeros(LENGTH, LENGTH).masked_fill(~SEEN, float("-inf"))
        ),
    ],
    ids=["plain", "causal", "one head", "fewer queries", "scaled", "mask", "mask of reals"],
)
def test_attention_over_heads(attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    module = Heads(attend).eval()
    test_fx_graph.check_equal(module, SEQUENCE)

"""Models that take integers, such as the numbers of words, are followed as others are."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, nn

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.float_graph import float_graph
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.int8.layers import quantizable_layers
from tests.export.networks import flat, run, settled

N_WORDS, LENGTH, WIDTH = 50, 12, 16


def tokens(n_texts: int = 5) -> Tensor:
    """Return (n, LENGTH) numbers of words; texts end earlier or later, and 0 is for what is not."""
    words = torch.randint(1, N_WORDS, (n_texts, LENGTH), generator=torch.Generator().manual_seed(0))
    ends = torch.arange(n_texts).unsqueeze(1) * 2
    return words * (torch.arange(LENGTH) < LENGTH - ends)


def graph_of(module: nn.Module, *inputs: Tensor) -> onnx.ModelProto:
    kinds = [str(each.dtype).removeprefix("torch.") for each in inputs]
    return build_graph(module, [tuple(each.shape) for each in inputs], input_types=kinds)


def check_equal(module: nn.Module, *inputs: Tensor) -> onnx.ModelProto:
    """Check that graph and module agree on all items and on one, and return the graph."""
    model = graph_of(module, *inputs)
    onnx.checker.check_model(model, full_check=True)
    for given in (inputs, [each[1:2] for each in inputs]):
        with torch.no_grad():
            expected = flat(module(*given))
        found = run(model, *(each.numpy() for each in given)).values()
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-4)
    return model


class Means(nn.Module):
    """Means of words, and what is in none of a table's other columns."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(N_WORDS, WIDTH, padding_idx=0)
        self.fc, self.out = nn.Linear(WIDTH, 24), nn.Linear(24, 5)

    def forward(self, ids: Tensor) -> Tensor:
        there = (ids != 0).float().unsqueeze(-1)
        x = (self.words(ids) * there).sum(1) / there.sum(1).clamp(min=1)
        y: Tensor = self.out(torch.relu(self.fc(x)))
        return y


class Windows(nn.Module):
    """The largest answers of windows of words."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(N_WORDS, WIDTH)
        self.windows = nn.ModuleList(nn.Conv1d(WIDTH, 12, k, padding=k // 2) for k in (3, 5))
        self.out = nn.Linear(24, 5)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        x = self.words(ids).transpose(1, 2)
        found = [F.relu(window(x)).max(dim=2) for window in self.windows]
        return self.out(torch.cat([f.values for f in found], 1)), found[0][1]


class Attention(nn.Module):
    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.fused = fused

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, length, _ = x.shape
        layers = (self.query, self.key, self.value)
        q, k, v = (layer(x).view(batch, length, 4, -1).transpose(1, 2) for layer in layers)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :].bool())
        else:
            out = (1.0 - mask[:, None, None, :].to(x.dtype)) * -1e4
            y = F.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.size(-1)) + out, dim=-1) @ v
        z: Tensor = self.out(y.transpose(1, 2).reshape(batch, length, WIDTH))
        return z


class Encoder(nn.Module):
    """A small BERT: words, positions and a mask."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(N_WORDS, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.attention, self.norm = Attention(fused=fused), nn.LayerNorm(WIDTH)
        self.out = nn.Linear(WIDTH, 5)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        batch, length = input_ids.shape
        places = torch.arange(length, device=input_ids.device).unsqueeze(0).expand(batch, length)
        x = self.words(input_ids) + self.places(places)
        x = self.norm(x + self.attention(x, attention_mask))
        y: Tensor = self.out(x[:, 0])
        return y


class Decoder(nn.Module):
    """A small GPT: a mask that is a buffer, cut to the length, and a head that is the table."""

    before: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(N_WORDS, WIDTH), nn.Embedding(32, WIDTH)
        self.joined, self.head = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, N_WORDS, bias=False)
        self.head.weight = self.words.weight
        self.register_buffer("before", torch.tril(torch.ones(32, 32)).view(1, 1, 32, 32))

    def forward(self, ids: Tensor) -> Tensor:
        batch, length = ids.size()
        x = self.words(ids) + self.places(torch.arange(0, length, dtype=torch.long))
        q, k, v = self.joined(x).split(WIDTH, dim=2)
        q, k, v = (a.view(batch, length, 4, -1).transpose(1, 2) for a in (q, k, v))
        scores = q @ k.transpose(-2, -1) * 0.5
        later = self.before[:, :, :length, :length] == 0
        y = F.softmax(scores.masked_fill(later, float("-inf")), dim=-1) @ v
        z: Tensor = self.head(y.transpose(1, 2).contiguous().view(batch, length, WIDTH))
        return z


class Columns(nn.Module):
    """A table's columns: choices by number, and amounts."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(N_WORDS, 4) for _ in range(3))
        self.out = nn.Sequential(nn.Linear(18, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 1))

    def forward(self, choices: Tensor, amounts: Tensor) -> Tensor:
        found = [table(choices[:, i]) for i, table in enumerate(self.tables)]
        y: Tensor = torch.sigmoid(self.out(torch.cat([*found, amounts], 1)))
        return y


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...]]] = {
    "means": (Means, (tokens(),)),
    "windows": (Windows, (tokens(),)),
    "encoder": (lambda: Encoder(fused=False), (tokens(), (tokens() != 0).long())),
    "encoder, fused": (lambda: Encoder(fused=True), (tokens(), tokens() != 0)),
    "decoder": (Decoder, (tokens(),)),
    "columns": (Columns, (tokens()[:, :3], torch.randn(5, 6))),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_a_model_of_integers(name: str) -> None:
    make, inputs = MODELS[name]
    module = settled(make())
    model = check_equal(module, *inputs)
    assert quantizable_layers(model) == quantizable_layers(export_module(module, inputs))


def test_inputs_have_their_types() -> None:
    make, inputs = MODELS["encoder, fused"]
    model = graph_of(settled(make()), *inputs)
    kinds = [info.type.tensor_type.elem_type for info in model.graph.input]
    assert kinds == [onnx.TensorProto.INT64, onnx.TensorProto.BOOL]


@pytest.mark.parametrize("kind", ["float64", "float16"])
def test_inputs_of_other_reals_are_refused(kind: str) -> None:
    module = Computed(lambda x: torch.cat([x, x]))
    with pytest.raises(ExportError, match=f"input 'ids' is of {kind}"):
        build_graph(module.eval(), [(1, LENGTH)], input_types=[kind])


INTEGERS: dict[str, Callable[[Tensor], Any]] = {
    "arithmetic": lambda i: (i * 2 + 1 - i, 3 - i, -i, i.abs()),
    "with reals": lambda i: (i + 0.5, i / 2, i * torch.ones(LENGTH), i.float() ** 2),
    "constants first": lambda i: (
        torch.ones(LENGTH) * i,
        torch.ones(LENGTH) - i,
        torch.arange(LENGTH) < i,
        2.0 / (torch.arange(LENGTH) + i + 1),
    ),
    "a quotient of integers is real": lambda i: i / (i + 1),
    "comparisons": lambda i: (i == 3, i != 3, i < 3, i <= 3, i > 2.5, i <= 3, i.eq(i)),
    "what is true": lambda i: (~(i == 0) & (i > 3) | (i < 2), torch.logical_not(i)),
    "truth as a number": lambda i: ((i > 3).sum(1), (i > 3).long() + 1, (i > 3) * 2.0),
    "choices": lambda i: (torch.where(i > 3, i, 0), i.masked_fill(i == 0, -1), i.clamp(2, 9)),
    "mixed choices": lambda i: torch.where(i > 3, i.float(), torch.zeros(LENGTH)),
    "types": lambda i: (i.int(), i.to(torch.float32), i.bool(), i.type_as(i.float()), i.long()),
    "sums": lambda i: (i.sum(1), i.sum(dim=1, keepdim=True), torch.cumsum(i, 1)),
    "differences": lambda i: (
        i.diff(),
        torch.diff(i, n=2, dim=1),
        torch.diff(i, prepend=i[:, :1] - 1, append=i[:, :2]),
        i[:, :, None].float().diff(dim=-2),
    ),
    "extremes": lambda i: (i.max(1)[0], i.amin(1), i.argmax(1), torch.maximum(i, 9 - i)),
    "moves": lambda i: (i[:, None, :, None], i[:, 2], torch.stack([i, i + 1], 1), i.unbind(1)[2]),
    "joins": lambda i: torch.cat([i, i.float()], 1),
    "padding": lambda i: F.pad(i, (1, 2), value=7),
    "rows": lambda i: torch.arange(100.0).reshape(50, 2)[i],
    "made of sizes": lambda i: (
        i + torch.zeros(i.shape[0], 1, dtype=torch.long),
        torch.ones_like(i) + i,
        torch.full((LENGTH,), 3, dtype=torch.long) + i,
        i.new_zeros(i.shape[0], 2),
    ),
    "repeated": lambda i: (
        torch.arange(3.0).repeat(i.shape[0], 1),
        torch.arange(3.0).expand(i.shape[0], 2, 3),
        i.unsqueeze(1).expand(-1, 4, -1),
        i[:, :1].expand_as(i),
        i.repeat(1, 2),
    ),
    "triangles": lambda i: (torch.triu(i[:, :, None] * i[:, None], 1), torch.ones(3, 3).tril()),
}


class Computed(nn.Module):
    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, ids: Tensor) -> Any:
        return self.function(ids)


@pytest.mark.parametrize("name", list(INTEGERS))
def test_integers_are_computed_with_as_torch_does(name: str) -> None:
    check_equal(Computed(INTEGERS[name]).eval(), tokens())


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda i: ~i, "turns the bits of int64"),
        (lambda i: i & 1, "joins the bits of int64"),
        (lambda i: (i > 1) * (i < 3), "no Mul of bool"),
        (lambda i: i.to(torch.uint8), "turns int64 into uint8"),
        (lambda i: i.sum(), "the batch with them"),
        (lambda i: i.diff(dim=0), "compares the items of a batch"),
        (lambda i: i if len(i) == 1 else i + 1, "how many there are"),
        (lambda i: i.flip(1) if i.shape[0] == 1 else i, "how many there are"),
        (lambda i: i if i.shape[0] == 2 else i + 1, "how many there are"),
        (lambda i: i if i.shape[0] == 1 else i.expand(2, -1, -1), "how many there are"),
        (lambda i: i // 2, "no converter for 'floordiv'"),
        (lambda i: torch.zeros(2 * i.shape[0], 3), "not that of the batch"),
        (lambda i: torch.arange(2 * i.shape[0]) + 1, "as far as the batch goes"),
    ],
)
def test_what_is_not_written_is_refused(function: Callable[[Tensor], Any], said: str) -> None:
    with pytest.raises(ExportError, match=said):
        graph_of(Computed(function).eval(), tokens())


def test_what_is_refused_is_left_to_torch() -> None:
    module = Computed(lambda i: (i > 1) * (i < 30)).eval()
    model = float_graph(module, [(1, LENGTH)], lambda: [tokens()], input_types=["int64"])
    (found,) = run(model, tokens().numpy()).values()
    np.testing.assert_array_equal(found, module(tokens()).numpy())


def _of_one_sequence(ids: Tensor) -> Tensor:
    """Return what is not behind another sequence that is packed with it, as decoders tell it."""
    positions = torch.arange(ids.shape[1]).unsqueeze(0)
    if ids.shape[0] != positions.shape[0]:
        positions = positions.expand(ids.shape[0], -1)
    sequence = (positions.diff(prepend=positions[:, :1] - 1) != 1).cumsum(-1)
    return ids * (sequence[:, :, None] == sequence[:, None, :]).sum(-1)


def test_a_decision_by_whether_there_is_one_item_of_which_nothing_comes_is_followed() -> None:
    check_equal(Computed(_of_one_sequence).eval(), tokens())


class Counting(nn.Module):
    """Cuts a buffer to a length, and counts its calls in another."""

    shift: Tensor
    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.arange(20))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, ids: Tensor) -> Tensor:
        self.calls.add_(1)
        return ids + self.shift[: ids.shape[1]]


def test_a_buffer_that_changes_is_seen_beside_one_that_is_cut() -> None:
    with pytest.raises(ExportError, match="changes its buffer 'calls'"):
        graph_of(Counting().eval(), tokens())

"""Which parameter a layer's weight is, and how often it is applied."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn

from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.int8.layer_weights import layer_weights, n_applied, read_in_float


class _Attending(nn.Module):
    """Learnt questions attend to the items of a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.questions = nn.Parameter(torch.randn(3, 16))
        self.mixer = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        questions = self.questions.expand(len(x), -1, -1)
        mixed: torch.Tensor = self.mixer(questions, x, x, need_weights=False)[0]
        return mixed


class _Tied(nn.Module):
    """A head that is the embedding, behind one layer that is called twice, and a bare matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(40, 16)
        self.twice = nn.Linear(16, 16)
        self.matrix = nn.Parameter(torch.randn(16, 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.twice(F.relu(self.twice(self.embedding(x.long()))))
        return F.linear(inner @ self.matrix, self.embedding.weight)


def test_a_bare_layer_is_its_weight() -> None:
    module = nn.Linear(16, 4).eval()
    (weight,) = layer_weights(export_module(module, [torch.randn(2, 5, 16)]), module).values()
    assert (weight.parameter, weight.share, weight.width, weight.axis) == ("weight", 1.0, 4, 0)


def test_blocks_of_a_parameter_are_found() -> None:
    module = _Attending().eval()
    weights = layer_weights(export_module(module, [torch.randn(2, 5, 16)]), module).values()
    assert [(w.parameter, w.share) for w in weights] == [
        ("mixer.in_proj_weight", pytest.approx(1 / 3)),
        ("mixer.in_proj_weight", pytest.approx(2 / 3)),
        ("mixer.out_proj.weight", 1.0),
    ]


def test_transposes_and_layers_called_twice_are_found() -> None:
    module, x = _Tied().eval(), torch.randint(40, (2, 7)).float()
    model = export_module(module, [x], input_names=["ids"])
    weights = list(layer_weights(model, module).values())
    owners = ["twice.weight", "twice.weight", "matrix", "embedding.weight"]
    assert [weight.parameter for weight in weights] == owners
    assert [weight.axis for weight in weights] == [0, 0, 1, 0]
    assert weights[0].constant == weights[1].constant
    assert "embedding.weight" in read_in_float(model)
    assert set(n_applied(model, {"ids": x[:1].numpy()}).values()) == {7}


def test_macs_are_values_times_places() -> None:
    module = nn.Sequential(nn.Conv2d(4, 8, 3, stride=2, groups=2), nn.Conv2d(8, 6, 1)).eval()
    model = build_graph(module, [(1, 4, 9, 9)], input_names=["image"])
    applied = n_applied(model, {"image": torch.randn(1, 4, 9, 9).numpy()})
    macs = {p: applied[p] * w.n_values for p, w in layer_weights(model, module).items()}
    assert macs == {"0": 16 * 8 * 2 * 9, "1": 16 * 8 * 6}


def test_clones_have_weights_of_their_own() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    module = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    weights = layer_weights(export_module(module, [torch.randn(2, 5, 16)]), module)
    owners = [weight.parameter for weight in weights.values()]
    assert owners == [
        f"layers.{i}.{name}"
        for i in range(2)
        for name in (
            *("self_attn.in_proj_weight", "self_attn.out_proj.weight"),
            *("linear1.weight", "linear2.weight"),
        )
    ]
    assert len({weight.constant for weight in weights.values()}) == len(owners)


class _Scaled(nn.Module):
    """A bare kernel of one number, masked, beside a scalar."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.kernel = nn.Parameter(torch.tensor(0.5).reshape(1, 1, 1, 1))
        self.mask = nn.Buffer(torch.ones(1, 1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.kernel * self.mask) * self.scale


def test_scalars_are_parameters_like_others() -> None:
    model = _Scaled().eval()
    (weight,) = layer_weights(export_module(model, [torch.zeros(2, 1, 8, 8)]), model).values()
    assert weight.parameter == "kernel"

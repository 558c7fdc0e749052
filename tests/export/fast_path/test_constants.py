"""What reads no input is computed when a graph is written."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, nn

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.int8.layers import quantizable_layers
from tests.export.fast_path.test_fx_graph import check_equal
from tests.export.networks import settled

SHAPE = (1, 6, 8)


class Relative(nn.Module):
    """Attention with a learned bias for each difference of positions."""

    places: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.table = nn.Parameter(torch.randn(11, 1))
        steps = torch.arange(6)
        self.register_buffer("places", steps[:, None] - steps[None] + 5)

    def forward(self, x: Tensor) -> Tensor:
        bias = self.table[self.places.view(-1)].view(6, 6, -1).permute(2, 0, 1)
        scores = x @ self.linear(x).transpose(1, 2) + 4 * torch.sigmoid(bias)
        answer: Tensor = scores.softmax(-1) @ x
        return answer


def test_a_table_by_positions_is_a_constant() -> None:
    module = Relative()
    settled(module)
    before = module.table.detach().clone()
    model = check_equal(module, SHAPE)
    assert {"Gather", "Sigmoid"}.isdisjoint(node.op_type for node in model.graph.node)
    assert torch.equal(module.table, before)


class Standardised(nn.Conv2d):
    """A convolution of weights with mean 0 and variance 1 (Qiao et al., 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        n_inputs = self.weight[0].numel()
        weight = F.batch_norm(
            self.weight.reshape(1, self.out_channels, -1), None, None, training=True, eps=1e-6
        ).reshape_as(self.weight)
        return F.conv2d(x, weight / n_inputs**0.5, self.bias, self.stride, self.padding)


def test_a_layer_of_weights_that_are_computed_is_a_layer() -> None:
    module = settled(nn.Sequential(Standardised(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1)))
    assert quantizable_layers(check_equal(module, (1, 3, 6, 6))) == ["0", "2"]


class Reading(nn.Module):
    """A function of parameters, buffers and an input."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.embedding, self.linear = nn.Embedding(6, 8), nn.Linear(8, 8)
        self.position = nn.Parameter(torch.randn(1, 4, 3, 3))
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def masked(_: Any, x: Any) -> Any:
    mask = torch.zeros(6, 6)
    mask[:3, 4:] = -5.0
    mask[1] += 1.0
    mask[2, 3:].fill_(0.5)
    return mask @ x


CONSTANT: dict[str, Callable[[Any, Any], Any]] = {
    "positions": lambda m, x: x + m.embedding(torch.arange(x.shape[1], device=x.device)),
    "a layer": lambda m, x: x + m.linear(m.embedding.weight),
    "resized": lambda m, x: (
        x.unflatten(1, (2, 3)).unflatten(3, (4, 2)).sum(1)[:, :3, :2]
        + F.interpolate(m.position, (3, 2), mode="bicubic", antialias=True)[0, 0, :, :, None]
    ),
    "parts": lambda m, x: x * torch.cat(m.embedding.weight.chunk(3)[1:])[:1] + x,
    "assigned in parts": masked,
    "given back": lambda m, x: (x * 2, m.linear.weight @ m.linear.weight.t()),
    "for each item": lambda m, x: torch.cat(
        [x, m.position[0, :, :1, 0].expand(4, 8)[None].expand(x.shape[0], -1, -1)], 1
    ),
}


@pytest.mark.parametrize("name", list(CONSTANT))
def test_what_reads_no_input_is_followed(name: str) -> None:
    module = settled(Reading(CONSTANT[name]))
    kept = {key: value.clone() for key, value in module.state_dict().items()}
    check_equal(module, SHAPE)
    for key, value in module.state_dict().items():
        assert torch.equal(value, kept[key])


def test_what_is_much_larger_than_all_it_reads_is_computed_by_the_graph() -> None:
    module = Reading(lambda m, x: x + m.position[0, 0, 0, :1].expand(1500, 1000).amax((0, 1)))
    model = check_equal(settled(module), SHAPE)
    assert "Expand" in [node.op_type for node in model.graph.node]
    assert model.ByteSize() < 10_000


def test_what_differs_each_time_is_no_constant() -> None:
    module = settled(Reading(lambda m, x: x + torch.bernoulli(m.position[0, 0].sigmoid())[0, 0]))
    with pytest.raises(ExportError, match="no converter for 'bernoulli'"):
        build_graph(module, [SHAPE])


def test_a_failure_among_constants_is_told() -> None:
    module = settled(Reading(lambda m, x: x + torch.linalg.cholesky(-m.linear.weight.abs())[:6]))
    with pytest.raises(ExportError, match=r"fails on inputs of shape .*cholesky"):
        build_graph(module, [SHAPE])

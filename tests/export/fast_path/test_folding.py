"""What is folded into layers: batch norms, also called as functions, factors and summands."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, nn

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph, write_graph
from niwaki.export.int8.layers import quantizable_layers
from niwaki.export.int8.module_equalisation import equalise_module
from tests.export.fast_path.test_fx_graph import check_equal
from tests.export.networks import settled

SHAPE = (1, 3, 8, 8)


class NormAct(nn.BatchNorm2d):
    """A batch norm and an activation in one."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(
            F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.1, self.eps
            )
        )


class Same(nn.Conv2d):
    """A convolution of which the output is as large as the input."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), self.weight, self.bias, groups=self.groups)


class Network(nn.Module):
    """The same with layers of one's own, and with those of torch."""

    def __init__(self, own: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        kind, padding = (Same, 0) if own else (nn.Conv2d, 1)
        self.first = kind(3, 8, 3, padding=padding, bias=False)
        self.second = kind(8, 8, 3, padding=padding, groups=4)
        norms: Any = [nn.BatchNorm2d(8), nn.BatchNorm2d(8, affine=False)]
        for norm in norms:
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
        nn.init.uniform_(norms[0].weight, 0.5, 2.0)
        nn.init.uniform_(norms[0].bias, -0.5, 0.5)
        if own:
            for i, norm in enumerate(norms):
                norms[i] = NormAct(8, affine=norm.affine)
                norms[i].load_state_dict(norm.state_dict())
        self.norms, self.act = nn.ModuleList(norms), nn.Identity() if own else nn.ReLU()
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.norms[0](self.first(x)))
        y = self.act(self.norms[1](self.second(y)))
        answer: Tensor = self.head(y.mean((2, 3)))
        return answer


def test_norms_of_ones_own_are_folded_into_the_layer_before_them() -> None:
    model = check_equal(settled(Network(own=True)), SHAPE)
    assert "BatchNormalization" not in [node.op_type for node in model.graph.node]
    assert quantizable_layers(model) == ["first", "second", "head"]


def test_statistics_of_the_batch_are_refused() -> None:
    class Batch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.batch_norm(x, None, None, training=True)

    with pytest.raises(ExportError, match="by the batch's statistics"):
        build_graph(Batch().eval(), [SHAPE])


def test_channels_before_norms_of_ones_own_are_equalised_as_those_of_torch() -> None:
    images = torch.randn(4, *SHAPE[1:])
    scaled = []
    for own in (True, False):
        module = Network(own=own).eval()
        weight = module.norms[0].get_parameter("weight")
        with torch.no_grad():
            for parameter in module.norms[0].parameters():
                parameter.mul_(torch.logspace(-2, 1, 8))
            before, given = module(images), weight.clone()
            equalise_module(module, write_graph(module, [SHAPE]))
            torch.testing.assert_close(module(images), before)
            scaled.append(weight / given)
    assert not torch.allclose(scaled[0], torch.ones(8))
    torch.testing.assert_close(scaled[0], scaled[1])


class Scaled(nn.Module):
    """Layers with factors and summands behind them."""

    def __init__(self, function: Callable[[Any, Any], Any] | None = None) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.up, self.linear = nn.ConvTranspose2d(8, 8, 2, 2, groups=2), nn.Linear(12, 6)
        self.channels = nn.Parameter(torch.linspace(-1, 2, 8))
        self.columns = nn.Parameter(torch.linspace(-1, 2, 6))
        self.function = function

    def forward(self, x: Tensor) -> Any:
        if self.function is not None:
            return self.function(self, x)
        scale = self.channels.view(1, -1, 1, 1)
        z = self.norm(self.conv(x) - 0.25).mul(scale).add(scale)
        z = self.up(z) * self.channels.reshape(8, 1, 1) - self.channels.reshape(8, 1, 1)
        answer: Tensor = self.columns + self.columns * self.linear(z * 0.5) * 0.3
        return answer


def test_factors_and_summands_are_folded() -> None:
    model = check_equal(settled(Scaled()), SHAPE)
    kinds = [node.op_type for node in model.graph.node]
    assert not {"BatchNormalization", "Mul", "Sub"}.intersection(kinds)
    assert kinds.count("Add") == 1  # the linear layer's own bias, of images


NOT_FOLDED: dict[str, Callable[[Any, Any], Any]] = {
    "along rows": lambda m, x: m.conv(x) * m.columns,
    "read twice": lambda m, x: (lambda y: y * 0.5 + y.relu())(m.conv(x)),
    "larger": lambda m, x: m.conv(x) * m.columns.view(6, 1, 1, 1, 1),
    "by channels of a linear layer's images": lambda m, x: (
        m.linear(m.up(m.conv(x))) * m.channels.view(-1, 1, 1)
    ),
    "of a layer called by names": lambda m, x: F.conv2d(input=x, weight=m.conv.weight) * 2.0,
    "by what is computed": lambda m, x: m.conv(x) * x.amax((1, 2, 3), keepdim=True),
    "what it is taken from": lambda m, x: (0.5 - m.conv(x)) * 2.0,
}


@pytest.mark.parametrize("name", list(NOT_FOLDED))
def test_other_factors_and_summands_are_not_folded(name: str) -> None:
    model = check_equal(settled(Scaled(NOT_FOLDED[name])), SHAPE)
    assert "Mul" in [node.op_type for node in model.graph.node]


def test_a_factor_before_an_activation_is_told_from_one_behind_it() -> None:
    def function(m: Any, x: Any) -> Any:
        return (m.conv(x) * m.channels.view(8, 1, 1)).relu() + m.conv(x).relu() * -2.0

    model = check_equal(settled(Scaled(function)), SHAPE)
    assert [node.op_type for node in model.graph.node].count("Mul") == 1

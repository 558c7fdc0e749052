"""The fast path and torch's exporter give a layer the same name, however it is called."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.graph.index import GraphIndex
from niwaki.export.int8.layers import find_layers


class Called(nn.Module):
    """Parts and parameters, and a function that computes with them."""

    def __init__(self, computed: Callable[[Any, Tensor], Any], **parts: Any) -> None:
        super().__init__()
        self.computed = computed
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.computed(self, x)


class Product(nn.Module):
    """Multiplies by a matrix of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(6, 6))

    def forward(self, x: Tensor) -> Any:
        return torch.relu(x @ self.w)


def linear() -> nn.Linear:
    return nn.Linear(6, 6)


def two_names() -> nn.Module:
    layer = linear()
    return Called(lambda m, x: m.b(torch.relu(m.a(x))), a=layer, b=layer)


def a_sequence_of_two_names() -> nn.Module:
    part = nn.Sequential(Product(), linear())
    inner = nn.ModuleList([part])
    return Called(lambda m, x: m.b[0](m.a(x)), a=part, b=inner)


def tied() -> nn.Module:
    first, second = linear(), linear()
    second.weight = first.weight
    return Called(lambda m, x: m.a(torch.relu(m.b(x))), a=first, b=second)


def tied_with_norms() -> nn.Module:
    first, second = nn.Conv1d(3, 3, 1, bias=False), nn.Conv1d(3, 3, 1, bias=False)
    second.weight = first.weight
    norms = {"n": nn.BatchNorm1d(3), "m": nn.BatchNorm1d(3)}
    return Called(lambda m, x: m.n(m.b(torch.relu(m.m(m.a(x))))), a=first, b=second, **norms)


def products() -> nn.Module:
    def attended(m: Any, x: Tensor) -> Any:
        return torch.softmax(x @ x.transpose(1, 2), -1) @ m.p(x) @ m.w

    return Called(attended, p=Product(), w=nn.Parameter(torch.randn(6, 6)))


def a_product_of_two_scopes() -> nn.Module:
    def computed(m: Any, x: Tensor) -> Any:
        return torch.relu(x @ m.table.weight) @ m.p.w

    return Called(computed, table=nn.Embedding(6, 6), p=Product())


def weights_of_parts_in_functions() -> nn.Module:
    def computed(m: Any, x: Tensor) -> Any:
        x = torch.relu(functional.linear(x, m.qkv.weight, m.qkv.bias))
        x = torch.relu(functional.linear(x, m.proj.weight.t()) @ m.proj.weight.T)
        return functional.linear(x, m.large.weight)

    large = nn.Linear(6, 3000)  # more than torch's exporter transposes by itself
    return Called(computed, qkv=linear(), proj=linear(), large=large)


def equal_weights_in_functions() -> nn.Module:
    def computed(m: Any, x: Tensor) -> Any:
        x = torch.relu(functional.linear(x, m.a.weight, m.b.bias))
        return functional.linear(x, m.b.weight, m.a.bias)

    first, second = linear(), linear()
    second.load_state_dict(first.state_dict())
    return Called(computed, a=first, b=second)


def layers_over_constants() -> nn.Module:
    places = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 6, bias=False))
    return Called(lambda m, x: m.a(x) + m.mlp(m.table)[:3], a=linear(), mlp=places, table=PLACES)


PLACES = torch.randn(400, 2)


def twice_the_same() -> nn.Module:
    return Called(lambda m, x: torch.relu(m.a(x)) + m.a(x), a=linear())


def twice() -> nn.Module:
    return Called(lambda m, x: m.p(m.p(x)), p=nn.Sequential(Product(), linear()))


def like_an_operation() -> nn.Module:
    def computed(m: Any, x: Tensor) -> Any:
        return m.add(x) + torch.relu(x) + m.matmul(x @ x.transpose(1, 2) @ x)

    return Called(computed, add=linear(), matmul=linear())


def unread() -> nn.Module:
    return Called(lambda m, x: (m.a(m.b(x)), m.b(x + 1))[1], a=linear(), b=linear())


MODELS = [two_names, a_sequence_of_two_names, tied, tied_with_norms, products]
MODELS += [a_product_of_two_scopes, twice_the_same, twice, like_an_operation, unread]
MODELS += [weights_of_parts_in_functions, equal_weights_in_functions, layers_over_constants]


def weights(model: onnx.ModelProto) -> dict[str, list[float]]:
    index = GraphIndex(model.graph)
    return {
        layer.path: np.sort(index.values(layer.weight), axis=None).round(5).tolist()
        for layer in find_layers(index)
    }


@pytest.mark.parametrize("made", MODELS, ids=lambda f: f.__name__)
def test_layers_have_the_same_names_on_both_paths(made: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    module = made().eval()
    assert weights(export_module(module, [torch.randn(2, 3, 6)])) == weights(
        build_graph(module, [(1, 3, 6)])
    )


def test_a_product_is_named_after_its_module() -> None:
    assert list(weights(build_graph(products().eval(), [(1, 3, 6)]))) == ["p", "matmul"]


@pytest.mark.parametrize("n_layers", [1, 2])
def test_a_recurrent_layer_that_is_called_like_an_operation_keeps_its_name(n_layers: int) -> None:
    rnn = nn.GRU(12, 6, n_layers, batch_first=True)
    module = Called(lambda m, x: m.cat(torch.cat([x, x], 2))[0], cat=rnn).eval()
    exported = export_module(module, [torch.randn(2, 3, 6)])
    names = [
        [node.name for node in model.graph.node if node.op_type == "GRU"]
        for model in (exported, build_graph(module, [(1, 3, 6)]))
    ]
    assert names[0] == names[1] == (["cat"] if n_layers == 1 else ["cat.l0", "cat.l1"])

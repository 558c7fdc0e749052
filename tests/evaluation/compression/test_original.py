"""What is said of a model's layers is what their file has, however their weights are named."""

from collections.abc import Collection
from dataclasses import astuple, dataclass

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.pruning import apply_plan
from niwaki.core.errors import ExportError
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.original import Original
from niwaki.evaluation.deployment import (
    INPUT_NAME,
    Deployment,
    DeploymentSettings,
    FloatGraph,
    plan_of,
)
from niwaki.export.int8.layer_weights import layer_weights, n_applied
from niwaki.spaces.precision import FP32, INT8
from tests.hasty import HASTY

LAST = "linear:2"
LAYERS = ("linear", "twice", "twice:2", "matmul", LAST)


class Own(nn.Module):
    """Products with bare parameters, one of them also added; a layer that is called twice.

    One layer is never called; its weight is that of another.
    """

    def __init__(self) -> None:
        super().__init__()
        self.never = nn.Linear(40, 20)
        self.both = nn.Parameter(torch.randn(40, 40))
        self.wide = nn.Parameter(torch.randn(20, 40))
        self.twice = nn.Linear(20, 20, bias=False)
        self.back = nn.Parameter(torch.randn(20, 40))
        self.never.weight.data.copy_(self.wide)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = F.relu(F.linear(x + self.both, self.wide))
        inner = self.twice(F.relu(self.twice(inner)))
        return F.linear(inner @ self.back, self.both)


@pytest.fixture(scope="module")
def original() -> Original:
    torch.manual_seed(0)
    module = Own().eval()
    data = infer_from({"train": [torch.randn(64, 40, 40)]}, module, seed=0)
    return Original(module, data, Deployment(data, HASTY, DeploymentSettings()))


@dataclass(frozen=True)
class Network:
    """One of its networks, deployed."""

    counts: NDArray[np.int64]
    module: nn.Module
    graph: FloatGraph


@pytest.fixture(scope="module", params=["whole", "half"])
def network(original: Original, request: pytest.FixtureRequest) -> Network:
    groups = original.groups
    counts = groups.n_units if request.param == "whole" else groups.n_units // 2
    kept = {name: range(n) for name, n in zip(groups.names, counts.tolist(), strict=True)}
    module = apply_plan(original.module, groups.plan(kept))
    return Network(counts, module, original.deployment.float_graph(module))


def test_layers_are_those_of_the_graph(original: Original, network: Network) -> None:
    graph = network.graph.model
    weights = layer_weights(graph, network.module)
    applied = n_applied(graph, {INPUT_NAME: np.zeros((1, 40, 40), np.float32)})
    written = {p: (w.width, applied[p] * w.n_values, w.n_values) for p, w in weights.items()}
    told = original.layer_counts(network.counts)
    assert tuple(told) == LAYERS
    assert {path: astuple(layer) for path, layer in told.items()} == written
    n_macs = original.groups.costs.macs(network.counts)
    assert sum(layer.macs for layer in told.values()) == n_macs


@pytest.mark.parametrize("in_int8", [(), (LAST,), ("twice",), LAYERS[:-1], LAYERS])
def test_weight_bytes_are_those_of_the_file(
    original: Original, network: Network, in_int8: Collection[str]
) -> None:
    asked = {path: INT8 if path in in_int8 else FP32 for path in LAYERS}
    deployment = original.deployment
    model = deployment.quantized(network.graph, plan_of(asked, deployment.target))
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    in_file = sum(each.nbytes for each in weights if each.ndim > 1)
    assert original.weight_bytes(network.counts, in_int8) == in_file


def test_params_are_those_of_the_file(original: Original, network: Network) -> None:
    weights = layer_weights(network.graph.model, network.module, but=["never.weight"])
    in_file = {weight.constant: weight.n_values for weight in weights.values()}
    assert original.params(network.counts) == sum(in_file.values())


def test_layers_that_no_answer_depends_on_cost_nothing() -> None:
    class Dropped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head, self.dropped = nn.Linear(6, 8), nn.Linear(8, 3), nn.Linear(8, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            features = F.relu(self.body(x))
            self.dropped(features)
            answer: torch.Tensor = self.head(features)
            return answer

    module = Dropped().eval()
    data = infer_from({"train": [torch.randn(64, 6)]}, module, seed=0)
    found = Original(module, data, Deployment(data, HASTY, DeploymentSettings()))
    assert found.groups.names == ("body",)
    assert float(found.groups.costs.macs([8])) == 8 * (6 + 3)
    assert found.params(np.array([8])) == 8 * (6 + 3) + 8 + 3


class Mixer(nn.Module):
    """Mixes positions, each channel by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.mix, self.leave = nn.Linear(3, 8), nn.Linear(5, 5), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = self.mix(F.relu(self.mix(self.enter(x).transpose(1, 2))))
        answer: torch.Tensor = self.leave(mixed.transpose(1, 2))
        return answer


def test_a_layer_along_positions_is_applied_to_the_channels_that_stay() -> None:
    module = Mixer().eval()
    data = infer_from({"train": [(torch.randn(64, 5, 3), torch.randn(64, 5, 2))]}, module, seed=0)
    found = Original(module, data, Deployment(data, HASTY, DeploymentSettings()))
    counts = found.layer_counts(np.array([6]))
    macs = {"enter": 5 * 3 * 6, "mix": 6 * 25, "mix:2": 6 * 25, "leave": 5 * 6 * 2}
    assert {path: layer.macs for path, layer in counts.items()} == macs
    assert sum(macs.values()) == found.groups.costs.macs([6])


class Cast(nn.Module):
    """Computes a part of it in another precision."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.enter, self.leave = nn.Conv2d(1, 8, 3), nn.Linear(8, 3)
        self.inner = nn.Conv2d(8, 8, 3).to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.inner(self.enter(x).to(self.inner.weight.dtype))
        answer: torch.Tensor = self.leave(inner.float().mean((2, 3)))
        return answer


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float64"])
def test_weights_that_the_runtime_has_no_kernel_for_are_named(kind: str) -> None:
    module = Cast(getattr(torch, kind)).eval()
    data = infer_from({"train": [(torch.randn(64, 1, 8, 8), torch.arange(64) % 3)]}, module, seed=0)
    deployment = Deployment(data, HASTY, DeploymentSettings())
    with pytest.raises(ExportError, match=r"weight of 'inner' is \w+, in which .* `model.float"):
        _ = Original(module, data, deployment).layers


class Precise(nn.Module):
    """Multiplies in double precision, which the runtime does, too."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(6, 8), nn.Linear(8, 3).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.leave(torch.relu(self.enter(x)).double()).float()
        return answer


def test_layers_of_another_precision_stay_in_it() -> None:
    module = Precise().eval()
    data = infer_from({"train": [(torch.randn(64, 6), torch.arange(64) % 3)]}, module, seed=0)
    found = Original(module, data, Deployment(data, HASTY, DeploymentSettings()))
    assert found.layers == ("enter",)
    assert found.in_float["leave"].startswith("its weights are double")

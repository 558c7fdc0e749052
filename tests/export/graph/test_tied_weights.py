"""Weights that a graph has twice are in its file once."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from niwaki.compress.quantization.plan import Precision
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.graph.tied_weights import tied
from niwaki.export.int8.calibration import activation_ranges
from niwaki.export.int8.layers import quantizable_layers
from niwaki.export.int8.quantize import quantize_model
from niwaki.export.int8.realised import Realised, realised_precisions
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from tests.export.networks import run

N_WEIGHTS = 8 * 3 * 9 + 16 * 8 * 9


class Twins(nn.Module):
    """Two images through the same layers."""

    def __init__(self) -> None:
        super().__init__()
        self.twin = nn.Sequential(
            *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
            *(nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU()),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = self.twin(x[:, 0]), self.twin(x[:, 1])
        apart: torch.Tensor = (left - right).mean((2, 3))
        return apart


@pytest.fixture(scope="module")
def exported() -> tuple[onnx.ModelProto, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    module, images = Twins().eval(), torch.randn(16, 2, 3, 10, 10)
    with torch.no_grad():
        expected = module(images)
    return export_module(module, [images], input_names=["image"]), images, expected


def weight_bytes(model: onnx.ModelProto) -> int:
    values = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    return sum(each.nbytes for each in values if each.ndim == 4)


def test_twins_share_their_weights(
    exported: tuple[onnx.ModelProto, torch.Tensor, torch.Tensor],
) -> None:
    model, images, expected = exported
    smaller = tied(model)
    onnx.checker.check_model(smaller, full_check=True)
    assert weight_bytes(smaller) == 4 * N_WEIGHTS
    (got,) = run(smaller, images.numpy()).values()
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-5)


def test_twins_share_their_integers(
    exported: tuple[onnx.ModelProto, torch.Tensor, torch.Tensor],
) -> None:
    model, images, expected = exported
    target = OnnxRuntimeCpu()
    layers = quantizable_layers(model)
    plan = target.capabilities.plan(dict.fromkeys(layers, Precision.INT8))
    ranges = activation_ranges(model, [{"image": images.numpy()}], observer="minmax")
    quantized = quantize_model(model, plan, ranges)
    assert weight_bytes(quantized) == N_WEIGHTS
    found = realised_precisions(target.optimised(quantized), quantized)
    assert found == dict.fromkeys(layers, Realised.INT8)
    assert len(found) == 4
    (got,) = run(quantized, images.numpy()).values()
    assert np.abs(got - expected.numpy()).max() < 0.1 * float(expected.abs().max())

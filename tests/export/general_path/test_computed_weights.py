"""Weights that a model computes from its parameters are constants of its graph, and can be int8."""

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn

from niwaki.compress.quantization.plan import Precision, QuantizationPlan
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.graph.tied_weights import tied
from niwaki.export.int8.calibration import activation_ranges
from niwaki.export.int8.layers import quantizable_layers
from niwaki.export.int8.quantize import quantize_model
from niwaki.export.int8.realised import Realised, realised_precisions
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from tests.export.networks import run, settled

N_VALUES = 128 * 96  # more than torch's exporter folds by itself


class Computed(nn.Module):
    """A standardised and masked kernel, then the weights of a layer, forwards and backwards."""

    mask: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.encoder = nn.Conv2d(8, 96, 4), nn.Linear(96, 128)
        self.register_buffer("mask", torch.ones(96, 8, 4, 4).tril())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        weight = self.conv.weight * self.mask
        weight = (weight - weight.mean((1, 2, 3), keepdim=True)) / weight.std()
        features = F.conv2d(image, weight, self.conv.bias).amax((2, 3))
        code = torch.relu(self.encoder(features))
        return F.linear(code, self.encoder.weight.t())


Exported = tuple[nn.Module, onnx.ModelProto, torch.Tensor]


@pytest.fixture(scope="module")
def exported() -> Exported:
    module = settled(Computed())
    inputs = torch.randn(8, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    return module, export_module(module, [inputs], input_names=["image"]), inputs


def test_layers_with_computed_weights_run_in_int8(exported: Exported) -> None:
    module, model, inputs = exported
    layers = quantizable_layers(model)
    assert len(layers) == 3
    target = OnnxRuntimeCpu()
    plan = target.capabilities.plan(dict.fromkeys(layers, Precision.INT8))
    quantized = quantize_model(
        model, plan, activation_ranges(model, [{"image": inputs.numpy()}], observer="minmax")
    )
    realised = realised_precisions(target.optimised(quantized), quantized)
    assert set(realised.values()) == {Realised.INT8}
    with torch.no_grad():
        expected = module(inputs).numpy()
    (got,) = run(quantized, inputs.numpy()).values()
    assert np.abs(got - expected).max() < 0.1 * np.abs(expected).max()


def test_a_transposed_copy_is_kept_once(exported: Exported) -> None:
    module, model, inputs = exported
    smaller = tied(model)
    assert model.ByteSize() - smaller.ByteSize() > 4 * N_VALUES - 200
    with torch.no_grad():
        expected = module(inputs).numpy()
    for each in (model, smaller):
        onnx.checker.check_model(each, full_check=True)
        (got,) = run(each, inputs.numpy()).values()
        np.testing.assert_allclose(got, expected, atol=1e-4, rtol=1e-4)


def test_what_stays_in_float_beside_int8_is_kept_once(exported: Exported) -> None:
    _, model, inputs = exported
    layers = quantizable_layers(model)
    plan = QuantizationPlan.uniform(layers[:1], Precision.INT8)
    ranges = activation_ranges(model, [{"image": inputs.numpy()}], plan=plan)
    quantized = quantize_model(model, plan, ranges)
    assert [len(constant.dims) for constant in quantized.graph.initializer].count(2) == 1


class Parted(nn.Module):
    """One matrix, of which one part is the weight of a layer, and another is added."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Parameter(torch.randn(2 * 96, 96))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, offsets = self.both.chunk(2)
        return F.linear(x, weight) + offsets[0]


def test_other_parts_of_what_is_computed_stay() -> None:
    module, inputs = Parted().eval(), torch.randn(4, 96)
    model = export_module(module, [inputs])
    onnx.checker.check_model(model, full_check=True)
    assert len(quantizable_layers(model)) == 1
    (got,) = run(model, inputs.numpy()).values()
    np.testing.assert_allclose(got, module(inputs).detach(), atol=1e-4, rtol=1e-4)

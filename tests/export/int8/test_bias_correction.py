"""Biases that make up for rounded weights."""

import numpy as np
import pytest
import torch
from torch import nn

from niwaki.compress.quantization.arithmetic import quantize_weights
from niwaki.compress.quantization.plan import Precision, QuantizationPlan
from niwaki.core.errors import DataError, ExportError, SpaceError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.graph.index import GraphIndex
from niwaki.export.graph.rewritten import with_constants
from niwaki.export.int8.bias_correction import bias_corrected, input_means
from niwaki.export.int8.calibration import activation_ranges
from niwaki.export.int8.layers import quantizable_layers
from niwaki.export.int8.quantize import quantize_model
from tests.export.networks import INPUT_SHAPE, MultiTask, images, run, settled

SHAPE = (1, 6, 8, 8)


class Grouped(nn.Module):
    """A grouped convolution without bias, unpadded, so that a mean says all."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 4, 3, groups=2, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(image)
        return y


def test_the_shift_of_a_rounded_layer_is_taken_back() -> None:
    module = settled(Grouped())
    model = build_graph(module, [SHAPE], input_names=["image"])
    flat = np.tile(images(64, SHAPE).mean(axis=(2, 3), keepdims=True) + 1.0, (1, 1, 8, 8))
    plan = QuantizationPlan.uniform(["conv"], Precision.INT8)
    corrected = bias_corrected(model, plan, input_means(model, [{"image": flat}]))
    weight = GraphIndex(model.graph).values("conv.weight")
    numbers = quantize_weights(weight, None, axis=0, input_scale=np.float32(1.0), limit=127)
    rounded = numbers.weight.astype(np.float64) * numbers.weight_scale.reshape(-1, 1, 1, 1)
    [wanted] = run(model, flat).values()
    [shifted] = run(with_constants(model, {"conv.weight": rounded}), flat).values()
    [better] = run(with_constants(corrected, {"conv.weight": rounded}), flat).values()
    error = np.abs((shifted - wanted).mean(axis=(0, 2, 3)))
    assert error.max() > 1e-3
    assert np.abs((better - wanted).mean(axis=(0, 2, 3))).max() < 1e-5


def test_means_are_those_of_the_input_channels() -> None:
    model = build_graph(settled(Grouped()), [SHAPE], input_names=["image"])
    batch = images(5, SHAPE)
    means = input_means(model, [{"image": batch[:2]}, {"image": batch[2:]}])
    np.testing.assert_allclose(means["conv"], batch.mean(axis=(0, 2, 3)), rtol=1e-5)


def test_a_float_layer_keeps_its_bias() -> None:
    model = build_graph(settled(MultiTask()), [INPUT_SHAPE], input_names=["image"])
    batch = images(4)
    means = input_means(model, [{"image": batch}])
    same = bias_corrected(model, QuantizationPlan({}), means)
    assert same == model


def test_a_whole_network_runs_in_int8_afterwards() -> None:
    model = build_graph(settled(MultiTask()), [INPUT_SHAPE], input_names=["image"])
    batch = images(8)
    plan = QuantizationPlan.uniform(quantizable_layers(model), Precision.INT8)
    ranges = activation_ranges(model, [{"image": batch}])
    corrected = bias_corrected(model, plan, input_means(model, [{"image": batch}]))
    outputs = run(quantize_model(corrected, plan, ranges), batch)
    for name, values in run(model, batch).items():
        assert np.sqrt(((outputs[name] - values) ** 2).mean()) < 0.3 * values.std()


def test_what_is_missing_is_named() -> None:
    model = build_graph(settled(Grouped()), [SHAPE], input_names=["image"])
    plan = QuantizationPlan.uniform(["conv"], Precision.INT8)
    with pytest.raises(ExportError, match="'conv' has no input means"):
        bias_corrected(model, plan, {})
    with pytest.raises(SpaceError, match="names layer 'cov'"):
        bias_corrected(model, QuantizationPlan({"cov": Precision.INT8}), {})
    with pytest.raises(DataError, match="no batch"):
        input_means(model, [])

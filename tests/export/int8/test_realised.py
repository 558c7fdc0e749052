"""Layers are found again in what the runtime makes of a graph."""

from pathlib import Path

import onnx
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from onnx import helper, numpy_helper
from torch import nn

from niwaki.compress.quantization.plan import Precision, QuantizationPlan
from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.int8.calibration import activation_ranges
from niwaki.export.int8.layers import quantizable_layers
from niwaki.export.int8.quantize import quantize_model
from niwaki.export.int8.realised import Realised, realised_precisions
from tests.export.networks import (
    INPUT_SHAPE,
    MultiTask,
    Transformer,
    conv_bn_relu,
    images,
    open_session,
    settled,
)


def optimised(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "optimised.onnx"
    open_session(model, written_to=str(path))
    return path


# Widths that the runtime lays out in blocks of 16 channels, and widths that it does not.
WIDTHS = [(16, 32, 48), (8, 16, 24), (5, 7, 11)]


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_every_layer_of_a_float_network(widths: tuple[int, ...], mode: str, tmp_path: Path) -> None:
    model = build_graph(settled(MultiTask(widths, mode)), [INPUT_SHAPE])
    found = realised_precisions(optimised(model, tmp_path), model)
    assert found == dict.fromkeys(quantizable_layers(model), Realised.FP32)


def test_every_layer_of_a_float_transformer(tmp_path: Path) -> None:
    model = build_graph(settled(Transformer()), [INPUT_SHAPE])
    found = realised_precisions(optimised(model, tmp_path), model)
    assert found == dict.fromkeys(quantizable_layers(model), Realised.FP32)


def test_a_graph_that_was_not_optimised_has_its_own_names() -> None:
    model = build_graph(settled(MultiTask()), [INPUT_SHAPE])
    assert set(realised_precisions(model, model)) == set(quantizable_layers(model))


def test_a_layer_that_the_runtime_folded_away_is_absent(tmp_path: Path) -> None:
    image = torch.randn(1, 3, 4, 4).numpy()
    model = build_graph(settled(nn.Sequential(nn.Conv2d(3, 4, 1))), [(1, 3, 4, 4)])
    live = model.graph.node[0]
    constant = helper.make_node(
        "Conv", ["image", *live.input[1:]], ["constant"], name="constant", kernel_shape=[1, 1]
    )
    model.graph.initializer.append(numpy_helper.from_array(image, "image"))
    live.output[0] = "live"
    model.graph.node.append(constant)
    model.graph.node.append(helper.make_node("Add", ["live", "constant"], ["output"], name="add"))
    found = realised_precisions(optimised(model, tmp_path), model)
    assert found == {"0": Realised.FP32, "constant": Realised.ABSENT}


class Named(nn.Module):
    """Gives an output that has the name of an inner layer."""

    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, 16, 3, bias=bias)
        self.depth = nn.Conv2d(16, 16, 3, bias=bias)
        self.leave = nn.Conv2d(16, 16, 1, bias=bias)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"depth": self.leave(F.avg_pool2d(self.depth(F.relu(self.enter(x))), 2))}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layers", [(), ("depth",), ("leave",), ("enter", "depth", "leave")])
def test_an_output_of_the_name_of_a_layer(
    layers: tuple[str, ...], bias: bool, tmp_path: Path
) -> None:
    model = build_graph(Named(bias=bias).eval(), [(1, 3, 16, 16)], input_names=["image"])
    if layers:
        ranges = activation_ranges(model, [{"image": images(1, (1, 3, 16, 16))}])
        model = quantize_model(model, QuantizationPlan.uniform(layers, Precision.INT8), ranges)
    found = realised_precisions(optimised(model, tmp_path), model)
    assert found == {
        path: Realised.INT8 if path in layers else Realised.FP32
        for path in ("enter", "depth", "leave")
    }


def test_a_layer_that_cannot_be_found_is_an_error(tmp_path: Path) -> None:
    network = nn.Sequential(conv_bn_relu(3, 4), conv_bn_relu(4, 4))
    model = build_graph(settled(network), [INPUT_SHAPE])
    renamed = onnx.load(str(optimised(model, tmp_path)))
    constants = [numpy_helper.to_array(tensor) for tensor in renamed.graph.initializer]
    del renamed.graph.initializer[:]
    for i, values in enumerate(constants):
        renamed.graph.initializer.append(numpy_helper.from_array(values, f"constant_{i}"))
    names = [f"constant_{i}" for i in range(len(constants))]
    del renamed.graph.node[:]
    renamed.graph.node.append(helper.make_node("Conv", ["image", *names[:2]], ["y"], name="z"))
    with pytest.raises(ExportError, match=r"layer '0\.0' cannot be found .*kernel left over: Conv"):
        realised_precisions(renamed, model)

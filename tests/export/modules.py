"""A torch network and its ONNX graph, written side by side."""

from typing import cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from niwaki.core.candidate import Candidate
from niwaki.core.objectives import Direction, Objective
from niwaki.core.randomness import stream
from niwaki.export.card import InputCard, LayerCard, ModelCard, TaskCard
from niwaki.export.verification_data import Arrays
from niwaki.tasks.preprocessing import Preprocessing
from tests.targets.networks import Info, model


class Convolution(nn.Module):
    """A convolution with ReLU; answers by task name."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        rng = stream(0, "convolution")
        self.conv = nn.Conv2d(3, classes, 3, padding=1)
        with torch.no_grad():
            for parameter in self.conv.parameters():
                values = rng.standard_normal(tuple(parameter.shape)) * 0.2
                parameter.copy_(torch.from_numpy(values.astype(np.float32)))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"y": torch.relu(self.conv(x))}

    def onnx(self, *, batch: int | str = "batch") -> onnx.ModelProto:
        """Return the same network as an ONNX graph."""
        weights = [
            numpy_helper.from_array(parameter.detach().numpy(), name)
            for name, parameter in self.conv.named_parameters()
        ]
        nodes = [
            helper.make_node("Conv", ["x", "weight", "bias"], ["c"], pads=[1] * 4, name="conv"),
            helper.make_node("Relu", ["c"], ["y"]),
        ]
        inputs: list[Info] = [("x", TensorProto.FLOAT, [batch, 3, 16, 16])]
        outputs: list[Info] = [("y", TensorProto.FLOAT, [batch, self.conv.out_channels, 16, 16])]
        return model(nodes, inputs, outputs, weights)


def images(n_items: int, *, size: int = 16) -> Arrays:
    """(n_items, 3, size, size) normal noise."""
    noise = stream(1, "images").standard_normal((n_items, 3, size, size))
    return {"x": noise.astype(np.float32)}


def answers(module: nn.Module, inputs: Arrays) -> Arrays:
    """What the torch network says."""
    with torch.no_grad():
        outputs = cast(dict[str, torch.Tensor], module(torch.from_numpy(inputs["x"])))
    return {name: values.numpy() for name, values in outputs.items()}


CARD = ModelCard(
    name="test-model",
    inputs=(
        InputCard(
            "x", (3, 16, 16), Preprocessing("uint8", "NHWC", 1 / 255, (0.5,) * 3, (0.25,) * 3)
        ),
    ),
    tasks=(TaskCard("animal", "segmentation", ("y",), ("cat", "dog", "owl", "koi")),),
    candidate=Candidate.of({"architecture/depth": 2, "quantization/conv": "int8"}),
    objectives=(Objective("animal_accuracy", Direction.MAXIMIZE),),
    metrics={"test": {"animal_accuracy": 0.75}},
    layers={"conv": LayerCard("int8", "int8")},
    target_id="onnxruntime-cpu-t1-0123abcd",
    config_hash="00ff",
    data_fingerprint="ff00",
)

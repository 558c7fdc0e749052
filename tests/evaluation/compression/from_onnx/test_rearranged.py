"""Files whose channels lie last are read without the transposes around their convolutions."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from niwaki.evaluation.compression.from_onnx.first_difference import first_difference
from niwaki.evaluation.compression.from_onnx.proof import require_same_answers
from niwaki.evaluation.compression.from_onnx.reading import read_module
from niwaki.evaluation.compression.from_onnx.rearranged import rearranged
from niwaki.export.fast_path.fx_graph import build_graph
from tests.evaluation.compression.from_onnx.files import Weights, graph_of, inputs_for, saved

FRONT, LAST = "perm = [0, 3, 1, 2]", "perm = [0, 2, 3, 1]"
WEIGHTS: Weights = {
    **{"first": (8, 3, 3, 3), "norm": (8,), "shift": (8,), "mean": (8,), "dense": (8, 5)},
    **{"second": (8, 1, 3, 3), "third": (8, 8, 3, 3), "bias": (5,)},
    **{"var": np.linspace(0.5, 2.0, 8, dtype=np.float32)},
    **{"three": np.float32(3.0), "sixth": np.float32(1 / 6), "low": np.float32(0.0)},
    **{"high": np.float32(6.0), "half": np.float32(0.5), "root": np.float32(0.7071)},
    **{"one": np.float32(1.0), "axes": np.array([1, 2])},
}
BODY = f"""
    x1 = Transpose <{FRONT}> (x)
    a1 = Conv <pads = [1, 1, 1, 1]> (x1, first)
    a2 = BatchNormalization (a1, norm, shift, mean, var)
    a3 = Transpose <{LAST}> (a2)
    a4 = Add (a3, three)
    a5 = Clip (a4, low, high)
    a6 = Mul (a5, sixth)
    a7 = Mul (a3, a6)
    b1 = Transpose <{FRONT}> (a7)
    b2 = Conv <group = 8, pads = [1, 1, 1, 1]> (b1, second)
    b3 = Transpose <{LAST}> (b2)
    b4 = Add (b3, shift)
    b5 = Add (b4, a7)
    c1 = Mul (b5, root)
    c2 = Erf (c1)
    c3 = Add (c2, one)
    c4 = Mul (b5, c3)
    c5 = Mul (c4, half)
    c6 = Transpose <{FRONT}> (c5)
    c7 = Conv (c6, third)
    c8 = Transpose <{LAST}> (c7)
    d1 = ReduceMean <keepdims = 0> (c8, axes)
    d2 = MatMul (d1, dense)
    y = Add (d2, bias)
"""


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_transposes_go_and_all_else_stays() -> None:
    model = graph_of(BODY, WEIGHTS, item="6, 6, 3")
    before, after = kinds(model), kinds(rearranged(model))
    assert before.pop("Transpose") == 6
    assert after.pop("Transpose") == 2  # of the input, and of what a mean turns for its axes
    assert after - before == {"Squeeze": 1}
    assert before <= after


def test_what_is_read_has_its_layers_and_answers_the_same(tmp_path: Path) -> None:
    file = saved(graph_of(BODY, WEIGHTS, item="6, 6, 3"), tmp_path)
    module = read_module(file)
    require_same_answers(module, file, inputs_for(file))
    layers = Counter(type(layer).__name__ for layer in module.modules())
    assert layers["Conv2d"] == 3 and layers["BatchNorm2d"] == 1 and layers["Linear"] == 1
    graph = build_graph(module, [(1, 6, 6, 3)])
    assert kinds(graph)["Transpose"] == 1
    assert kinds(graph)["Add"] <= 3  # neither the norm nor the summand behind the second


def test_where_a_file_is_read_wrongly_is_told(tmp_path: Path) -> None:
    file = saved(graph_of(BODY, WEIGHTS, item="6, 6, 3"), tmp_path)
    module = read_module(file)
    assert first_difference(module, file, inputs_for(file)) == ""
    (second,) = (m for m in module.modules() if isinstance(m, nn.Conv2d) and m.groups == 8)
    with torch.no_grad():
        second.weight.mul_(2.0)
    assert first_difference(module, file, inputs_for(file)).endswith("(Conv)")


class Block(nn.Module):
    """As in ConvNeXt: channels are last for a norm and a product, which cannot be elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8)
        self.norm, self.linear = nn.LayerNorm(8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.linear(self.norm(self.first(x).permute(0, 2, 3, 1)))
        answer: torch.Tensor = self.second(seen.permute(0, 3, 1, 2))
        return answer


@pytest.mark.parametrize("module", [Block(), nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())])
def test_files_whose_transposes_are_needed_stay(module: nn.Module) -> None:
    model = build_graph(module.eval(), [(1, 3, 8, 8)])
    assert rearranged(model) is model

"""What torch's exporter would compute at every run is written down."""

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from niwaki.export.general_path.fixed_sizes import fix_sizes
from niwaki.export.general_path.torch_export import export_module
from tests.export.networks import flat, images, run

WIDTH = 6


class Learnt(nn.Module):
    """Starts from states that were learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.GRU(WIDTH, 4, batch_first=True)
        self.start = nn.Parameter(torch.ones(1, 1, 4))

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.recurrent(x, self.start.expand(1, x.shape[0], 4).contiguous())[0]
        return outputs


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(WIDTH, 4, batch_first=True, bidirectional=True)
        self.label = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        labels: Tensor = self.label(self.recurrent(x)[0])
        return labels


class Heads(nn.Module):
    """Views: one that keeps the batch, and one that makes more of it."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        n, steps, _ = x.shape
        heads = x.view(n, steps, 2, WIDTH // 2).transpose(1, 2)
        return heads.reshape(n, 2, -1), x.reshape(n * steps, WIDTH) * 2.0


def exported(module: nn.Module) -> onnx.ModelProto:
    """Export a module, and check that it computes the same at other sizes of the batch."""
    module.eval()
    model = export_module(module, [torch.from_numpy(images(2, (1, 5, WIDTH)))])
    for n in (1, 3):
        x = images(n, (1, 5, WIDTH))
        with torch.no_grad():
            expected = flat(module(torch.from_numpy(x)))
        for ours, theirs in zip(run(model, x).values(), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
    return model


@pytest.mark.parametrize("module", [Tagger(), Heads()], ids=["recurrent", "views"])
def test_sizes_are_constants(module: nn.Module) -> None:
    model = exported(module)
    constants = {tensor.name for tensor in model.graph.initializer}
    views = [node for node in model.graph.node if node.op_type == "Reshape"]
    assert views and all(node.input[1] in constants for node in views)
    assert not {"Shape", "Expand", "Gather"} & {node.op_type for node in model.graph.node}


def test_states_of_zeros_are_left_out_and_others_are_not() -> None:
    [zeros] = [node for node in exported(Tagger()).graph.node if node.op_type == "LSTM"]
    assert not any(zeros.input[5:])
    [learnt] = [node for node in exported(Learnt()).graph.node if node.op_type == "GRU"]
    assert learnt.input[5]


def test_sizes_that_could_be_either_stay() -> None:
    graph = onnx.parser.parse_graph(
        "views (float[n, m, 4] x) => (float[a, b] y) "
        "{ sizes = Shape(x) parts = Slice(sizes, zero, two, zero) y = Reshape(x, parts) }"
    )
    values = {"zero": [0], "two": [2]}
    for name, value in values.items():
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(value), name))
    fix_sizes(graph)
    assert [node.op_type for node in graph.node] == ["Shape", "Slice", "Reshape"]

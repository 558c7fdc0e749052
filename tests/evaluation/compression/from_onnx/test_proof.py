"""A module that is not what its file is, is found out on real inputs."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from niwaki.core.errors import ConfigError, DataError
from niwaki.evaluation.compression.from_onnx.file import OnnxFile
from niwaki.evaluation.compression.from_onnx.proof import require_same_answers
from niwaki.evaluation.compression.from_onnx.reading import read_module
from tests.evaluation.compression.from_onnx.files import file_of, graph_of, inputs_for, saved


@pytest.fixture
def file(tmp_path: Path) -> OnnxFile:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    return OnnxFile.load(str(file_of(model.eval(), (1, 8, 8), tmp_path)))


def test_one_weight_that_is_another_is_told_by_how_much(file: OnnxFile) -> None:
    module = read_module(file)
    with torch.no_grad():
        next(module.parameters())[0, 0, 0, 0] += 0.05
    with pytest.raises(ConfigError, match=r"its output 'output' is off by up to 0\.\d+, where the"):
        require_same_answers(module, file, inputs_for(file))


def test_the_first_node_that_differs_is_named_and_not_the_batch(tmp_path: Path) -> None:
    body = "a = Relu(x) b = MatMul(a, w) c = Softmax(b) y = Neg(c)"
    model = graph_of(body, {"w": (6, 5)})
    model.graph.node[1].name = "encoder/dense"
    file = saved(model, tmp_path)
    module = read_module(file)
    with torch.no_grad():
        next(module.parameters())[1, 2] += 0.5
    words = r"'y' is off .*differ is node 'encoder/dense' \(MatMul\)"
    with pytest.raises(ConfigError, match=words) as told:
        require_same_answers(module, file, inputs_for(file))
    assert "batch" not in str(told.value)


def test_the_node_that_fails_on_the_data_is_named(tmp_path: Path) -> None:
    body = "a = Floor(x) c = Cast<to=7>(a) b = Sub(c, most) y = Gather(t, b)"
    model = graph_of(body, {"t": (20, 3), "most": np.int64(5)}, item="7")
    model.graph.node[3].name = "words"
    file = saved(model, tmp_path)
    words = r"does not run .*: index out of range.* node 'words' \(Gather\)"
    with pytest.raises(ConfigError, match=words):
        require_same_answers(read_module(file), file, inputs_for(file))


def test_a_batch_that_is_at_fault_is_told_as_such(tmp_path: Path) -> None:
    class Mixing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.relu() + x - x.mean(0)

    file = saved(graph_of("y = Relu(x)"), tmp_path)
    with pytest.raises(ConfigError, match=r"'y' is off .*export it with an open batch"):
        require_same_answers(Mixing(), file, inputs_for(file))


def test_wrong_scores_are_not_hidden_beside_pixels(tmp_path: Path) -> None:
    body = "a = MatMul(x, w) s = Sigmoid(a) b = Mul(x, side) y = Concat<axis=-1>(b, s)"
    file = saved(graph_of(body, {"w": (6, 5), "side": np.float32(640)}), tmp_path)
    module = read_module(file)
    require_same_answers(module, file, inputs_for(file))
    with torch.no_grad():
        next(module.parameters())[2] += 0.1
    with pytest.raises(ConfigError, match=r"its output 'y' is off by up to 0\.\d+, where the"):
        require_same_answers(module, file, inputs_for(file))


def test_what_does_not_run_is_told_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(graph_of("y = AveragePool<kernel_shape=[3,3], pads=[2,2,2,2]>(x)"), tmp_path)
    with pytest.raises(ConfigError, match=r"does not run on 5 .*: pad should .* give the torch"):
        require_same_answers(read_module(file), file, inputs_for(file))
    assert not capsys.readouterr().err


def test_data_of_another_shape_are_told(file: OnnxFile) -> None:
    with pytest.raises(DataError, match=r"takes items of shape \(1, 8, 8\), but .*\(1, 9, 8\)"):
        require_same_answers(read_module(file), file, np.zeros((2, 1, 9, 8), np.float32))


@pytest.mark.parametrize(
    ("kind", "value", "range_"),
    [("uint8", 0.5, "0 to 255"), ("uint8", 256, "0 to 255"), ("bool", 2, "0 to 1")],
)
def test_what_is_no_integer_of_the_files_type_is_told(
    kind: str, value: float, range_: str, tmp_path: Path
) -> None:
    model = graph_of("y = Cast<to=1>(x)")
    np_type = np.dtype(kind)
    element = onnx.helper.np_dtype_to_tensor_dtype(np_type)
    model.graph.input[0].type.tensor_type.elem_type = element
    file = saved(model, tmp_path)
    module, inputs = read_module(file), np.ones((3, 4, 6, 6), np.float32)
    require_same_answers(module, file, inputs)
    inputs[1, 2] = value
    with pytest.raises(DataError, match=rf"takes {kind} \({range_}\), but .* is {value:g}: give"):
        require_same_answers(module, file, inputs)


def test_what_half_precision_cannot_hold_is_told(tmp_path: Path) -> None:
    model = graph_of("y = Mul(x, w)", {"w": np.full(6, 6e4, np.float16)})
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.elem_type = 10
    file = saved(model, tmp_path)
    with pytest.raises(ConfigError, match=r"otherwise than in half precision.*Export the float32"):
        require_same_answers(read_module(file), file, inputs_for(file))

"""What cannot be taken is refused by what it is, and what to do."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from niwaki.core.errors import ConfigError, DataError
from niwaki.evaluation.compression.from_onnx.file import OnnxFile
from niwaki.evaluation.compression.from_onnx.proof import require_same_answers
from niwaki.evaluation.compression.from_onnx.reading import read_module
from tests.evaluation.compression.from_onnx.files import Weights, graph_of, inputs_for, saved


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file '.*none\.onnx' in "):
        OnnxFile.load(str(tmp_path / "none.onnx"))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"import torch\n")
    with pytest.raises(ConfigError, match="cannot be read as ONNX"):
        OnnxFile.load(str(tmp_path / "model.onnx"))


def test_weights_in_another_file_must_lie_beside_it(tmp_path: Path) -> None:
    model = graph_of("y = MatMul(x, w)", {"w": (6, 500)})
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data")
    known = OnnxFile.load(str(tmp_path / "m.onnx")).fingerprint
    data = tmp_path / "m.data"
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    assert known != OnnxFile.load(str(tmp_path / "m.onnx")).fingerprint
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(ConfigError, match=r"cannot be read: .*has been cut short: copy or export"):
        OnnxFile.load(str(tmp_path / "m.onnx"))
    data.unlink()
    with pytest.raises(ConfigError, match=r"cannot be read.*m\.data"):
        OnnxFile.load(str(tmp_path / "m.onnx"))


def test_more_than_two_gibibytes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    model = graph_of("y = MatMul(x, w)", {"w": (6, 500)})
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data")
    model = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    (weight,) = model.graph.initializer
    weight.dims[1] = 2**27
    for entry in weight.external_data:
        entry.value = str(4 * 6 * 2**27) if entry.key == "length" else entry.value
    onnx.save(model, tmp_path / "m.onnx")
    with (tmp_path / "m.data").open("wb") as data:
        data.truncate(4 * 6 * 2**27)
    with pytest.raises(
        ConfigError, match=r"has 3\.00 GiB of weights, and less than 2 are read: give"
    ):
        OnnxFile.load(str(tmp_path / "m.onnx"))


def test_bfloat16_is_refused(tmp_path: Path) -> None:
    model = graph_of("y = Relu(x)")
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.BFLOAT16
    with pytest.raises(ConfigError, match=r"is in bfloat16, .*export the model in float32"):
        saved(model, tmp_path)


def test_what_is_quantized_already_is_refused(tmp_path: Path) -> None:
    body = "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)"
    weights: Weights = {"s": np.float32(0.1), "z": np.int8(0)}
    with pytest.raises(ConfigError, match=r"quantized already \(node '', QuantizeLinear\): give"):
        saved(graph_of(body, weights), tmp_path)


def test_batches_of_several_inputs_are_of_one_size(tmp_path: Path) -> None:
    model = graph_of("y = Add(x, z)")
    model.graph.input.append(onnx.helper.make_tensor_value_info("z", 1, [1, 4, 6, 6]))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    with pytest.raises(ConfigError, match=r"first axes of the inputs .* sizes 1, 2, but it is"):
        saved(model, tmp_path)


def test_initializers_among_the_inputs_are_none(tmp_path: Path) -> None:
    model = graph_of("y = Add(x, w)", {"w": (6, 6)})
    model.graph.input.append(onnx.helper.make_tensor_value_info("w", 1, [6, 6]))
    assert saved(model, tmp_path).inputs.names == ("x",)


def test_sizes_of_less_than_nothing_are_open(tmp_path: Path) -> None:
    model = graph_of("y = Relu(x)", item="3, 6, 8")
    first, _, height, _ = model.graph.input[0].type.tensor_type.shape.dim
    first.dim_value = height.dim_value = -1
    file = saved(model, tmp_path)
    assert file.fixed_batch is None and file.inputs.each[0].shape == (3, 0, 8)
    fitted = file.fitted([(3, 6, 8)])
    require_same_answers(read_module(fitted), fitted, inputs_for(fitted))


def test_open_sizes_are_those_of_the_data(tmp_path: Path) -> None:
    body = "s = Shape(x) n = Gather(s, i) z = Concat<axis=0>(n, m) y = Reshape(x, z)"
    weights: Weights = {"i": np.array([0]), "m": np.array([-1])}
    file = saved(graph_of(body, weights, item="3, height, 8"), tmp_path)
    assert file.is_open
    fitted = file.fitted([(3, 5, 8)])
    assert not fitted.is_open and fitted.inputs.each[0].shape == (3, 5, 8)
    require_same_answers(read_module(fitted), fitted, inputs_for(fitted))
    with pytest.raises(DataError, match=r"items of shape \(3, any, 8\), but .* \(4, 5, 8\)"):
        file.fitted([(4, 5, 8)])


def test_sizes_that_nothing_tells_are_refused_with_the_command_that_fixes_them(
    tmp_path: Path,
) -> None:
    words = r"axis 2 .*\(height\) may have any size.*make_dynamic_shape_fixed --dim_param height "
    with pytest.raises(ConfigError, match=words):
        read_module(saved(graph_of("y = Relu(x)", item="3, height, 8"), tmp_path))


def test_nodes_may_stand_in_any_order(tmp_path: Path) -> None:
    model = graph_of("a = Relu(x) b = Neg(a) y = Exp(b)")
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([nodes[2], nodes[0], nodes[1]])
    file = saved(model, tmp_path)
    assert [node.op_type for node in file.given.graph.node] == ["Relu", "Neg", "Exp"]
    require_same_answers(read_module(file), file, inputs_for(file))


def test_what_the_runtime_optimised_is_refused_as_such(tmp_path: Path) -> None:
    model = graph_of("y = MatMul(x, w)", {"w": (6, 5)})
    model.graph.node[0].op_type, model.graph.node[0].domain = "FusedMatMul", "com.microsoft"
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(
        ConfigError, match=r"com\.microsoft\.FusedMatMul .*give the one that it was"
    ):
        read_module(saved(model, tmp_path))


def test_a_graph_of_functions_alone_has_their_operators(tmp_path: Path) -> None:
    text = (
        '<ir_version: 9, opset_import: ["own": 1]> g (float[N, 4] x) => (float[N, 4] y) '
        '{ y = own.twice(x) } <domain: "own", opset_import: ["": 17]> twice (x) => (y) '
        "{ r = Relu(x) y = Add(r, r) }"
    )
    file = saved(onnx.parser.parse_model(text), tmp_path)
    require_same_answers(read_module(file), file, inputs_for(file))

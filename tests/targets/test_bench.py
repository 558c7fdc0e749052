"""Any ONNX file can be timed, or a sentence says why not."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from niwaki.core.errors import ConfigError, TargetError
from niwaki.targets.bench import bench, sizes_by_name
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.protocol import Budget
from tests.targets.networks import conv_net, int8_conv, model

SMALL = Budget(
    warmup_runs=1,
    warmup_seconds=0.0,
    min_runs=4,
    min_seconds=0.0,
    max_seconds=0.02,
    relative_interval=0.5,
)
TARGET = OnnxRuntimeCpu(quick=SMALL, thorough=SMALL)


def test_inputs_are_made_up(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(conv_net(8, 16, 2))
    assert bench(path, target=TARGET).p50_ms > 0


def test_a_larger_batch_takes_longer(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(int8_conv(), path)
    one, many = (bench(path, target=TARGET, dims={"batch": n}) for n in (1, 200))
    assert one.ratio < many.ratio


def test_an_embedding_gets_rows_that_it_has(tmp_path: Path) -> None:
    table = numpy_helper.from_array(np.ones((2, 4), np.float32), "table")
    nodes = [helper.make_node("Gather", ["table", "tokens"], ["y"])]
    inputs = [("tokens", TensorProto.INT64, ["n"])]
    onnx.save(model(nodes, inputs, [("y", TensorProto.FLOAT, None)], [table]), tmp_path / "m.onnx")
    assert bench(tmp_path / "m.onnx", target=TARGET, dims={"n": 9}).n_runs > 0


def test_given_inputs_are_used(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(conv_net(8, 16, 1))
    with pytest.raises(TargetError, match="all zeros"):
        bench(path, target=TARGET, feeds={"x": np.zeros((1, 3, 16, 16), np.float32)})


@pytest.mark.parametrize("data", [b"", b"no model at all", conv_net(8, 16, 1)[:500]])
def test_a_damaged_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(TargetError, match=r"cannot load '.*model\.onnx'"):
        bench(path, target=TARGET)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="no model file"):
        bench(tmp_path / "model.onnx", target=TARGET)


def test_external_data_are_found(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    made = onnx.load_model_from_string(conv_net(32, 16, 2))
    onnx.save(made, path, save_as_external_data=True, location="weights.bin", size_threshold=64)
    assert (tmp_path / "weights.bin").exists()
    assert bench(path, target=TARGET).p50_ms > 0
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(TargetError, match="cannot load"):
        bench(path, target=TARGET)


def test_sizes_are_read_from_the_command_line() -> None:
    assert sizes_by_name(["height=224", "a=b=3"]) == {"height": 224, "a=b": 3}
    for text in ("height", "=3", "height=many", "height=-1", "height="):
        with pytest.raises(ConfigError, match=f"'--dim {text}' cannot be read"):
            sizes_by_name([text])

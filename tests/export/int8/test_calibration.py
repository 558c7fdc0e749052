"""Ranges of a graph's tensors, against the tensors themselves."""

import numpy as np
import onnx
import pytest
from onnx import helper

from niwaki.compress.quantization.plan import Precision, QuantizationPlan
from niwaki.core.errors import ConfigError, DataError, SpaceError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.int8.calibration import activation_ranges, observing_session
from niwaki.export.int8.layers import quantizable_layers
from niwaki.targets.sessions import SessionSettings, open_session
from tests.export.networks import INPUT_SHAPE, MultiTask, images, run, settled


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return build_graph(settled(MultiTask()), [INPUT_SHAPE])


def test_a_range_is_that_of_the_tensor(model: onnx.ModelProto) -> None:
    batches = [{"image": part} for part in np.split(images(6), 3)]
    ranges = activation_ranges(model, batches, observer="minmax")
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    inner = [name for name in ranges if name != "image" and name not in ("mask", "distance")]
    known = {info.name for info in model.graph.output}
    watched.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in inner
        if name not in known
    )
    values = run(watched, images(6)) | {"image": images(6)}
    for name in [*inner, "image"]:
        expected = (values[name].min(), values[name].max())
        assert ranges[name] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_runtime_is_as_quiet_as_where_models_are_timed(model: onnx.ModelProto) -> None:
    """It warns of every buffer of windowed attention that it does not use again."""
    watched = observing_session(model, [], n_threads=1).get_session_options()
    timed = open_session(model, SessionSettings()).get_session_options()
    assert watched.log_severity_level == timed.log_severity_level == 3


def test_only_what_is_needed_is_observed(model: onnx.ModelProto) -> None:
    ranges = activation_ranges(model, [{"image": images()}])
    # Not what is moved or joined, nor what lies between a layer and its ReLU.
    assert not {name for name in ranges if "cat" in name or "interpolate" in name}
    assert "stem.0" not in ranges and "stem.2" in ranges


def test_ranges_for_no_plan_serve_every_plan(model: onnx.ModelProto) -> None:
    batches = [{"image": images()}]
    layers, everything = quantizable_layers(model), activation_ranges(model, batches)
    rng = np.random.default_rng(0)
    for _ in range(8):
        chosen = [layer for layer in layers if rng.random() < 0.5]
        plan = QuantizationPlan.uniform(chosen, Precision.INT8)
        for name, bounds in activation_ranges(model, batches, plan=plan).items():
            # Other outputs make for other fusions, and so for other roundings.
            assert everything[name] == pytest.approx(bounds, rel=1e-4, abs=1e-5)


def test_batches_come_one_at_a_time(model: onnx.ModelProto) -> None:
    whole = activation_ranges(model, [{"image": images(6)}], observer="percentile")
    parts = ({"image": part} for part in np.split(images(6), 6))
    for name, bounds in activation_ranges(model, parts, observer="percentile").items():
        assert bounds == pytest.approx(whole[name], rel=1e-3, abs=1e-4)


def test_mistakes_are_named(model: onnx.ModelProto) -> None:
    batch = {"image": images()}
    with pytest.raises(DataError, match="no batch"):
        activation_ranges(model, [])
    with pytest.raises(DataError, match="lacks input 'image': it has picture"):
        activation_ranges(model, [{"picture": images()}])
    with pytest.raises(DataError, match=r"tensor '.*' cannot be calibrated"):
        activation_ranges(model, [{"image": images() * np.float32(np.nan)}])
    with pytest.raises(ConfigError, match="no observer 'median'"):
        activation_ranges(model, [batch], observer="median")
    with pytest.raises(SpaceError, match="'trunk'"):
        plan = QuantizationPlan.uniform(["trunk"], Precision.INT8)
        activation_ranges(model, [batch], plan=plan)

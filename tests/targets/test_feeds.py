"""Inputs that say nothing are refused; missing ones are made up."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from niwaki.core.errors import TargetError
from niwaki.targets.feeds import check_feeds, synthesise_feeds
from niwaki.targets.sessions import Session, SessionSettings, open_session
from tests.targets.networks import model

RNG = np.random.default_rng(0)
REAL = RNG.standard_normal((2, 3)).astype(np.float32)


def identity(kind: int, shape: list[int | str]) -> Session:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    made = model(nodes, [("x", kind, shape)], [("y", kind, shape)], [])
    return open_session(made, SessionSettings())


def test_real_data_pass() -> None:
    check_feeds({"x": REAL, "mask": np.zeros(3, np.int64)})


def test_zeros_pass_beside_real_data() -> None:
    check_feeds({"x": REAL, "state": np.zeros(3, np.float32)})


def test_a_few_subnormal_values_pass() -> None:
    values = RNG.standard_normal(1000).astype(np.float32)
    values[0] = 1e-40
    check_feeds({"x": values})


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((2, 3), np.float32), "all zeros"),
        (np.full((2, 3), 1e-40, np.float32), "100% subnormal"),
        (REAL * np.float32(1e-30), "peak of"),
        (np.full((2, 3), np.inf, np.float32), "infinities"),
        (np.zeros((0, 3), np.float32), "empty"),
    ],
)
def test_unreal_data_are_refused(values: np.ndarray, reason: str) -> None:
    with pytest.raises(TargetError, match=reason):
        check_feeds({"x": values})


def test_half_precision_has_its_own_smallest_number() -> None:
    check_feeds({"x": np.full(8, 1e-4, np.float16)})
    with pytest.raises(TargetError, match="subnormal"):
        check_feeds({"x": np.full(8, 1e-6, np.float16)})


def test_made_up_floats_are_like_real_data() -> None:
    feeds = synthesise_feeds(identity(TensorProto.FLOAT, [4, 3, 8, 8]), {}, RNG)
    assert feeds["x"].shape == (4, 3, 8, 8)
    check_feeds(feeds)


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8])
def test_made_up_integers_are_small(kind: int) -> None:
    values = synthesise_feeds(identity(kind, [100]), {}, RNG)["x"]
    assert values.dtype.kind in "iu"
    assert set(values.tolist()) == {0, 1}


def test_a_batch_is_of_one_unless_given() -> None:
    session = identity(TensorProto.FLOAT, ["batch", 3])
    assert synthesise_feeds(session, {}, RNG)["x"].shape == (1, 3)
    assert synthesise_feeds(session, {"batch": 5}, RNG)["x"].shape == (5, 3)
    assert synthesise_feeds(session, {"x:0": 7}, RNG)["x"].shape == (7, 3)


def test_other_open_dimensions_are_to_be_given() -> None:
    session = identity(TensorProto.FLOAT, ["batch", 3, "height", "width"])
    with pytest.raises(TargetError, match=r"dimension 'width' of input 'x' .* `--dim width=64`"):
        synthesise_feeds(session, {"height": 5}, RNG)
    feeds = synthesise_feeds(session, {"height": 5, "x:3": 7}, RNG)
    assert feeds["x"].shape == (1, 3, 5, 7)


def test_a_dimension_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TargetError, match="no dynamic dimension 'bach'"):
        synthesise_feeds(identity(TensorProto.FLOAT, ["batch", 3]), {"bach": 5}, RNG)


def test_a_dimension_of_zero_is_an_error() -> None:
    with pytest.raises(TargetError, match="at least 1"):
        synthesise_feeds(identity(TensorProto.FLOAT, ["batch", 3]), {"batch": 0}, RNG)


def test_strings_cannot_be_made_up() -> None:
    with pytest.raises(TargetError, match=r"tensor\(string\)"):
        synthesise_feeds(identity(TensorProto.STRING, [1]), {}, RNG)


def test_inputs_that_do_not_fit_in_memory_are_refused() -> None:
    session = identity(TensorProto.FLOAT, ["batch", 1000])
    with pytest.raises(TargetError, match="smaller dimensions"):
        synthesise_feeds(session, {"batch": 10**9}, RNG)

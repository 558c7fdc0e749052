"""Files of a fixed batch are read so that they take any, or refused."""

from pathlib import Path

import numpy as np
import pytest

from niwaki.core.errors import ConfigError
from niwaki.evaluation.compression.from_onnx.proof import require_same_answers
from niwaki.evaluation.compression.from_onnx.reading import read_module
from tests.evaluation.compression.from_onnx.files import Weights, graph_of, inputs_for, saved

# In all of them, the sizes of a batch are written down. {n} is the size of the batch.
CASES: dict[str, tuple[str, Weights, str]] = {
    "flattened": ("y = Reshape(x, s)", {"s": np.array([0, 144])}, "4, 6, 6"),
    "merged with places, and back": (
        "a = Transpose<perm=[0,2,3,1]>(x) b = Reshape(a, s) c = MatMul(b, w) y = Reshape(c, t)",
        {"s": np.array([-36, 4]), "w": (4, 5), "t": np.array([0, 6, 6, 5])},
        "4, 6, 6",
    ),
    "steps first": (
        "a = Transpose<perm=[1,0,2]>(x) b = Reshape(a, s) c = Transpose<perm=[1,0,2]>(b) "
        "d = Transpose<perm=[1,0,2]>(c) e = Reshape(d, t) f = MatMul(e, w) g = Reshape(f, u) "
        "y = Transpose<perm=[1,0,2]>(g)",
        {
            "s": np.array([5, -4, 2]),
            "t": np.array([-5, 8]),
            "w": (8, 8),
            "u": np.array([5, 0, 8]),
        },
        "5, 8",
    ),
    "a constant joined": ("y = Concat<axis=1>(c, x)", {"c": (0, 1, 6)}, "4, 6"),
    "zero states": (
        "a = Transpose<perm=[1,0,2]>(x) b, h = RNN<hidden_size=3>(a, w, r, , , z) "
        "c = Squeeze(b, one) y = Transpose<perm=[1,0,2]>(c)",
        {"w": (1, 3, 6), "r": (1, 3, 3), "one": np.array([1]), "z": np.zeros((1, 0, 3))},
        "5, 6",
    ),
    "resized to sizes": (
        'y = Resize<mode="linear">(x, , , s)',
        {"s": np.array([0, 4, 9, 11])},
        "4, 6, 6",
    ),
    "expanded": (
        "m = ReduceMean(x, i) y = Expand(m, s)",
        {"i": np.array([3]), "s": np.array([0, 4, 6, 6])},
        "4, 6, 6",
    ),
    "picked and reduced": (
        "a = Transpose<perm=[1,0,2,3]>(x) b = Gather<axis=0>(a, zero) "
        "c = ReduceSum<keepdims=0>(b, i) y = Reshape(c, s)",
        {"zero": np.int64(0), "i": np.array([1]), "s": np.array([0, 2, 3])},
        "4, 6, 6",
    ),
}


def of_batch(weights: Weights, n: int) -> Weights:
    """Return weights with the size of the batch in the place of 0, and k times it for -k."""
    found: dict[str, object] = {}
    for name, each in weights.items():
        if name in "stu" and isinstance(each, np.ndarray):
            each = np.where(each == 0, n, np.where(each < 0, -each * n, each)).astype(np.int64)
        elif isinstance(each, tuple) and 0 in each:
            one = np.random.default_rng(0).normal(size=[d or 1 for d in each])
            each = np.repeat(one, n, each.index(0)).astype(np.float32)
        elif isinstance(each, np.ndarray) and 0 in each.shape:
            each = np.zeros([d or n for d in each.shape], np.float32)
        found[name] = each
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("name", CASES)
def test_any_batch_is_taken(name: str, n: int, tmp_path: Path) -> None:
    body, weights, item = CASES[name]
    file = saved(graph_of(body, of_batch(weights, n), item=item, batch=str(n)), tmp_path)
    assert file.fixed_batch == n and f"fixed at {n}" in file.remark
    require_same_answers(read_module(file), file, inputs_for(file, 7))


def test_items_that_are_mixed_are_refused_with_the_way_to_export(tmp_path: Path) -> None:
    model = graph_of("a = ReduceSum(x, i) y = Sub(x, a)", {"i": np.array([0])}, batch="2")
    with pytest.raises(ConfigError, match="it is over the batch"):
        read_module(saved(model, tmp_path))
    body = "a = Reshape(x, s) b = Transpose<perm=[1,0]>(a) y = Reshape(b, t)"
    sizes = {"s": np.array([2, 24]), "t": np.array([2, 24])}
    file = saved(graph_of(body, sizes, item="4, 6", batch="2"), tmp_path)
    with pytest.raises(ConfigError, match=r"fixed at 2, and .*export it with an open batch"):
        require_same_answers(read_module(file), file, inputs_for(file))


def test_rows_in_the_place_of_items_are_refused_with_the_way_to_export(tmp_path: Path) -> None:
    body = "a = Conv(x, w) b = Reshape(a, s) y = Relu(b)"
    weights: Weights = {"w": (1, 4, 1, 1), "s": np.array([6, 6])}
    file = saved(graph_of(body, weights, batch="1"), tmp_path)
    with pytest.raises(ConfigError, match=r"fixed at 1, and .*export it with an open batch"):
        require_same_answers(read_module(file), file, inputs_for(file))


def test_sizes_of_one_batch_in_a_file_of_any_are_refused(tmp_path: Path) -> None:
    file = saved(graph_of("y = Reshape(x, s)", {"s": np.array([2, 144])}), tmp_path)
    with pytest.raises(ConfigError, match="said to be open, but sizes inside go by one"):
        read_module(file)

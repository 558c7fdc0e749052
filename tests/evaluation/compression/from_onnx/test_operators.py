"""Each operator, read into torch, computes what ONNX Runtime does."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from niwaki.core.errors import ConfigError
from niwaki.evaluation.compression.from_onnx.call import OPERATORS
from niwaki.evaluation.compression.from_onnx.operators import load_operators
from niwaki.evaluation.compression.from_onnx.proof import require_same_answers
from niwaki.evaluation.compression.from_onnx.reading import read_module
from tests.evaluation.compression.from_onnx.files import Weights, graph_of, inputs_for, saved

_PLAIN = """
    Abs Ceil Cos Erf Exp Floor HardSwish Mish Neg Relu Round Sigmoid Sign Sin Softplus Softsign Tanh
    LeakyRelu Elu Celu Selu HardSigmoid Gelu Identity GlobalAveragePool GlobalMaxPool
"""


def ints(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, np.int64)


def reals(*values: float) -> np.ndarray[Any, Any]:
    return np.array(values, np.float32)


# Name: body, weights, and how the graph is otherwise.
CASES: dict[str, tuple[str, Weights, dict[str, Any]]] = {
    **{kind: (f"y = {kind}(x)", {}, {}) for kind in _PLAIN.split()},
    "Log, Sqrt, Reciprocal": (
        "a = Abs(x) b = Add(a, one) c = Log(b) d = Sqrt(b) e = Reciprocal(b) f = Add(c, d) "
        "y = Mul(f, e)",
        {"one": np.float32(1)},
        {},
    ),
    "slopes per channel": ("y = PRelu(x, s)", {"s": (4, 1, 1)}, {}),
    "Clip to 0 and 6": ("y = Clip(x, a, b)", {"a": np.float32(0), "b": np.float32(6)}, {}),
    "Clip from below": ("y = Clip(x, a)", {"a": np.float32(-0.5)}, {}),
    "Clip by attributes": ("y = Clip<min=-1.0, max=0.5>(x)", {}, {"opset": 10}),
    "number first": ("y = Sub(one, x)", {"one": np.float32(1)}, {}),
    "table added": ("y = Add(x, t)", {"t": (6, 6)}, {}),
    "Div, Pow": (
        "a = Pow(x, two) b = Add(a, two) y = Div(x, b)",
        {"two": np.float32(2)},
        {},
    ),
    "Min, Max, Sum, Mean": (
        "a = Min(x, t) b = Max(x, t) c = Sum(a, b, x) y = Mean(c, x)",
        {"t": (6, 6)},
        {},
    ),
    "Where": (
        "c = Greater(x, zero) n = Not(c) a = Where(c, x, zero) b = Where(n, t, a) y = Add(a, b)",
        {"zero": np.float32(0), "t": (6, 6)},
        {},
    ),
    "IsNaN": (
        "a = Log(x) n = IsNaN(a) y = Where(n, zero, a)",
        {"zero": np.float32(0)},
        {},
    ),
    "Cast": (
        "c = Less(x, zero) f = Cast<to=1>(c) y = Add(f, x)",
        {"zero": np.float32(0)},
        {},
    ),
    "Conv": (
        "y = Conv<pads=[1,1,1,1], strides=[2,2], group=2>(x, w, b)",
        {"w": (6, 2, 3, 3), "b": (6,)},
        {},
    ),
    "Conv, padded as in TensorFlow": (
        'y = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)',
        {"w": (6, 4, 3, 3)},
        {},
    ),
    "Conv of sequences": ("y = Conv<dilations=[2]>(x, w)", {"w": (3, 4, 3)}, {"item": "4, 9"}),
    "ConvTranspose": (
        "y = ConvTranspose<strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]>(x, w, b)",
        {"w": (4, 3, 3, 3), "b": (3,)},
        {},
    ),
    "MatMul and Add": ("a = MatMul(x, w) y = Add(b, a)", {"w": (6, 5), "b": (5,)}, {}),
    "MatMul and a table": ("a = MatMul(x, w) y = Add(a, t)", {"w": (6, 5), "t": (6, 5)}, {}),
    "MatMul used twice": (
        "a = MatMul(x, w) b = Add(a, c) y = Mul(a, b)",
        {"w": (6, 5), "c": (5,)},
        {},
    ),
    "MatMul from the left": ("y = MatMul(w, x)", {"w": (5, 6)}, {}),
    "MatMul of data": ("t = Transpose<perm=[0,1,3,2]>(x) y = MatMul(x, t)", {}, {}),
    "Gemm": (
        "y = Gemm<transB=1, alpha=0.5, beta=2.0>(x, w, b)",
        {"w": (5, 7), "b": (5,)},
        {"item": "7"},
    ),
    "Gemm, not transposed, one bias": (
        "y = Gemm(x, w, b)",
        {"w": (7, 5), "b": (1,)},
        {"item": "7"},
    ),
    "Einsum": ('y = Einsum<equation="nchw,nchv->ncwv">(x, x)', {}, {}),
    "BatchNormalization": (
        "y = BatchNormalization(x, s, b, m, v)",
        {"s": (4,), "b": (4,), "m": (4,), "v": reals(1, 2, 3, 4)},
        {},
    ),
    "LayerNormalization": (
        "y = LayerNormalization<epsilon=0.1>(x, s, b)",
        {"s": (6,), "b": (6,)},
        {},
    ),
    "LayerNormalization, alike along an axis": (
        "y = LayerNormalization<axis=2>(x, s, b)",
        {"s": (6,), "b": (6, 1)},
        {},
    ),
    "InstanceNormalization": ("y = InstanceNormalization(x, s, b)", {"s": (4,), "b": (4,)}, {}),
    "GroupNormalization": (
        "y = GroupNormalization<num_groups=2>(x, s, b)",
        {"s": (4,), "b": (4,)},
        {"opset": 21},
    ),
    "LRN": ("y = LRN<size=3>(x)", {}, {}),
    "LpNormalization": ("y = LpNormalization<axis=1>(x)", {}, {}),
    "Softmax": ("a = Softmax<axis=1>(x) b = LogSoftmax(x) y = Add(a, b)", {}, {}),
    "MaxPool": ("y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(x)", {}, {}),
    "MaxPool, more on one side": ("y = MaxPool<kernel_shape=[2,2], pads=[0,0,1,1]>(x)", {}, {}),
    "MaxPool, ceiling": (
        "y = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)",
        {},
        {},
    ),
    "AveragePool": ("y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(x)", {}, {}),
    "AveragePool, pads counted": (
        "y = AveragePool<kernel_shape=[3,3], pads=[0,0,1,1], count_include_pad=1>(x)",
        {},
        {},
    ),
    "AveragePool, pads on one side not counted": (
        "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[0,0,1,1]>(x)",
        {},
        {},
    ),
    "AveragePool, pads on one side, rounded up": (
        'y = AveragePool<kernel_shape=[3,3], strides=[2,2], auto_pad="SAME_UPPER", ceil_mode=1>(x)',
        {},
        {"item": "4, 6, 7"},
    ),
    "Reduce along axes given as input": (
        "a = ReduceMean(x, i) b = ReduceSum(x, i) c = ReduceMax(x, i) d = ReduceMin(x, i) "
        "e = ReduceL2(x, i) f = Sum(a, b, c, d, e) y = Sub(x, f)",
        {"i": ints(1, -1)},
        {},
    ),
    "Reduce along axes given as attribute": (
        "y = ReduceMean<axes=[2,3], keepdims=0>(x)",
        {},
        {"opset": 13},
    ),
    "ReduceL1, ReduceSumSquare, ReduceLogSumExp": (
        "a = ReduceL1(x, i) b = ReduceSumSquare(x, i) c = ReduceLogSumExp(x, i) y = Sum(a, b, c)",
        {"i": ints(1)},
        {},
    ),
    "ArgMax": ("i = ArgMax<axis=1>(x) f = Cast<to=1>(i) y = Add(f, x)", {}, {}),
    "CumSum": ("y = CumSum(x, i)", {"i": np.int64(2)}, {}),
    "TopK": ("y, i = TopK<axis=1>(x, k)", {"k": ints(2)}, {}),
    "TopK by an attribute": ("y, i = TopK<axis=1, k=2>(x)", {}, {"opset": 9}),
    "masks and indices that nothing uses": (
        "a, m = Dropout(x) y, i = MaxPool<kernel_shape=[2,2]>(a)",
        {},
        {},
    ),
    "Softmax of old, over channels of one place": (
        "a = GlobalAveragePool(x) y = Softmax<axis=1>(a)",
        {},
        {"opset": 9},
    ),
    "Resize, nearest, by scales": (
        'y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", '
        'nearest_mode="floor">(x, , s)',
        {"s": reals(1, 1, 2, 2)},
        {},
    ),
    "Resize, linear, by sizes": (
        'y = Resize<mode="linear", axes=[2,3]>(x, , , s)',
        {"s": ints(9, 11)},
        {},
    ),
    "Resize, linear, by scales that cut pixels off": (
        'a = Resize<mode="linear">(x, , s) y = Resize<mode="cubic", axes=[3]>(a, , t)',
        {"s": reals(1, 1, 1.5, 0.7), "t": reals(1.3)},
        {"item": "4, 7, 7"},
    ),
    "Resize, nearest, by scales that cut pixels off": (
        'y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", '
        'nearest_mode="floor">(x, , s)',
        {"s": reals(1, 1, 1.5, 0.7)},
        {"item": "4, 7, 7"},
    ),
    "Upsample by scales that cut pixels off": (
        'y = Upsample<mode="nearest">(x, s)',
        {"s": reals(1, 1, 1.5, 2.3)},
        {"item": "4, 7, 7", "opset": 9},
    ),
    "Resize, corners aligned": (
        'y = Resize<mode="linear", coordinate_transformation_mode="align_corners">(x, , s)',
        {"s": reals(1, 1, 2, 2)},
        {},
    ),
    "Reshape, flat": ("y = Reshape(x, s)", {"s": ints(0, -1)}, {}),
    "Reshape, apart and together": (
        "a = Reshape(x, s) b = Transpose<perm=[0,2,1,3,4]>(a) y = Reshape(b, t)",
        {"s": ints(-1, 2, 2, 6, 6), "t": ints(-1, 4, 36)},
        {},
    ),
    "Reshape, items together": (
        "a = Reshape(x, s) y = Reshape(a, t)",
        {"s": ints(-1, 6), "t": ints(-1, 4, 6, 6)},
        {},
    ),
    "Reshape by computed sizes": (
        "s = Shape(x) n = Gather(s, zero) z = Concat<axis=0>(n, rest) y = Reshape(x, z)",
        {"zero": ints(0), "rest": ints(4, 36)},
        {},
    ),
    "Squeeze, Unsqueeze, Flatten": (
        "a = Unsqueeze(x, i) b = Squeeze(a, i) y = Flatten<axis=2>(b)",
        {"i": ints(1)},
        {"item": "1, 4, 6"},
    ),
    "Concat, Split": (
        "a, b = Split<axis=1, num_outputs=2>(x) y = Concat<axis=1>(b, a)",
        {},
        {},
    ),
    "Split into unlike parts": (
        "a, b = Split<axis=1>(x, s) c = Relu(a) y = Concat<axis=1>(c, b)",
        {"s": ints(3, 1)},
        {},
    ),
    "DepthToSpace": ('y = DepthToSpace<blocksize=2, mode="CRD">(x)', {}, {}),
    "Slice into equal parts": (
        "a = Slice(x, zero, two, one) b = Slice(x, two, four, one) y = Sub(a, b)",
        {"zero": ints(0), "two": ints(2), "four": ints(4), "one": ints(1)},
        {},
    ),
    "Slice, by steps": (
        "y = Slice(x, a, b, i, s)",
        {"a": ints(1, 0), "b": ints(2**62, -1), "i": ints(2, 3), "s": ints(2, 1)},
        {},
    ),
    "Slice, backwards": (
        "y = Slice(x, a, b, i, s)",
        {"a": ints(-1), "b": ints(-(2**62)), "i": ints(3), "s": ints(-1)},
        {},
    ),
    "Gather one": ("y = Gather<axis=1>(x, i)", {"i": np.int64(-1)}, {}),
    "Gather several": ("y = Gather<axis=2>(x, i)", {"i": ints(4, 0, 0)}, {}),
    "Gather from a table": (
        "a = Mul(x, ten) b = Abs(a) c = Cast<to=7>(b) d = Min(c, most) y = Gather(t, d)",
        {"ten": np.float32(10), "t": (20, 3), "most": np.int64(19)},
        {"item": "7"},
    ),
    "Expand, Tile": (
        "m = ReduceMean(x, i) a = Expand(m, s) y = Tile(a, r)",
        {"i": ints(3), "s": ints(1, 1, 1, 6), "r": ints(1, 2, 1, 1)},
        {},
    ),
    "constant for each item": (
        "s = Shape(x) n = Gather(s, zero) z = Concat<axis=0>(n, rest) c = Expand(t, z) "
        "y = Concat<axis=1>(c, x)",
        {"zero": ints(0), "rest": ints(1, 6, 6), "t": (1, 1, 6, 6)},
        {},
    ),
    "Pad with a value": (
        "y = Pad(x, p, v)",
        {"p": ints(0, 1, 0, 2, 0, 0, 1, 0), "v": np.float32(3)},
        {},
    ),
    "Pad by reflection": ('y = Pad<mode="reflect">(x, p)', {"p": ints(0, 0, 1, 2, 0, 0, 2, 1)}, {}),
    "LSTM": (
        'a = Transpose<perm=[1,0,2]>(x) b, h, c = LSTM<hidden_size=3, direction="bidirectional">'
        "(a, w, r, bias) d = Add(h, c) y = Transpose<perm=[1,0,2]>(d)",
        {"w": (2, 12, 6), "r": (2, 12, 3), "bias": (2, 24)},
        {"item": "5, 6"},
    ),
    "GRU": (
        "a = Transpose<perm=[1,0,2]>(x) b, h = GRU<hidden_size=3, linear_before_reset=1>"
        "(a, w, r, bias) c = Squeeze(b, one) y = Transpose<perm=[1,0,2]>(c)",
        {"w": (1, 9, 6), "r": (1, 9, 3), "bias": (1, 18), "one": ints(1)},
        {"item": "5, 6"},
    ),
    "RNN": (
        'a = Transpose<perm=[1,0,2]>(x) b = RNN<hidden_size=3, activations=["Relu"]>(a, w, r) '
        "c = Squeeze(b, one) y = Transpose<perm=[1,0,2]>(c)",
        {"w": (1, 3, 6), "r": (1, 3, 3), "one": ints(1)},
        {"item": "5, 6"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_computes_what_the_runtime_does(name: str, tmp_path: Path) -> None:
    body, weights, otherwise = CASES[name]
    file = saved(graph_of(body, weights, **otherwise), tmp_path)
    module = read_module(file)
    require_same_answers(module, file, inputs_for(file))


@pytest.mark.parametrize(
    "body",
    [
        "y = Where(m, x, t)",
        "a = Not(m) b = And(a, n) c = Or(b, m) y = Where(c, t, x)",
        "a = Cast<to=1>(m) y = Mul(a, x)",
    ],
)
def test_inputs_of_yes_and_no_stay_such(body: str, tmp_path: Path) -> None:
    model = graph_of(body, {"t": (3,), "n": np.array([True, False, True])}, item="3")
    kind = onnx.TensorProto.BOOL
    model.graph.input.append(onnx.helper.make_tensor_value_info("m", kind, ["N", 3]))
    file = saved(model, tmp_path)
    inputs = inputs_for(file)
    inputs[:, 3:] = inputs[:, 3:] > 0
    require_same_answers(read_module(file), file, inputs)


def test_no_operator_goes_untested() -> None:
    load_operators()
    text = " ".join([*CASES, *(body for body, _, _ in CASES.values())])
    newer = {"RMSNormalization", "Swish"}  # of opset 23 and 24
    rare = {"CastLike", "Dropout", "Upsample", "Equal", "GreaterOrEqual", "LessOrEqual", "Mod"}
    rare |= {"And", "Or", "Xor", "ArgMin", "Mul"}
    assert not [kind for kind in OPERATORS if kind not in text and kind not in newer | rare]


@pytest.mark.parametrize(
    ("body", "weights", "words"),
    [
        ("y = ReduceMean(x)", {}, "is over the batch"),
        ("y = DepthToSpace<blocksize=2>(x)", {}, "its order of channels is 'DCR'"),
        ("y = Gather(x, i)", {"i": ints(0, 1)}, "picks items of the batch"),
        ("y, m = LayerNormalization(x, w) z = Neg(m)", {"w": (6,)}, "its output 'm' is not known"),
        (
            "y = Dropout(x, r, t)",
            {"r": np.float32(0.5), "t": np.bool_(True)},
            r"'training_mode' is true, .*export model\.eval\(\)",
        ),
    ],
)
def test_what_torch_computes_otherwise_is_refused(
    body: str, weights: Weights, words: str, tmp_path: Path
) -> None:
    outputs = ("y", "z") if "z =" in body else ("y",)
    file = saved(graph_of(body, weights, outputs=outputs), tmp_path)
    with pytest.raises(ConfigError, match=rf"node 'y' \(\w+\) cannot be read: .*{words}"):
        read_module(file)


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        ("y = Reshape(x, l)", (-1, 4, 6)),
        ("y = Expand(x, l)", (1, 4, 6)),
        ("y = Slice(x, zeros, l, axes)", (9, 9)),
        ('y = Resize<mode="nearest", axes=[2]>(x, , , l)', (12,)),
        ("y, z = Split<axis=1>(x, l)", (2, 2)),
    ],
)
def test_sizes_that_the_data_say_are_refused(
    body: str, sizes: tuple[int, ...], tmp_path: Path
) -> None:
    said = 'a = Einsum<equation="nij->">(x) b = Cast<to=7>(a) c = Mul(b, zero) l = Add(c, sizes) '
    weights: Weights = {"zero": np.int64(0), "zeros": ints(0, 0), "axes": ints(1, 2)}
    graph = graph_of(said + body, {**weights, "sizes": ints(*sizes)}, item="4, 6")
    with pytest.raises(ConfigError, match="its input 'l' is computed from the model's input"):
        read_module(saved(graph, tmp_path))


def test_sequences_as_long_as_the_data_say_are_refused(tmp_path: Path) -> None:
    body = (
        "p = ReduceMax<keepdims=0>(x, last) q = Greater(p, low) c = Cast<to=6>(q) "
        "l = ReduceSum<keepdims=0>(c, one) a = Transpose<perm=[1,0,2]>(x) "
        "b = RNN<hidden_size=3>(a, w, r, , l) y = Transpose<perm=[2,0,1,3]>(b)"
    )
    weights: Weights = {"w": (1, 3, 6), "r": (1, 3, 3), "low": np.float32(-1)}
    axes: Weights = {"last": ints(2), "one": ints(1)}
    file = saved(graph_of(body, {**weights, **axes}, item="5, 6"), tmp_path)
    with pytest.raises(ConfigError, match="its input 'l' is computed from the model's input"):
        read_module(file)


def test_an_unknown_operator_is_named_with_its_node_and_what_to_do(tmp_path: Path) -> None:
    file = saved(graph_of("a = Hardmax(x) b = Hardmax(a) y = Det(b)"), tmp_path)
    words = (
        r"not known here: Hardmax \(2\), Det \(1\); first node 'a'\. Export .*my_model\.py:build"
    )
    with pytest.raises(ConfigError, match=words):
        read_module(file)

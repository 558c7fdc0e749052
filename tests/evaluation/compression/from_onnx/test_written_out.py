"""Norms that are written out in several nodes are read as layers, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest
from torch import fx, nn

from niwaki.evaluation.compression.from_onnx.proof import require_same_answers
from niwaki.evaluation.compression.from_onnx.reading import read_module
from tests.evaluation.compression.from_onnx.files import Weights, graph_of, inputs_for, saved

_MEAN = "m = ReduceMean<axes=[-1]>(x)"
_END = "e = Add(v, eps) r = Sqrt(e) n = Div(d, r)"
_SQUARED = "d = Sub(x, m) q = Pow(d, two) v = ReduceMean<axes=[-1]>(q)"
_GROUPS = (
    "a = Reshape(x, s) b = InstanceNormalization<epsilon=0.01>(a, one, none) c = Reshape(b, t)"
)
NUMBERS: Weights = {"eps": np.float32(0.01), "two": np.float32(2)}
AFFINE: Weights = {"scale": (6,), "shift": (6,)}
GROUPS: Weights = {
    "s": np.array([0, 2, -1]),
    "t": np.array([0, 4, 6, 6]),
    "one": np.ones(2, np.float32),
    "none": np.zeros(2, np.float32),
}
CASES: dict[str, tuple[str, Weights, type[nn.Module]]] = {
    "layer norm": (
        f"{_MEAN} {_SQUARED} {_END} w = Mul(n, scale) y = Add(w, shift)",
        {**NUMBERS, **AFFINE},
        nn.LayerNorm,
    ),
    "layer norm, centred twice": (
        f"{_MEAN} {_SQUARED.replace('d =', 'd2 =').replace('Pow(d,', 'Pow(d2,')} d = Sub(x, m) "
        f"{_END} w = Mul(scale, n) y = Add(shift, w)",
        {**NUMBERS, **AFFINE},
        nn.LayerNorm,
    ),
    "layer norm, no shift": (
        f"{_MEAN} d = Sub(x, m) q = Mul(d, d) v = ReduceMean<axes=[-1]>(q) {_END} "
        "y = Mul(n, scale)",
        {"eps": np.float32(0.01), "scale": (6,)},
        nn.LayerNorm,
    ),
    "layer norm alone": (f"{_MEAN} {_SQUARED} {_END} y = Relu(n)", NUMBERS, nn.LayerNorm),
    "group norm": (
        f"{_GROUPS} d = Mul(c, scale) y = Add(d, shift)",
        {**GROUPS, "scale": (4, 1, 1), "shift": (4, 1, 1)},
        nn.GroupNorm,
    ),
    "group norm, scaled": (
        f"{_GROUPS} y = Mul(c, scale)",
        {**GROUPS, "scale": (1, 4, 1, 1)},
        nn.GroupNorm,
    ),
    "group norm alone": (f"{_GROUPS} y = Relu(c)", GROUPS, nn.GroupNorm),
}


def read(body: str, weights: Weights, folder: Path) -> fx.GraphModule:
    """Return what is read of a graph, proven."""
    file = saved(graph_of(body, weights, opset=13), folder)
    module = read_module(file)
    require_same_answers(module, file, inputs_for(file))
    return module


@pytest.mark.parametrize("name", CASES)
def test_it_is_one_layer(name: str, tmp_path: Path) -> None:
    body, weights, kind = CASES[name]
    module = read(body, weights, tmp_path)
    calls = [node for node in module.graph.nodes if node.op.startswith("call")]
    assert len(calls) == 1 + name.endswith("alone")
    assert [type(m) for m in module.modules() if type(m).__module__.startswith("torch.nn.")] == [
        kind
    ]


@pytest.mark.parametrize(
    ("body", "weights"),
    [
        (f"{_MEAN} d = Sub(x, m) y = Relu(d)", {}),
        (f"{_MEAN} {_SQUARED} e = Add(v, eps) r = Sqrt(e) y = Div(x, r)", NUMBERS),
        (
            f"{_MEAN} {_SQUARED.replace('two', 'eps')} {_END} y = Relu(n)",
            {"eps": np.float32(4), "two": np.float32(2)},
        ),
        (_GROUPS.replace("c = ", "y = "), {**GROUPS, "one": np.full(2, 2, np.float32)}),
        (_GROUPS.replace("c = ", "y = "), {**GROUPS, "t": np.array([0, 8, 6, 3])}),
    ],
)
def test_what_is_no_norm_stays_as_it_is(body: str, weights: Weights, tmp_path: Path) -> None:
    module = read(body, weights, tmp_path)
    assert not any(isinstance(m, nn.LayerNorm | nn.GroupNorm) for m in module.modules())

"""Outputs of a graph, called in another way."""

import numpy as np
import onnx
import pytest

from niwaki.export.graph.output_names import with_outputs_called
from niwaki.export.inference import infer
from niwaki.targets.sessions import SessionSettings

MODEL = onnx.parser.parse_model("""
<ir_version: 8, opset_import: ["" : 20]>
agraph (float[N, 2] x, float[N, 2] z) => (float[N, 2] a, float[N, 2] b)
<float[2] w = {1.0, 2.0}>
{ inner = Add(x, w) a = Relu(inner) again = Mul(a, w) b = Sub(again, z) }
""")
FEEDS = {name: np.array([[1.0, -3.0]], np.float32) for name in ("x", "z")}


@pytest.mark.parametrize(
    "names",
    [{"a": "first", "b": "second"}, {"a": "b", "b": "a"}, {"a": "inner"}, {"b": "w", "a": "again"}],
)
def test_answers_are_the_same_under_other_names(names: dict[str, str]) -> None:
    found = with_outputs_called(MODEL, names)
    onnx.checker.check_model(found)
    wanted, given = (infer(m, FEEDS, settings=SessionSettings()) for m in (MODEL, found))
    assert list(given) == [names.get(name, name) for name in wanted]
    for name, values in wanted.items():
        np.testing.assert_array_equal(given[names.get(name, name)], values)


@pytest.mark.parametrize("name", ["x", "b"])
def test_names_of_inputs_and_of_other_outputs_are_taken(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is an input, or another output"):
        with_outputs_called(MODEL, {"a": name})

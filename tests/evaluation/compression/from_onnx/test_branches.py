"""An If that always takes one branch is that branch."""

from pathlib import Path

import numpy as np
import pytest

from niwaki.core.errors import ConfigError
from niwaki.evaluation.compression.from_onnx.proof import require_same_answers
from niwaki.evaluation.compression.from_onnx.reading import read_module
from tests.evaluation.compression.from_onnx.files import Weights, graph_of, inputs_for, saved

_IF = (
    "{y} = If({c}) <then_branch = t () => (float[] a) <float[1] k = {{2.0}}> "
    "{{ m = Mul({x}, k) a = Relu(m) }}, else_branch = e () => (float[] d) {{ d = Neg({x}) }}>"
)
_SIZE = "s = Shape(x) n = Gather(s, one) c = Equal(n, one) "


def branch(x: str, y: str) -> str:
    return _IF.format(x=x, y=y, c="c")


@pytest.mark.parametrize("batch", ["N", "1"])
@pytest.mark.parametrize("item", ["1, 4", "3, 4"])
def test_a_branch_that_a_size_decides_is_read(item: str, batch: str, tmp_path: Path) -> None:
    body = f"{_SIZE} {branch('x', 'h')} {branch('h', 'y')}"
    file = saved(graph_of(body, {"one": np.int64(1)}, item=item, batch=batch), tmp_path)
    require_same_answers(read_module(file), file, inputs_for(file))


def test_a_branch_within_a_branch_is_read(tmp_path: Path) -> None:
    inner = branch("x", "i")
    body = f"{_SIZE} y = If(c) <then_branch = o () => (float[] b) {{ {inner} b = Exp(i) }}, "
    body += "else_branch = q () => (float[] z) { z = Neg(x) }>"
    file = saved(graph_of(body, {"one": np.int64(1)}, item="1, 4"), tmp_path)
    require_same_answers(read_module(file), file, inputs_for(file))


@pytest.mark.parametrize(
    "decides",
    [
        "s = Shape(x) n = Gather(s, zero) c = Equal(n, two) ",
        'r = Einsum<equation="nij->">(x) c = Greater(r, half) ',
    ],
)
def test_a_branch_that_goes_by_the_data_or_the_batch_is_refused(
    decides: str, tmp_path: Path
) -> None:
    weights: Weights = {"zero": np.int64(0), "two": np.int64(2), "half": np.float32(0.5)}
    file = saved(graph_of(decides + branch("x", "y"), weights, item="3, 4"), tmp_path)
    with pytest.raises(ConfigError, match=r"not known here: If \(1\)"):
        read_module(file)

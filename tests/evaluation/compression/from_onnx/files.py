"""Small ONNX files: of single operators, and of trained networks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser
from torch import nn

from niwaki.evaluation.compression.from_onnx.file import OnnxFile
from niwaki.export.fast_path.fx_graph import build_graph

Weights = Mapping[str, tuple[int, ...] | NDArray[Any] | np.generic]


def graph_of(
    body: str,
    weights: Weights | None = None,
    *,
    item: str = "4, 6, 6",
    batch: str = "N",
    opset: int = 20,
    outputs: Sequence[str] = ("y",),
) -> onnx.ModelProto:
    """Return a model of nodes as text, from `x`; of weights given by shape, random ones."""
    given = f"float[{batch}, {item}] x"
    returned = ", ".join(f"float[] {name}" for name in outputs)
    header = f'<ir_version: 9, opset_import: ["": {opset}]>'
    model = parser.parse_model(f"{header} g ({given}) => ({returned}) {{ {body} }}")
    rng = np.random.default_rng(0)
    for name, what in (weights or {}).items():
        values = rng.normal(size=what).astype(np.float32) if isinstance(what, tuple) else what
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return model


def saved(model: onnx.ModelProto, folder: Path) -> OnnxFile:
    """Return a model as a file that was given."""
    onnx.save(model, folder / "model.onnx")
    return OnnxFile.load(str(folder / "model.onnx"))


def file_of(module: nn.Module, item: tuple[int, ...], folder: Path) -> Path:
    """Write a module as a file, as anybody may have it."""
    path = folder / "model.onnx"
    onnx.save(build_graph(module, [(1, *item)]), path)
    return path


def inputs_for(file: OnnxFile, n: int = 5) -> NDArray[np.float32]:
    """Return random inputs, several side by side."""
    sizes = [each.size for each in file.inputs]
    shape = file.inputs.each[0].shape if len(sizes) == 1 else (sum(sizes),)
    return np.random.default_rng(1).normal(size=(n, *shape)).astype(np.float32)

"""Graphs with other numbers in them."""

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


def with_constants(
    model: onnx.ModelProto, constants: Mapping[str, NDArray[np.float64]]
) -> onnx.ModelProto:
    """Return a copy of a model in which some float constants have other values, or new ones join.

    Args:
        model: Not changed.
        constants: Values by name, written as float32.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    left = dict(constants)
    for tensor in changed.graph.initializer:
        if tensor.name in left:
            tensor.CopyFrom(_tensor(tensor.name, left.pop(tensor.name)))
    changed.graph.initializer.extend(_tensor(name, values) for name, values in left.items())
    return changed


def _tensor(name: str, values: NDArray[np.float64]) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name)

"""The fast path from a module to ONNX: a symbolic trace, written node by node."""

from collections.abc import Mapping, Sequence

import onnx
from torch import nn


def build_graph(
    module: nn.Module,
    input_shapes: Mapping[str, Sequence[int]] | Sequence[Sequence[int]],
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Return the float ONNX graph of an eval-mode module, with a dynamic batch and BN folded."""
    raise NotImplementedError

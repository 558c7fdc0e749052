"""The general path from a module to ONNX: torch's own exporter, cleaned up."""

from collections.abc import Sequence

import onnx
import torch
from torch import nn


def export_module(
    module: nn.Module,
    example_inputs: Sequence[torch.Tensor],
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Return the float ONNX graph of any module that torch can export."""
    raise NotImplementedError

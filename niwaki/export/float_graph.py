"""Any module as a float graph: by the fast path, or by torch's own exporter where that must be."""

from collections.abc import Callable, Sequence

import onnx
from torch import Tensor, nn

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.general_path.torch_export import export_module


def float_graph(
    module: nn.Module,
    input_shape: Sequence[int],
    example: Callable[[], Tensor],
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Return the float graph of a module with one input, batch norm folded.

    Args:
        module: In evaluation mode, on the CPU.
        input_shape: The first dimension is the batch, whatever its size.
        example: Gives real inputs; called only for what cannot be traced symbolically.
        input_names: Of the graph.
        output_names: Of the graph.

    Raises:
        ExportError: If it can be written in neither way.
    """
    try:
        return build_graph(
            module, [input_shape], input_names=input_names, output_names=output_names
        )
    except ExportError:
        return export_module(
            module, (example(),), input_names=input_names, output_names=output_names
        )

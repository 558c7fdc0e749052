"""Any module as a float graph: by the fast path, or by torch's own exporter where that must be."""

from collections.abc import Callable, Sequence

import onnx
from torch import Tensor, nn

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.general_path.decisions import Decision
from niwaki.export.general_path.torch_export import (
    FixedBatchError,
    decisions_taken,
    export_module,
)


def float_graph(
    module: nn.Module,
    input_shapes: Sequence[Sequence[int]],
    examples: Callable[[], Sequence[Tensor]],
    *,
    input_types: Sequence[str] | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Return the float graph of a module, batch norm folded.

    Args:
        module: In evaluation mode, on the CPU.
        input_shapes: Of each input; the first dimension is the batch, whatever its size.
        examples: Gives real inputs; called only for what cannot be traced symbolically.
        input_types: Type of each input's numbers; by default, all are float32.
        input_names: Of the graph.
        output_names: Of the graph.

    Raises:
        ExportError: If it can be written in neither way.
    """
    names = {"input_names": input_names, "output_names": output_names}
    try:
        return build_graph(module, input_shapes, input_types=input_types, **names)
    except ExportError as error:
        first = error  # told by the general way if it cannot either
    try:
        return export_module(module, examples(), **names)
    except FixedBatchError as error:
        where = str(first).partition(". Use export_module")[0]
        raise ExportError(f"{error}. Followed symbolically, {where}") from error


def decided_by_examples(
    module: nn.Module,
    input_shapes: Sequence[Sequence[int]],
    examples: Sequence[Tensor],
    *,
    input_types: Sequence[str] | None = None,
) -> tuple[Decision, ...]:
    """Return what `float_graph` lets real inputs decide, once and for all others; mostly nothing.

    Args:
        module: As for `float_graph`.
        input_shapes: The same.
        examples: Real inputs.
        input_types: As for `float_graph`.
    """
    try:
        build_graph(module, input_shapes, input_types=input_types)
    except ExportError:
        return decisions_taken(module, examples)
    return ()

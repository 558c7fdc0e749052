"""Changes of type."""

from niwaki.export.fast_path.operators.table import (
    Call,
    function_converter,
    gives_views,
    in_type,
)
from niwaki.export.graph.writer import FLOAT, Tensor

_WRITTEN = (FLOAT, "int64", "int32", "bool")


@function_converter("to", "type", "type_as", "float", "long", "int", "bool", "cpu")
@gives_views
def convert_type(call: Call, input: Tensor, *_to: object, **_options: object) -> Tensor:
    """Write Cast, or nothing where the type stays: a graph says nothing of devices."""
    if call.dtype != input.dtype and call.dtype not in _WRITTEN:
        raise call.unsupported(f"it turns {input.dtype} into {call.dtype}")
    return in_type(call, input, call.dtype)

"""Fully connected layers."""

from torch import nn

from niwaki.export.fast_path.operators.normalisation import folded_weights
from niwaki.export.fast_path.operators.table import Call, module_converter
from niwaki.export.graph.writer import Tensor


@module_converter(nn.Linear)
def convert_linear(call: Call, module: nn.Linear, x: Tensor) -> Tensor:
    """Write Gemm for (batch, features); MatMul and Add for more dimensions."""
    if call.norm is not None and x.rank != 2:
        raise call.unsupported(f"batch norm follows it over {x.rank} dimensions, not 2")
    weight, bias = folded_weights(module, call.norm)
    writer, path = call.writer, call.path
    if x.rank == 2:
        names = [writer.constant(f"{path}.weight", weight)]
        if bias is not None:
            names.append(writer.constant(f"{path}.bias", bias))
        return writer.node("Gemm", [x, *names], call.shape, name=path, transB=1)
    name = writer.constant(f"{path}.weight", weight.T)
    product = writer.node("MatMul", [x, name], call.shape, name=path)
    if bias is None:
        return product
    return writer.node(
        "Add", [product, writer.constant(f"{path}.bias", bias)], call.shape, name=f"{path}.add"
    )

"""Products with weights, and between tensors."""

import operator
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import fx, nn

from niwaki.evaluation.compression.from_onnx.call import Call, as_torch, operator_named


@operator_named("Gemm")
def read_gemm(call: Call) -> fx.Node:
    """Read a linear layer, or a product and a sum where it has no weight."""
    alpha, beta = call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    if not call.is_data(1) and not call.attribute("transA", 0):
        weight = call.constant(1) * np.float32(alpha)
        weight = weight if call.attribute("transB", 0) else weight.T
        bias = None if not call.has(2) or call.is_data(2) else call.constant(2) * np.float32(beta)
        if not call.is_data(2) and (bias is None or bias.size in (1, len(weight))):
            if bias is not None:
                bias = np.broadcast_to(bias.reshape(-1), len(weight))
            return call.layer(lambda: _linear(weight, bias), call.data(), weight=1)
    factors = [
        call.function(torch.transpose, factor, 0, 1) if call.attribute(name, 0) else factor
        for factor, name in ((call.tensor(0), "transA"), (call.tensor(1), "transB"))
    ]
    product: fx.Node = _scaled(call, call.function(torch.matmul, *factors), alpha)
    if not call.has(2):
        return product
    return call.function(operator.add, product, _scaled(call, call.operand(2), beta))


@operator_named("MatMul")
def read_product(call: Call) -> fx.Node:
    """Read a linear layer, with its bias if one is added next, or a product of tensors."""
    if call.is_data(1) or call.rank(1) != 2:
        return call.function(torch.matmul, call.tensor(0), call.tensor(1))
    weight = call.constant(1).T
    adding = call.known.only_consumer(call.node.output[0])
    name = None if adding is None else _bias(call, adding, len(weight))
    bias = None if name is None else call.known.values(name)[0].reshape(-1)
    found = call.layer(lambda: _linear(weight, bias), call.data(), weight=1, also=name)
    if adding is not None and name is not None:
        call.writer.values[adding.output[0]] = found
    return found


@operator_named("Einsum")
def read_einsum(call: Call) -> fx.Node:
    """Read sums of products."""
    tensors = [call.tensor(i) for i in range(len(call.node.input))]
    return call.function(torch.einsum, call.attribute("equation"), *tensors)


def _bias(call: Call, adding: onnx.NodeProto, n_features: int) -> str | None:
    """Return the name of what a node adds to each feature; None if it does something else."""
    others = [name for name in adding.input if name != call.node.output[0]]
    if adding.op_type != "Add" or len(others) != 1 or others[0] in call.known.of_input:
        return None
    first, second = call.known.values(others[0])
    is_bias = first.shape[-1:] == (n_features,) and first.size == n_features
    if not is_bias or first.shape != second.shape or first.ndim > call.rank():
        return None
    return str(others[0])


def _linear(weight: NDArray[Any], bias: NDArray[Any] | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(as_torch(weight))
    if bias is not None:
        layer.bias = nn.Parameter(as_torch(bias))
    return layer


def _scaled(call: Call, value: Any, factor: float) -> Any:
    return value if factor == 1.0 else call.function(operator.mul, value, factor)

"""A product of rows and its bias are the one node that the runtime makes of them."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from niwaki.compress.quantization.plan import Precision
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.int8.calibration import activation_ranges
from niwaki.export.int8.layers import quantizable_layers
from niwaki.export.int8.quantize import quantize_model
from niwaki.export.int8.realised import Realised, realised_precisions
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from tests.export.networks import run

X = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))


class Rows(nn.Module):
    """Two products with parameters, the first of which may have a bias."""

    def __init__(self, add: Callable[[Tensor, Tensor], Tensor], *bias: int) -> None:
        super().__init__()
        self.add = add
        self.w, self.v = nn.Parameter(torch.randn(16, 32)), nn.Parameter(torch.randn(32, 8))
        self.b = nn.Parameter(torch.randn(bias))

    def forward(self, image: Tensor) -> Tensor:
        return torch.relu(self.add(image @ self.w, self.b)) @ self.v


def fast(module: nn.Module) -> onnx.ModelProto:
    return build_graph(module, [X.shape], input_names=["image"])


def general(module: nn.Module) -> onnx.ModelProto:
    return export_module(module, [X], input_names=["image"])


@pytest.mark.parametrize("write", [fast, general])
@pytest.mark.parametrize("bias", [(32,), (1, 32)])
def test_a_product_and_its_bias_run_in_int8(
    bias: tuple[int, ...], write: Callable[[nn.Module], onnx.ModelProto]
) -> None:
    module = Rows(torch.add, *bias).eval()
    model, target = write(module), OnnxRuntimeCpu()
    assert [node.op_type for node in model.graph.node] == ["Gemm", "Relu", "MatMul"]
    assert quantizable_layers(model) == ["matmul", "matmul:2"]
    (found,) = run(model, X.numpy()).values()
    np.testing.assert_allclose(found, module(X).detach(), atol=1e-4)
    plan = target.capabilities.plan(dict.fromkeys(quantizable_layers(model), Precision.INT8))
    ranges = activation_ranges(model, [{"image": X.numpy()}])
    quantized = quantize_model(model, plan, ranges)
    realised = realised_precisions(target.optimised(quantized), quantized)
    assert set(realised.values()) == {Realised.INT8}


@pytest.mark.parametrize(
    ("add", "bias"),
    [
        (torch.add, ()),
        (torch.mul, (32,)),
        (lambda x, b: (x + b) * x, (32,)),
        (lambda x, b: x[:, None] + b, (32,)),
    ],
)
def test_what_is_no_bias_stays_a_sum_of_its_own(
    add: Callable[[Tensor, Tensor], Tensor], bias: tuple[int, ...]
) -> None:
    model = fast(Rows(add, *bias).eval())
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("MatMul") == 2 and "Gemm" not in kinds

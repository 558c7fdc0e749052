"""Q/DQ insertion: a float graph and a plan in, a graph that the runtime runs in int8 out."""

from collections.abc import Mapping

import onnx

from niwaki.compress.quantization.plan import QuantizationPlan


def quantize_model(
    model: onnx.ModelProto,
    plan: QuantizationPlan,
    ranges: Mapping[str, tuple[float, float]],
) -> onnx.ModelProto:
    """Return `model` with the layers of `plan` in int8."""
    raise NotImplementedError

"""Equal weights of different layers stay apart while torch's exporter simplifies a graph.

It takes equal small constants for one, and operations that then read the same for one, too. So of
two heads that both start at zero, or two layers cloned from one, the second lost its name, or
itself; a plan that names it would fit the graph before training, or after, but not both.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import onnx_ir
from onnx_ir.passes import PassResult
from onnx_ir.passes.common import DeduplicateInitializersPass

from niwaki.export.graph_index import WEIGHTED


@contextmanager
def weights_apart() -> Iterator[None]:
    """Let equal constants be merged inside the block, but not the weights and biases of layers."""
    merge = DeduplicateInitializersPass.call

    def merge_others(self: DeduplicateInitializersPass, model: onnx_ir.Model) -> PassResult:
        # What has no value is passed over.
        values = {weight: weight.const_value for weight in _weights(model)}
        for weight in values:
            weight.const_value = None
        try:
            return merge(self, model)
        finally:
            for weight, value in values.items():
                weight.const_value = value

    DeduplicateInitializersPass.call = merge_others  # type: ignore[method-assign]
    try:
        yield
    finally:
        DeduplicateInitializersPass.call = merge  # type: ignore[method-assign]


def _weights(model: onnx_ir.Model) -> Iterator[onnx_ir.Value]:
    """Yield the constants that layers read."""
    for node in model.graph:
        if node.op_type in WEIGHTED:
            yield from (v for v in node.inputs[1:] if v is not None and v.is_initializer())

"""Equal layers, and equal weights of different layers, stay apart in torch's exporter.

It takes equal small constants for one, and operations that then read the same for one, too. So of
two heads that both start at zero, or two layers cloned from one, the second lost its name, or
itself; a plan that names it would fit the graph before training, or after, but not both. So did the
second call of a layer on the same features, which the fast path writes as a layer of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import onnx_ir
from onnx_ir.passes import PassResult
from onnx_ir.passes.common import CommonSubexpressionEliminationPass, DeduplicateInitializersPass

from niwaki.export.graph.index import WEIGHTED

_NUMBER = "niwaki_number"


@contextmanager
def weights_apart() -> Iterator[None]:
    """Let equal nodes and constants be merged inside the block, but no layers or their weights."""
    merge_constants = DeduplicateInitializersPass.call
    merge_nodes = CommonSubexpressionEliminationPass.call

    def merge_other_constants(
        self: DeduplicateInitializersPass, model: onnx_ir.Model
    ) -> PassResult:
        # What has no value is passed over.
        values = {weight: weight.const_value for weight in _weights(model)}
        for weight in values:
            weight.const_value = None
        try:
            return merge_constants(self, model)
        finally:
            for weight, value in values.items():
                weight.const_value = value

    def merge_other_nodes(
        self: CommonSubexpressionEliminationPass, model: onnx_ir.Model
    ) -> PassResult:
        # What has attributes of its own is not merged.
        layers = [node for node in model.graph if node.op_type in WEIGHTED]
        for number, node in enumerate(layers):
            node.attributes[_NUMBER] = onnx_ir.AttrInt64(_NUMBER, number)
        try:
            return merge_nodes(self, model)
        finally:
            for node in layers:
                del node.attributes[_NUMBER]

    DeduplicateInitializersPass.call = merge_other_constants  # type: ignore[method-assign]
    CommonSubexpressionEliminationPass.call = merge_other_nodes  # type: ignore[method-assign]
    try:
        yield
    finally:
        DeduplicateInitializersPass.call = merge_constants  # type: ignore[method-assign]
        CommonSubexpressionEliminationPass.call = merge_nodes  # type: ignore[method-assign]


def _weights(model: onnx_ir.Model) -> Iterator[onnx_ir.Value]:
    """Yield the constants that layers read."""
    for node in model.graph:
        if node.op_type in WEIGHTED:
            yield from (v for v in node.inputs[1:] if v is not None and v.is_initializer())

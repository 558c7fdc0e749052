"""The layers of an ONNX graph that can run in int8."""

import onnx


def quantizable_layers(model: onnx.ModelProto) -> list[str]:
    """Return the paths of the layers that can run in int8, in the order of the graph."""
    raise NotImplementedError

"""Export: ONNX graphs, Q/DQ insertion, verification, model cards."""

"""ONNX graphs: read, written, with other numbers in them, named by a module's layers."""

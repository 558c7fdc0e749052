"""Trained models that are given as ONNX files, read into torch modules."""

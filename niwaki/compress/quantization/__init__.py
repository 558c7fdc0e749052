"""Quantization: plans, observers, and the numbers behind Q/DQ pairs."""

"""Quantization: plans, observers, and the numbers behind Q/DQ pairs."""

from niwaki.compress.quantization.plan import ActivationType, Precision, QuantizationPlan

__all__ = ["ActivationType", "Precision", "QuantizationPlan"]

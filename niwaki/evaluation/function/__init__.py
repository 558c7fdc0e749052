"""Evaluation by a function of the user's: decisions in, values out."""

from niwaki.evaluation.function.evaluator import FunctionEvaluator
from niwaki.evaluation.function.settings import FunctionSettings, NamedValue

__all__ = ["FunctionEvaluator", "FunctionSettings", "NamedValue"]

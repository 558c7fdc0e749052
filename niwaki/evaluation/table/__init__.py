"""Evaluation by looking up: a table of networks measured before, how it is read, its rows."""

from niwaki.evaluation.table.evaluator import TableEvaluator
from niwaki.evaluation.table.settings import TableSettings, ValueColumn

__all__ = ["TableEvaluator", "TableSettings", "ValueColumn"]

"""Runs beside each other: what each found, on one scale, and what it spent on that."""

from niwaki.study.comparison.compared_run import ComparedRun
from niwaki.study.comparison.comparison import Comparison, Group, compare_runs

__all__ = ["ComparedRun", "Comparison", "Group", "compare_runs"]

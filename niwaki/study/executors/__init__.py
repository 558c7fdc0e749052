"""Executors: who runs the evaluations, and where."""

from niwaki.study.executors.base import Executor, Finished, Job

__all__ = ["Executor", "Finished", "Job"]

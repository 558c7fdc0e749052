"""Executors: who runs the evaluations, and where."""

from niwaki.study.executors.base import Executor, Finished, Job
from niwaki.study.executors.in_process import InProcessExecutor
from niwaki.study.executors.local_processes import LocalProcessExecutor, LocalProcessSettings

__all__ = [
    "Executor",
    "Finished",
    "InProcessExecutor",
    "Job",
    "LocalProcessExecutor",
    "LocalProcessSettings",
]

"""The executors that configuration files can name."""

from pathlib import Path

from niwaki.core.registry import Record, Registry
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors.in_process import InProcessExecutor

# Each factory takes (evaluator, settings, logs=folder).
EXECUTORS = Registry(
    "executors",
    (
        Record(
            "local_processes",
            "worker processes on this machine",
            "niwaki.study.executors.local_processes:LocalProcessExecutor",
        ),
        Record(
            "ray",
            "worker processes on a Ray cluster, or on a Ray of its own",
            "niwaki.study.executors.ray_cluster:create",
            needs=("ray",),
            check="niwaki.study.executors.ray_cluster:require_cluster",
        ),
        Record(
            "in_process",
            "one evaluation after another in the search's own process: for debugging",
            "niwaki.study.executors.registry:in_process",
        ),
    ),
)


def in_process(evaluator: Evaluator, settings: None, *, logs: Path) -> InProcessExecutor:  # noqa: ARG001
    """Return the executor that runs everything here; it has no settings and no logs."""
    return InProcessExecutor(evaluator)

"""The executor `ray`: its settings, and how it is made. Ray itself is imported on use."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from niwaki.core.errors import ConfigError
from niwaki.core.limits import require_at_least, require_positive
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors.base import Executor
from niwaki.study.record.run_folder import RunFolder

# What Ray itself names so, and what to do instead.
RAYS_OWN = {
    "CPU": "give `num_cpus` instead",
    "GPU": "give `num_gpus` instead",
    "memory": "leave it out, since workers reserve none",
    "object_store_memory": "leave it out, since workers reserve none",
}


@dataclass(frozen=True)
class RayClusterSettings:
    """How evaluations are spread over a Ray cluster.

    Attributes:
        address: `auto` joins the cluster that runs on this machine, or that RAY_ADDRESS names;
            `host:port` joins that one; `local`, or nothing, starts a Ray on this machine that ends
            with the search.
        n_workers: How many evaluations may run at once, at least 1. Workers that find no place
            wait for one: a cluster that grows is filled as it does.
        num_cpus: Processors that each worker reserves; may be a fraction.
        num_gpus: GPUs that each worker reserves; below 1 it may be a fraction.
        resources: What else each worker reserves, by the names that the nodes were started with.
        target_resource: Resource that the nodes with the target device were started with, such as
            `raspi4` after `ray start --resources='{"raspi4": 1}'`. Each worker takes one unit, so
            evaluations, and the latencies in them, happen on these nodes alone. Start the search
            on one of them, too: it calibrates the target, and times the finalists, where it runs.
            Empty for any node.
        n_threads: Threads of each numeric library in each worker, at least 1.
        timeout_s: Longest evaluation, loading data on first use, and waiting for the
            measurements of other runs, included; None has no limit.
        n_retries: How often a candidate whose worker or node was lost is tried again, on another
            node if one is free.
        start_timeout_s: Longest time from a worker's first sign of life until it is ready.
        place_timeout_s: How long to wait while no worker at all has a place in the cluster; None
            waits as long as it takes.
        n_start_failures: How many starts in a row may fail before a worker is given up.
        runtime_env: Ray's description of what workers need, if they do not have it: `working_dir`,
            `py_modules`, `pip`, `env_vars` and so on.

    Raises:
        ConfigError: On what cannot work, or if Ray is not installed.
    """

    address: str = "auto"
    n_workers: int = 2
    num_cpus: float = 1.0
    num_gpus: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)
    target_resource: str = ""
    n_threads: int = 1
    timeout_s: float | None = None
    n_retries: int = 1
    start_timeout_s: float = 300.0
    place_timeout_s: float | None = 60.0
    n_start_failures: int = 3
    runtime_env: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if find_spec("ray") is None:  # found out now, and not after hours of preparation
            raise ConfigError(
                "executor 'ray' needs Ray, which is not installed: pip install 'niwaki[ray]'"
            )
        counts = {"n_workers": 1, "n_threads": 1, "n_retries": 0, "n_start_failures": 1}
        require_at_least(self, {**counts, "num_cpus": 0, "num_gpus": 0})
        limits = ("timeout_s", "start_timeout_s", "place_timeout_s")
        require_positive(self, *(name for name in limits if getattr(self, name) is not None))
        if self.address.startswith("ray://"):
            raise ConfigError(
                f"'address' is '{self.address}', which goes through Ray Client: start the search "
                "on a node of the cluster, and give 'auto' or 'host:port'"
            )
        self._check_resources()

    def _check_resources(self) -> None:
        if self.num_gpus > 1 and self.num_gpus % 1:
            raise ConfigError(
                f"'num_gpus' is {self.num_gpus}: give a share of one GPU, or a whole number of them"
            )
        for name, amount in self.resources.items():
            if name in RAYS_OWN:
                raise ConfigError(f"'resources' names {name}: {RAYS_OWN[name]}")
            if not amount > 0:
                raise ConfigError(f"resource '{name}' is {amount}: give a number above 0")
        if self.target_resource in RAYS_OWN:
            raise ConfigError(
                f"'target_resource' is '{self.target_resource}', which Ray gives every node: name "
                "one that only nodes with the target device were started with"
            )
        if self.target_resource in self.resources:
            raise ConfigError(
                f"'{self.target_resource}' is the target's resource and listed in `resources` as "
                "well: leave it out there"
            )

    @property
    def local(self) -> bool:
        """Whether a Ray of its own is started."""
        return self.address in ("", "local")

    @property
    def custom_resources(self) -> dict[str, float]:
        """What each worker reserves beside processors and GPUs."""
        target = {self.target_resource: 1.0} if self.target_resource else {}
        return {**self.resources, **target}

    @property
    def demand(self) -> dict[str, float]:
        """Everything that each worker reserves, by Ray's names."""
        processors = {"CPU": self.num_cpus, "GPU": self.num_gpus}
        reserved = {**processors, **self.custom_resources}
        return {name: amount for name, amount in reserved.items() if amount > 0}


def require_cluster(settings: RayClusterSettings) -> None:
    """Raise if there is no cluster to join: better known before a network is trained for hours.

    Raises:
        ConfigError: If Ray refuses `runtime_env`.
        StudyError: If it cannot be joined. A Ray of one's own is not tried.
    """
    _keep_ray_quiet()
    from niwaki.study.executors.ray_session import require_runtime_env, visit_session

    require_runtime_env(settings)
    if not settings.local:
        visit_session(settings)


def create(evaluator: Evaluator, settings: RayClusterSettings, *, logs: Path) -> Executor:
    """Return the executor that a configuration describes.

    Args:
        evaluator: Prepared.
        settings: What the file says.
        logs: The folder `logs` of a run folder.
    """
    _keep_ray_quiet()
    from niwaki.study.executors.ray_executor import RayExecutor

    artifacts = RunFolder(logs.parent).artifacts
    return RayExecutor(evaluator, settings, logs=logs, artifacts=artifacts)


def _keep_ray_quiet() -> None:
    # Ray prints what befalls its nodes and processes on standard output, where results belong, and
    # reads this when it is imported. What matters is in the reason of the evaluation that it cost.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")

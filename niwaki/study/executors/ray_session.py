"""Joining a Ray cluster, or starting a Ray of one's own, without hanging and without noise."""

import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError
from ray.runtime_env import RuntimeEnv

from niwaki.core.errors import ConfigError, StudyError
from niwaki.core.registry import nearest
from niwaki.study.executors.failures import explain
from niwaki.study.executors.ray_cluster import RayClusterSettings

# Ray itself tries a dead address for several minutes.
PROBE_S = 10.0
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nobody is told
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray's next version does; warns if unset
}


def open_session(settings: RayClusterSettings) -> bool:
    """Connect this process to Ray, unless it is connected already.

    Returns:
        Whether the connection was made here, and so is to be closed by `ray.shutdown`.

    Raises:
        ConfigError: If Ray refuses `runtime_env`.
        StudyError: If there is no cluster, it cannot be joined, or no Ray can be started.
    """
    if ray.is_initialized():
        if settings.runtime_env:
            raise StudyError(
                "this process is connected to Ray already, so `runtime_env` comes too late: give "
                "it to `ray.init`, or leave the connecting to the executor"
            )
        return False
    address = os.environ.get("RAY_ADDRESS", "auto") if settings.address == "auto" else ""
    address = address or settings.address
    if not settings.local and address != "auto":
        _probe(address)
    _init(settings, "local" if settings.local else address)
    return True


def require_runtime_env(settings: RayClusterSettings) -> None:
    """Raise if Ray cannot use `runtime_env`, or would pass over a part of it.

    Raises:
        ConfigError: With what is wrong.
    """
    known = sorted(name for name in RuntimeEnv.known_fields if not name.startswith("_"))
    # Whoever extends Ray may have fields of their own.
    for name in () if "RAY_RUNTIME_ENV_PLUGINS" in os.environ else settings.runtime_env:
        if name not in known:
            raise ConfigError(
                f"'runtime_env' has '{name}'{nearest(name, known)} Ray knows {', '.join(known)}"
            )
    try:
        RuntimeEnv(**settings.runtime_env)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"Ray does not start with this 'runtime_env': {explain(error)}"
        ) from error


def visit_session(settings: RayClusterSettings) -> None:
    """Connect this process to Ray as `open_session` does, and leave again what it did not find.

    Raises:
        ConfigError, StudyError: As `open_session` does.
    """
    if open_session(settings):
        ray.shutdown()


def no_place(demand: Mapping[str, float]) -> str:
    """Return why no worker has a place in the cluster, and what to do about it."""
    wanted = _spelled(demand)
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    totals = [node["Resources"] for node in nodes if node["Alive"]]
    if any(_fits(demand, total) for total in totals):
        available: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
        free = {name: available.get(name, 0.0) for name in demand}
        if _fits(demand, free):
            return (
                f"no worker has started, although the cluster has free what one takes ({wanted}): "
                "starting processes takes long there, or what is free is not on one node. Wait "
                "longer (`place_timeout_s`)"
            )
        return (
            f"all places for a worker ({wanted}) are taken; of these the cluster has free: "
            f"{_spelled(free)}. Wait until others are done, or wait longer (`place_timeout_s`)"
        )
    offered = "; ".join(_spelled({n: t.get(n, 0.0) for n in demand}) for t in totals)
    return (
        f"no node of the cluster can hold a worker, which takes {wanted}; the nodes have: "
        f"{offered}. Ask for less, or start a node that has it (`ray start --resources='{{...}}'`)"
    )


def _fits(demand: Mapping[str, float], total: Mapping[str, float]) -> bool:
    return all(total.get(name, 0.0) >= amount for name, amount in demand.items())


def _spelled(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {amount:g}" for name, amount in resources.items()) or "nothing"


def _init(settings: RayClusterSettings, address: str) -> None:
    n = settings.n_workers
    with _environment(ENVIRONMENT), _own_sigterm():
        try:
            ray.init(
                address=address,
                # A Ray of one's own offers what the workers take: this machine is the device.
                num_cpus=math.ceil(n * settings.num_cpus) if settings.local else None,
                resources={k: math.ceil(n * v) for k, v in settings.custom_resources.items()}
                if settings.local
                else None,
                include_dashboard=False if settings.local else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env=dict(settings.runtime_env) or None,
            )
        except (RayError, RuntimeError, TypeError, ValueError, OSError) as error:
            if settings.runtime_env and isinstance(error, TypeError | ValueError):
                raise ConfigError(
                    f"Ray does not start with this 'runtime_env': {explain(error)}"
                ) from error
            raise StudyError(_explained(error, settings)) from error


def _explained(error: Exception, settings: RayClusterSettings) -> str:
    cause = explain(error).rstrip(".")
    if settings.local:
        return f"Ray cannot be started on this machine: {cause}"
    return (
        f"the Ray cluster at '{settings.address}' cannot be joined: {cause}. Start one "
        "with `ray start --head` and run the same command again, or set `address: local`"
    )


def _probe(address: str) -> None:
    """Raise if nobody listens at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=PROBE_S):
            return
    except (OSError, ValueError) as error:
        raise StudyError(
            f"there is no Ray cluster at '{address}' ({explain(error)}): give the host:port that "
            "`ray start --head` printed, or set `address: local`"
        ) from error


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables that are not set, for the processes that are started meanwhile."""
    missing = [name for name in variables if name not in os.environ]
    os.environ.update({name: variables[name] for name in missing})
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep this process's own answer to SIGTERM, which Ray would replace."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)

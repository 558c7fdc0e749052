"""Clusters that are not there are named at once."""

import re
import signal
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

import ray

from niwaki.config.build import build_study
from niwaki.config.reader import parse_config
from niwaki.core.errors import ConfigError, StudyError
from niwaki.study.executors.ray_cluster import RayClusterSettings, require_cluster
from niwaki.study.executors.ray_session import no_place, open_session
from tests.command_line import FORMULAS
from tests.study.formulas import FormulaEvaluator


def silent_address() -> str:
    """Return an address at which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def _no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_a_dead_address_is_an_error_with_a_remedy() -> None:
    address = silent_address()
    with pytest.raises(StudyError, match=rf"no Ray cluster at '{address}'.*ray start --head"):
        open_session(RayClusterSettings(address=address))


def test_a_cluster_that_is_not_there_is_told_before_anything_is_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FormulaEvaluator, "prepare", failing(AssertionError("too early")))
    executor = {"kind": "ray", "address": silent_address()}
    study = build_study(parse_config({**FORMULAS, "executor": executor}), tmp_path / "run")
    with pytest.raises(StudyError, match="there is no Ray cluster at"):
        study.run()


def test_an_address_without_a_port_is_an_error() -> None:
    with pytest.raises(StudyError, match=r"no Ray cluster at 'head'.*host:port"):
        open_session(RayClusterSettings(address="head"))


def test_the_address_of_the_environment_is_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    address = silent_address()
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(StudyError, match=address):
        open_session(RayClusterSettings(address="auto"))


def failing(error: Exception) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> None:
        raise error

    return call


def test_no_running_cluster_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ConnectionError("Could not find any running Ray instance.")
    monkeypatch.setattr(ray, "init", failing(error))
    with pytest.raises(
        StudyError,
        match=r"'auto' cannot be joined.*[^.]\. Start one with `ray start --head`.*local",
    ):
        open_session(RayClusterSettings(address="auto"))


@pytest.mark.parametrize("address", ["local", "auto"])
def test_an_environment_that_ray_refuses_is_told(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = TypeError("runtime_env['env_vars'] must be of type Dict[str, str]")
    monkeypatch.setattr(ray, "init", failing(refused))
    settings = RayClusterSettings(address=address, runtime_env={"env_vars": {"DEPTH": 3}})
    with pytest.raises(ConfigError, match=r"this 'runtime_env': TypeError: .*Dict\[str, str\]"):
        open_session(settings)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"env_var": {"DEPTH": "3"}}, "did you mean 'env_vars'"),
        ({"env_vars": {"DEPTH": 3}}, r"TypeError: .*Dict\[str, str\]"),
        ({"working_dir": "nowhere"}, "nowhere is not a valid path"),
    ],
)
def test_an_environment_that_cannot_be_is_told_before_anything_is_prepared(
    given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        require_cluster(RayClusterSettings(address="local", runtime_env=given))


def test_an_environment_that_can_be_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {"env_vars": {"DEPTH": "3"}, "working_dir": ".", "pip": ["scipy"]}
    require_cluster(RayClusterSettings(address="local", runtime_env=given))
    monkeypatch.setenv("RAY_RUNTIME_ENV_PLUGINS", "[]")
    require_cluster(RayClusterSettings(address="local", runtime_env={"of_ours": 1}))


@pytest.mark.slow
def test_a_ray_of_its_own_has_enough_of_what_is_shared() -> None:
    shares = RayClusterSettings(address="local", n_workers=3, num_cpus=0.5, resources={"pi": 0.5})
    assert open_session(shares)
    try:
        offered: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        assert offered["pi"] == offered["CPU"] == 2
    finally:
        ray.shutdown()


def test_the_answer_to_sigterm_stays_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    monkeypatch.setattr(ray, "init", init)
    before = signal.getsignal(signal.SIGTERM)
    assert open_session(RayClusterSettings(address="local"))
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_connected_process_cannot_be_given_an_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    assert not open_session(RayClusterSettings())
    with pytest.raises(StudyError, match=r"`runtime_env` comes too late"):
        open_session(RayClusterSettings(runtime_env={"working_dir": "."}))


@pytest.mark.parametrize(
    ("offered", "free", "said"),
    [
        ({"CPU": 2.0}, {"CPU": 2.0}, "no node of the cluster can hold a worker"),
        ({"CPU": 2.0, "raspi4": 1.0}, {"CPU": 2.0}, "are taken.*free: CPU 2, raspi4 0"),
        ({"CPU": 2.0, "raspi4": 1.0}, {"CPU": 2.0, "raspi4": 1.0}, "no worker has started"),
    ],
)
def test_why_there_is_no_place(
    offered: dict[str, float],
    free: dict[str, float],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": offered}])
    monkeypatch.setattr(ray, "available_resources", lambda: free)
    assert re.search(said, no_place({"CPU": 1.0, "raspi4": 1.0}))

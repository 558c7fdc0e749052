"""Settings of the executor `ray`: what is refused before anything is trained."""

from typing import Any

import pytest

from niwaki.core.errors import ConfigError
from niwaki.study.executors import ray_cluster
from niwaki.study.executors.ray_cluster import RayClusterSettings


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let settings be read where Ray is not installed, too."""
    monkeypatch.setattr(ray_cluster, "find_spec", lambda _: object())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_workers": 0}, "'n_workers' is 0"),
        ({"n_threads": 0}, "'n_threads' is 0"),
        ({"n_retries": -1}, "'n_retries' is -1"),
        ({"num_cpus": -1.0}, "'num_cpus' is -1"),
        ({"timeout_s": -1.0}, "'timeout_s' is -1"),
        ({"timeout_s": 0.0}, "'timeout_s' is 0"),
        ({"place_timeout_s": -1.0}, "'place_timeout_s' is -1"),
        ({"start_timeout_s": 0.0}, "'start_timeout_s' is 0"),
        ({"resources": {"CPU": 2}}, "give `num_cpus` instead"),
        ({"resources": {"memory": 1e9}}, "names memory: leave it out"),
        ({"target_resource": "GPU"}, "'GPU', which Ray gives every node"),
        ({"num_gpus": 1.5}, "'num_gpus' is 1.5: give a share of one GPU, or a whole number"),
        ({"resources": {"board": 0}}, "resource 'board' is 0"),
        ({"resources": {"board": 1}, "target_resource": "board"}, "leave it out there"),
        ({"address": "ray://head:10001"}, "Ray Client"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RayClusterSettings(**settings)


def test_without_ray_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'niwaki\[ray\]'"):
        RayClusterSettings()


def test_a_worker_takes_what_is_named_and_one_unit_of_the_target() -> None:
    settings = RayClusterSettings(
        num_cpus=2, num_gpus=0.5, resources={"licence": 3}, target_resource="board"
    )
    assert settings.demand == {"CPU": 2, "GPU": 0.5, "licence": 3, "board": 1}
    assert RayClusterSettings(num_cpus=0).demand == {}


@pytest.mark.parametrize(("address", "local"), [("", True), ("local", True), ("auto", False)])
def test_a_ray_of_its_own_is_started_only_where_asked_for(address: str, local: bool) -> None:
    assert RayClusterSettings(address=address).local is local

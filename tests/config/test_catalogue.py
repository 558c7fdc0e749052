"""What can be named in configurations, and what this machine can do."""

import pytest

from niwaki.config.catalogue import NOUNS, catalogue
from niwaki.config.doctor import diagnose
from niwaki.config.reader import SECTIONS
from niwaki.core.errors import ConfigError


def test_every_section_that_names_a_plug_in_is_listed() -> None:
    assert all(registry in NOUNS.values() for registry in SECTIONS.values())
    assert list(catalogue()) == list(NOUNS)


def test_predictors_and_proxies_are_listed_too() -> None:
    assert {"gaussian_process", "stacking"} <= set(catalogue("predictors")["predictors"])
    assert {"synflow", "zico"} <= set(catalogue("proxies")["proxies"])


def test_one_noun_can_be_asked_for() -> None:
    assert set(catalogue("searchers")["searchers"]) >= {"random", "nsga2", "optuna"}


def test_tasks_are_the_data() -> None:
    assert catalogue("tasks") == catalogue("data")


def test_what_else_a_plug_in_needs_is_said() -> None:
    assert catalogue("data")["data"]["image_folder"].endswith("(needs pillow)")


def test_an_unknown_noun_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'serchers'; did you mean 'searchers'\? Known: sear"):
        catalogue("serchers")


def test_every_shipped_plug_in_can_be_imported() -> None:
    assert diagnose()["plugins"] == "all can be imported"

"""What can be named in configurations, and what this machine can do."""

import re
import subprocess
import sys
from importlib.metadata import requires

import pytest

from niwaki.config.catalogue import NOUNS, catalogue
from niwaki.config.doctor import EXTRAS, diagnose, found_or_remedy
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


def test_what_can_do_without_a_package_is_not_said_to_need_it() -> None:
    data = catalogue("data")["data"]
    assert not [name for name in ("cifartile", "language") if "needs" in data[name]]


def test_the_doctor_knows_every_extra_and_what_is_in_it() -> None:
    """Those of the distribution, but for `dev`."""
    found = [re.match(r"([\w-]+).*extra == '(\w+)'", line) for line in requires("niwaki") or ()]
    brought = {each.groups() for each in found if each and each[2] != "dev"}
    assert {(name, extra) for name, extra, _ in EXTRAS} == brought
    needed = {name for registry in SECTIONS.values() for each in registry for name in each.needs}
    assert needed <= {name for name, _, _ in EXTRAS}


def test_the_remedy_for_what_is_missing_is_the_extra() -> None:
    """A package alone may come in another version, and Ray without Tune."""
    said = found_or_remedy("nobody-has-this", "ray", "clusters")
    assert said == "not installed; needed for clusters: pip install 'niwaki[ray]'"


def test_an_unknown_noun_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'serchers'; did you mean 'searchers'\? Known: sear"):
        catalogue("serchers")


def test_every_shipped_plug_in_can_be_imported() -> None:
    assert diagnose()["plugins"] == "all can be imported"


def test_the_doctor_speaks_where_torch_is_missing() -> None:
    """As where models are verified alone, which needs no torch."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from niwaki.config.doctor import diagnose; print(diagnose()['device'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("torch cannot be imported: "), done.stderr

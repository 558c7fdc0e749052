"""Settings that the command line changes."""

from pathlib import Path

import pytest

from niwaki.config import read_config, study_from_config
from niwaki.config.reader import StudyConfig
from niwaki.core.errors import ConfigError
from tests.command_line import FORMULAS, write_config


def overridden(folder: Path, *overrides: str) -> StudyConfig:
    path = write_config(folder / "a.yaml", FORMULAS)
    return read_config(path, name="a", overrides=overrides)


def test_values_are_yaml(tmp_path: Path) -> None:
    config = overridden(tmp_path, "seed=7", "objectives=[gain]", "executor={kind: in_process}")
    assert (config.seed, config.objectives) == (7, ("gain",))
    assert config.executor == {"kind": "in_process"}


def test_the_last_one_wins_and_others_stay(tmp_path: Path) -> None:
    config = overridden(tmp_path, "budget.evaluations=3", "budget.evaluations=4")
    assert config.budget.evaluations == 4
    assert config.constraints == ("weight <= 1.2 * baseline",)


def test_sections_on_the_way_are_made(tmp_path: Path) -> None:
    assert overridden(tmp_path, "quantization.precisions=[int8]").quantization.precisions == (
        "int8",
    )


def test_a_section_that_is_not_there_is_of_the_default_kind(tmp_path: Path) -> None:
    formulas = {key: value for key, value in FORMULAS.items() if key != "executor"}
    path = write_config(tmp_path / "a.yaml", formulas)
    config = read_config(path, overrides=["executor.n_workers=1"])
    kind, settings = config.section("executor")
    assert (kind, settings.n_workers) == ("local_processes", 1)


def test_a_kind_alone_stands_for_its_section(tmp_path: Path) -> None:
    config = overridden(tmp_path, "searcher=linas", "searcher.n_grid=4", "executor=in_process")
    kind, settings = config.section("searcher")
    assert (kind, settings.n_grid) == ("linas", 4)
    assert config.executor == {"kind": "in_process"}
    with pytest.raises(ConfigError, match=r"'searcher.kind' is 'lina', but .* 'linas'\?"):
        overridden(tmp_path, "searcher=lina")


def test_a_value_may_hold_an_equals_sign(tmp_path: Path) -> None:
    assert overridden(tmp_path, "constraints=['gain >= 3']").constraints == ("gain >= 3",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed", "'--set seed' cannot be read: write --set budget.evaluations=20"),
        ("=3", "cannot be read"),
        ("sed=3", r"unknown key 'sed'; did you mean 'seed'\?"),
        ("budget.evaluation=3", r"'budget\.evaluation'; did you mean"),
        ("constraints.deep=3", "'constraints' holds .*, not settings"),
        ("seed=[1", "the value of '--set seed=\\[1' is not YAML"),
        ("budget.evaluations=many", "'budget.evaluations' is 'many': give a whole number"),
    ],
)
def test_a_bad_override_is_explained(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        overridden(tmp_path, text)


def test_settings_are_changed_from_python(tmp_path: Path) -> None:
    path = write_config(tmp_path / "a.yaml", FORMULAS)
    changes = {"seed": 7, "objectives": ("gain",), "searcher.kind": "random"}
    study = study_from_config(path, runs=tmp_path, name="b", overrides=changes)
    assert study.folder.path == tmp_path / "b"
    config = read_config(path, overrides=changes)
    assert (config.seed, config.objectives, config.searcher["kind"]) == (7, ("gain",), "random")
    assert read_config(path, overrides="seed=3").seed == 3
    with pytest.raises(ConfigError, match="unknown key 'sed'; did you mean 'seed'"):
        study_from_config(path, overrides={"sed": 1})
    with pytest.raises(ConfigError, match=r"'constraints' holds .*, not settings"):
        read_config(path, overrides={"constraints.deep": 3})

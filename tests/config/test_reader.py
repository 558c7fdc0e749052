"""Configuration files are read strictly, and wrong ones are explained."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from niwaki.config import read_config
from niwaki.config.reader import SECTIONS, parse_config
from niwaki.config.settings import check_keys, read_settings
from niwaki.config.yaml_file import parse_yaml
from niwaki.core.errors import ConfigError, NiwakiError, TargetError
from niwaki.spaces.einspace import EinspaceSettings
from niwaki.study.record.run_folder import RunFolder, config_hash
from niwaki.targets.protocol import QUICK, THOROUGH
from tests.command_line import FORMULAS, ROOT, TINY, write_config

SHIPPED = sorted((ROOT / "configs").glob("*.yaml"))


def changed(path: str, value: object) -> dict[str, Any]:
    """Return the tiny configuration with one dotted key set."""
    config: dict[str, Any] = yaml.safe_load(yaml.safe_dump(TINY))
    section = config
    *outer, last = path.split(".")
    for key in outer:
        section = section.setdefault(key, {})
    section[last] = value
    return config


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configurations_are_read(path: Path) -> None:
    assert read_config(path).name == path.stem


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("sed", r"unknown key 'sed'; did you mean 'seed'\?"),
        ("xyz", r"unknown key 'xyz'\. Known here: evaluator, objectives"),
        ("budget.evaluation", r"'budget\.evaluation'; did you mean 'evaluations'\?"),
        ("data.sizes", r"'data\.sizes'; did you mean 'size'\?"),
        ("evaluator.training.epoch", r"'evaluator\.training\.epoch'; did you mean 'epochs'\?"),
        ("target.quick.max_second", r"'target\.quick\.max_second'; did you mean 'max_seconds'"),
        ("executor.n_workers", r"'executor\.n_workers': 'in_process' takes no settings"),
        ("space.stages", r"'space\.stages\[1\]\.widht'; did you mean 'widths'\?"),
        ("objectives", r"'objectives\[1\]\.directon'; did you mean 'direction'\?"),
    ],
)
def test_an_unknown_key_is_named_with_its_path_and_the_nearest(path: str, said: str) -> None:
    values: dict[str, object] = {
        "space.stages": [{"widths": [8], "hidden": [8]}, {"widht": [8], "hidden": [8]}],
        "objectives": ["macs", {"name": "macs", "directon": "minimize"}],
    }
    with pytest.raises(ConfigError, match=said):
        parse_config(changed(path, values.get(path, 1)))


@dataclass(frozen=True)
class NoSettings:
    """Of a plug-in that has nothing to decide."""


def test_where_there_are_no_settings_none_are_named() -> None:
    with pytest.raises(ConfigError, match=r"key 'evaluator\.x'\. There are no settings here"):
        check_keys(NoSettings, {"x": 1}, "evaluator")


def test_a_limit_of_einspace_that_is_left_out_keeps_its_default() -> None:
    space = {"kind": "einspace", "budget": {"operations": 100, "macs": None}}
    _, settings = parse_config({**TINY, "space": space}).section("space")
    assert settings.budget == replace(EinspaceSettings().budget, operations=100, macs=None)


def test_an_effort_that_is_given_in_part_keeps_the_defaults_of_its_place() -> None:
    target = {"kind": "onnxruntime_cpu", "thorough": {"max_seconds": 9}}
    _, settings = parse_config({**TINY, "target": target}).section("target")
    assert settings.thorough == replace(THOROUGH, max_seconds=9.0)
    assert settings.quick == QUICK


def test_an_unknown_key_of_a_task_is_named_too() -> None:
    data = {"kind": "npz", "path": "a.npz", "tasks": {"age": {"kin": "regression"}}}
    with pytest.raises(ConfigError, match=r"'data\.tasks\.age\.kin'; did you mean 'kind'\?"):
        parse_config({**TINY, "data": data})


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("seed", "many", "'seed' is 'many': give a whole number"),
        ("seed", -1, "'seed' is -1: give at least 0"),
        ("seed", 1.5, "'seed' is 1.5: give a whole number"),
        ("finalists", True, "'finalists' is true: give a number"),
        ("finalists", -1, "'finalists' is -1: give at least 0"),
        ("budget.evaluations", 0, "in 'budget': 'evaluations' is 0: give at least 1"),
        ("budget.minutes", -0.5, "'minutes' is -0.5: give at least 0"),
        ("budget.minutes", float("nan"), "'budget.minutes' is nan: give a finite number"),
        ("budget.minutes", "inf", "'budget.minutes' is inf: give a finite number"),
        ("budget", "long", "'budget' must hold settings"),
        ("quantization.precisions", ["fp16"], r"\['fp16'\]: give one or more of fp32, int8"),
        ("quantization.precisions", ["int8", "int8"], "each once"),
        ("quantization.precisions", [], "give one or more of fp32, int8"),
        ("quantization.precisions", "int8", "'quantization.precisions' is 'int8': give a list"),
        ("constraints", {"latency_ms": 2}, "give a list"),
        ("constraints", ["latency_ms < 2"], "an operator other than <= and >="),
        ("constraints", [2], r"'constraints\[0\]' is 2: give text"),
        ("constraints", [None], r"'constraints\[0\]' is empty \(null\): give text"),
        ("constraints", [True], r"'constraints\[0\]' is true: give text"),
        ("objectives", [], "'objectives' is empty"),
        ("objectives", "latency_ms", "'objectives' is 'latency_ms': give a list"),
        ("objectives", [3], r"'objectives\[0\]' is 3: give text or settings"),
        ("objectives", [{"direction": "minimize"}], r"'objectives\[0\].name' is missing"),
        (
            "objectives",
            [{"name": "macs", "direction": "down"}],
            r"'objectives\[0\].direction' is 'down': give 'maximize' or 'minimize'",
        ),
        ("searcher", ["random"], r"'searcher' is \['random'\]: give settings \(key: value\)"),
        ("space.stages", [{"widths": [8]}], r"'space.stages\[0\].hidden' is missing"),
        ("space.stem_widths", ["wide"], r"'space.stem_widths\[0\]' is 'wide': give a whole"),
        ("target.threads", 0, "'threads' is 0: give at least 1 thread"),
        ("searcher", {"kind": "optuna", "sampler": ["tpe"]}, r"sampler' is \['tpe'\]: give text"),
        ("data.size", "48 px", "'data.size' is '48 px': give a whole number"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_wanted(path: str, value: object, said: str) -> None:
    with pytest.raises(NiwakiError, match=said):
        parse_config(changed(path, value))


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        ({}, r"'goals\.small\.objectives' is missing"),
        ({"objectives": []}, r"in 'goals\.small': 'objectives' is empty"),
        ({"objectives": "macs"}, r"'goals\.small\.objectives' is 'macs': give a list"),
        ({"objectives": ["macs"], "tasks": "digit"}, r"'goals\.small\.tasks'; did you mean 'task'"),
        ({"objectives": ["macs"], "constraints": ["macs < 2"]}, r"in 'goals\.small': constraint"),
        (
            {"objectives": [{"name": "macs", "direction": "down"}]},
            r"'goals\.small\.objectives\[0\]\.direction' is 'down'",
        ),
        (["macs"], r"'goals\.small' must hold settings"),
    ],
)
def test_a_wrong_goal_is_named_with_what_is_wanted(goal: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_config({**TINY, "objectives": [], "goals": {"small": goal}})


def test_objectives_are_those_of_goals_or_of_the_study() -> None:
    goals = {"small": {"objectives": ["macs"]}}
    with pytest.raises(ConfigError, match="given beside 'goals', which have objectives of their"):
        parse_config({**TINY, "goals": goals})
    without = {key: value for key, value in TINY.items() if key != "objectives"}
    assert parse_config({**without, "goals": goals}).objectives == ()
    with pytest.raises(ConfigError, match="'objectives' is empty"):
        parse_config(without)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("epochs", 0, "in 'evaluator.training': 'epochs' is 0: give at least 1"),
        ("batch_size", 0, "'batch_size' is 0: give at least 2"),
        ("learning_rate", 0, "'learning_rate' is 0.0: give a number above 0"),
        ("warmup", 1, "'warmup' is 1: leave steps"),
        ("distillation", 1.1, "'distillation' is 1.1: give a number from 0 to 1"),
        ("gradient_clip", -1, "'gradient_clip' is -1.0: give a number above 0"),
        ("n_random", -1, "'n_random' is -1: give at least 0"),
        ("n_threads", -1, "'n_threads' is -1: give at least 0"),
    ],
)
def test_training_settings_have_limits(path: str, value: float, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_config(changed(f"evaluator.training.{path}", value))


@pytest.mark.parametrize(
    ("section", "given", "said"),
    [
        ("evaluator", {"kind": "supernet", "n_recalibration": 0}, "'n_recalibration' is 0"),
        (
            "evaluator",
            {"kind": "supernet", "deployment": {"observer": "minmex"}},
            r"in 'evaluator.deployment': there is no observer 'minmex'; did you mean 'minmax'\?",
        ),
        ("executor", {"kind": "local_processes", "n_workers": 0}, "n_workers must be at least 1"),
        ("searcher", {"kind": "nsga2", "population_size": 1}, "in 'searcher': 'population_size'"),
        ("searcher", {"kind": "optuna", "sampler": "tpee"}, r"did you mean 'tpe'\?"),
        (
            "searcher",
            {"kind": "optuna", "options": {"n_startup": 3}},
            r"takes no option 'n_startup'; did you mean 'n_startup_trials'\?",
        ),
    ],
)
def test_what_a_plug_in_refuses_is_refused_when_read(
    section: str, given: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_config({**TINY, section: given})


def test_what_a_target_refuses_is_told_with_its_section() -> None:
    with pytest.raises(TargetError, match="in 'target': 'threads' is 0: give at least 1"):
        parse_config(changed("target.threads", 0)).resolved()


@pytest.mark.parametrize("section", list(SECTIONS))
def test_every_section_has_a_kind_and_knows_the_nearest(section: str) -> None:
    with pytest.raises(ConfigError, match=f"'{section}.kind' is 3: choose one of"):
        parse_config({**TINY, section: {"kind": 3}})
    with pytest.raises(ConfigError, match=f"'{section}.kind' is None: choose one of"):
        parse_config({**TINY, section: {"kind": None}})
    name = SECTIONS[section].names()[0]
    said = f"'{section}.kind' is '{name}x', but there is no '{name}x' among .* mean '{name}'"
    with pytest.raises(ConfigError, match=said):
        parse_config({**TINY, section: {"kind": f"{name}x"}})


@pytest.mark.parametrize("section", ["data", "space", "evaluator", "target", "scheduler"])
def test_a_section_without_a_default_wants_a_kind(section: str) -> None:
    with pytest.raises(ConfigError, match=f"'{section}.kind' is missing: choose one of"):
        parse_config({**TINY, section: {}})


@pytest.mark.parametrize("section", ["searcher", "executor"])
def test_a_section_with_a_default_may_leave_its_kind_out(section: str) -> None:
    without = {key: value for key, value in TINY.items() if key != section}
    assert parse_config({**without, section: {}}).resolved() == parse_config(without).resolved()
    wrong = rf"unknown key '{section}\.x'.* \('{section}\.kind' is missing: '.*' is meant\)"
    with pytest.raises(ConfigError, match=wrong):
        parse_config({**without, section: {"x": 1}})


def test_numbers_may_be_written_as_yaml_does_not_read_them() -> None:
    config = parse_config(changed("evaluator.training.learning_rate", yaml.safe_load("4e-3")))
    assert config.resolved()["evaluator"]["training"]["learning_rate"] == 0.004  # type: ignore[index,call-overload]


@dataclass(frozen=True)
class Written:
    """Settings in which a number may be meant, or text."""

    text: str = ""
    texts: tuple[str, ...] = ()
    number: float = 0.0
    count: int = 0
    either: float | str = ""
    anything: Any = None


def test_what_looks_like_a_number_is_text_where_text_is_wanted() -> None:
    text = "{text: 1e5, texts: [1E-3, 12e4567], number: 1e-3, count: 1e3, either: 1e2}"
    read = read_settings(Written, parse_yaml(text, "it"), "")
    assert read == Written("1e5", ("1E-3", "12e4567"), 0.001, 1000, 100.0)
    assert read_settings(Written, parse_yaml("anything: [1e5]", "it"), "").anything == [1e5]
    with pytest.raises(ConfigError, match="'count' is 1e-3: give a whole number"):
        read_settings(Written, parse_yaml("count: 1e-3", "it"), "")


@pytest.mark.parametrize("name", ["1e5", "12e4567", ".5e2"])
def test_a_run_may_be_called_like_a_number(name: str, tmp_path: Path) -> None:
    path = write_config(tmp_path / "one.yaml", FORMULAS)
    config = read_config(path, name=name)
    assert read_config(path, overrides=[f"name={name}"]).name == name
    path.write_text(path.read_text() + f"name: {name}\n")
    assert read_config(path) == config
    folder = RunFolder(tmp_path / name)
    folder.claim(config.resolved()).release()
    assert read_config(folder.config).resolved() == config.resolved()


def test_any_optuna_sampler_can_be_configured() -> None:
    searcher = {"kind": "optuna", "sampler": "nsga3", "options": {"population_size": 8}}
    kind, settings = parse_config({**TINY, "searcher": searcher}).section("searcher")
    assert (kind, settings.sampler, settings.options) == ("optuna", "nsga3", {"population_size": 8})


@pytest.mark.parametrize("config", [TINY, FORMULAS], ids=["tiny", "formulas"])
def test_resolved_has_every_default_and_reads_back_as_the_same_study(
    config: dict[str, Any], tmp_path: Path
) -> None:
    first = read_config(write_config(tmp_path / "one.yaml", config))
    resolved = first.resolved()
    assert resolved["quantization"] == {"precisions": ["fp32", "int8"]}
    second = read_config(write_config(tmp_path / "two.yaml", dict(resolved)))
    assert second.resolved() == resolved
    assert config_hash(second.resolved()) == config_hash(resolved)


def test_defaults_of_plug_ins_are_resolved_too() -> None:
    resolved = parse_config(TINY).resolved()
    assert resolved["evaluator"]["deployment"]["observer"]  # type: ignore[index,call-overload]
    assert resolved["executor"] == {"kind": "in_process"}


def test_the_name_is_the_files_own_unless_one_is_given(tmp_path: Path) -> None:
    path = write_config(tmp_path / "garden.yaml", FORMULAS)
    assert read_config(path).name == "garden"
    assert read_config(path, name="pine").name == "pine"
    assert read_config(write_config(path, FORMULAS, name="oak")).name == "oak"


@pytest.mark.parametrize("name", ["a/b", "..", "."])
def test_a_name_that_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="a run cannot be called"):
        read_config(write_config(tmp_path / "a.yaml", FORMULAS), name=name)


def test_relative_data_paths_are_kept_as_typed() -> None:
    data = {"kind": "npz", "path": "data/a.npz", "tasks": {"age": {"kind": "regression"}}}
    resolved = parse_config({**TINY, "data": data}).resolved()
    assert resolved["data"]["path"] == "data/a.npz"  # type: ignore[index,call-overload]

"""The configuration file: YAML in, checked sections out."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from niwaki.compress.quantization.plan import Precision
from niwaki.config.settings import read_settings, settings_type
from niwaki.config.yaml_file import parse_yaml, read_yaml
from niwaki.core.constraints import Constraint
from niwaki.core.errors import ConfigError, TargetError
from niwaki.core.jsonable import JSON
from niwaki.core.limits import require_at_least
from niwaki.core.registry import Registry
from niwaki.evaluation.registry import EVALUATORS
from niwaki.search.registry import SEARCHERS
from niwaki.search.schedulers.registry import SCHEDULERS
from niwaki.spaces.registry import SPACES
from niwaki.study.executors.registry import EXECUTORS
from niwaki.targets.registry import TARGETS
from niwaki.tasks.registry import DATA

SECTIONS: Mapping[str, Registry] = {
    "data": DATA,
    "space": SPACES,
    "evaluator": EVALUATORS,
    "target": TARGETS,
    "searcher": SEARCHERS,
    "scheduler": SCHEDULERS,
    "executor": EXECUTORS,
}


@dataclass(frozen=True)
class ObjectiveConfig:
    """An objective with its direction.

    Attributes:
        name: Of a value.
        direction: `maximize` or `minimize`; empty for the value's own.
    """

    name: str
    direction: Literal["", "maximize", "minimize"] = ""


@dataclass(frozen=True)
class GoalConfig:
    """What is wanted of the networks of one goal.

    Attributes:
        objectives: Values to make good: names, or names with directions.
        constraints: Bounds on its networks, beside those on the networks of all goals.
        task: Its networks are exported so that they answer this task alone; empty for all.
    """

    objectives: tuple[str | ObjectiveConfig, ...]
    constraints: tuple[str, ...] = ()
    task: str = ""

    def __post_init__(self) -> None:
        _require_readable(self.objectives, self.constraints)


@dataclass(frozen=True)
class BudgetConfig:
    """When to stop, over all workers and all sessions.

    Attributes:
        evaluations: Evaluations that are paid for, at least 1.
        minutes: Study time, pauses between sessions left out; 0 has no limit.

    Raises:
        ConfigError: On a number out of its range.
    """

    evaluations: int = 100
    minutes: float = 0.0

    def __post_init__(self) -> None:
        require_at_least(self, {"evaluations": 1, "minutes": 0})


@dataclass(frozen=True)
class QuantizationConfig:
    """Precisions that layers may run in.

    Attributes:
        precisions: Among fp32 and int8, each once.

    Raises:
        ConfigError: On an unknown precision, a repeated one, or none.
    """

    precisions: tuple[str, ...] = ("fp32", "int8")

    def __post_init__(self) -> None:
        known = [str(precision) for precision in Precision]
        fine = set(self.precisions) <= set(known)
        if not (fine and self.precisions and len(set(self.precisions)) == len(self.precisions)):
            raise ConfigError(
                f"'precisions' is {list(self.precisions)}: give one or more of "
                f"{', '.join(known)}, each once"
            )


@dataclass(frozen=True)
class StudyConfig:
    """A configuration file.

    Each section with a `kind` names a plug-in; its other keys are that plug-in's settings. Where
    there is a default, a section may leave its `kind` out.

    Attributes:
        evaluator: How candidates are scored.
        objectives: Values to make good: names, or names with directions; none if there are goals.
        name: Of the run folder, under `runs/`; the file's name if empty.
        seed: Of everything random, at least 0.
        data: What networks are trained and scored on.
        space: What can be decided about them.
        quantization: Precisions that layers may run in.
        target: Where they run.
        constraints: Bounds, such as `latency_ms <= 2` or `depth_rmse <= 1.1 * baseline`.
        searcher: What proposes candidates.
        scheduler: What decides how much effort each of them gets; the full one if absent.
        executor: What runs evaluations.
        budget: When to stop.
        finalists: Models of the front that are exported and measured from their files.
        learn_from: Folders of earlier runs of the same space, the most alike first: begins with the
            best of them, and `surrogate` learns from all that they measured.
        goals: By name, in the place of objectives: one search, and a front for each of them.
    """

    evaluator: Mapping[str, Any]
    objectives: tuple[str | ObjectiveConfig, ...] = ()
    name: str = ""
    seed: int = 0
    data: Mapping[str, Any] | None = None
    space: Mapping[str, Any] | None = None
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)
    target: Mapping[str, Any] | None = None
    constraints: tuple[str, ...] = ()
    searcher: Mapping[str, Any] = field(default_factory=lambda: {"kind": "surrogate"})
    scheduler: Mapping[str, Any] | None = None
    executor: Mapping[str, Any] = field(default_factory=lambda: {"kind": "local_processes"})
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    finalists: int = 12
    learn_from: tuple[str, ...] | None = None
    goals: Mapping[str, GoalConfig] | None = None

    def __post_init__(self) -> None:
        require_at_least(self, {"seed": 0, "finalists": 0})
        if not self.goals:
            _require_readable(self.objectives, self.constraints)
            return
        if self.objectives:
            raise ConfigError(
                "'objectives' is given beside 'goals', which have objectives of their own: leave "
                "one of them out"
            )
        _require_readable(None, self.constraints)

    def section(self, name: str) -> tuple[str, Any]:
        """Return kind and settings of a section that names a plug-in.

        Returns:
            The kind, empty if the section is absent, and its settings, None if it takes none.

        Raises:
            ConfigError: If the kind is unknown, or missing where there is no default, or a setting
                is wrong.
        """
        given: Mapping[str, Any] | None = getattr(self, name)
        return ("", None) if given is None else read_section(name, given)

    def resolved(self) -> dict[str, JSON]:
        """Return the whole configuration with every default filled in, as plain JSON."""
        plain = dataclasses.asdict(self)
        for name in SECTIONS:
            kind, settings = self.section(name)
            plain[name] = {"kind": kind, **_plain(settings)} if kind else None
        resolved: dict[str, JSON] = json.loads(json.dumps(plain, default=str))
        return resolved


def read_section(name: str, given: Mapping[str, Any]) -> tuple[str, Any]:
    """Return kind and settings of a section that names a plug-in, as `StudyConfig.section` does.

    Raises:
        ConfigError: As there.
        TargetError: If the target refuses its settings.
    """
    rest = {key: value for key, value in given.items() if key != "kind"}
    kind = _kind_of(given, name)
    try:
        record = SECTIONS[name].find(kind)
        settings = settings_type(record.load())
    except ConfigError as error:
        raise ConfigError(f"'{name}.kind' is '{kind}', but {error}") from error
    if settings is None:
        if rest:
            key = next(iter(rest))
            raise ConfigError(
                f"unknown key '{name}.{key}': '{record.name}' takes no settings but 'kind'"
            )
        return record.name, None
    try:
        return record.name, read_settings(settings, rest, name)
    except ConfigError as error:
        if "kind" in given:
            raise
        raise ConfigError(f"{error} ('{name}.kind' is missing: '{kind}' is meant)") from error
    except TargetError as error:
        raise TargetError(f"in '{name}': {error}") from error


def _require_readable(objectives: Sequence[object] | None, constraints: Sequence[str]) -> None:
    """Raise if there are no objectives, or a constraint cannot be read."""
    if objectives is not None and not objectives:
        raise ConfigError("'objectives' is empty: give at least one, such as latency_ms")
    for text in constraints:
        Constraint.parse(text)  # its names are checked once the data are known


Overrides: TypeAlias = Mapping[str, object] | Sequence[str]


def read_config(
    path: Path | str, *, name: str = "", overrides: Overrides | str = ()
) -> StudyConfig:
    """Read a configuration file and check all of it.

    Args:
        path: The YAML file.
        name: Of the run; that in the file, or the file's own, if empty.
        overrides: Settings to change, `{"budget.evaluations": 20}`; or as text,
            `budget.evaluations=20`, whose values are YAML.

    Raises:
        ConfigError: If the file is missing or not YAML, or anything in it is wrong.
    """
    file = Path(path)
    data = read_yaml(file)
    if not isinstance(data, Mapping):
        raise ConfigError(
            f"'{path}' must hold settings (key: value), as configs/quickstart.yaml does"
        )
    for path_, value in _settings_of(overrides):
        data = with_setting(data, path_, value)
    config = parse_config(data)
    return dataclasses.replace(config, name=folder_name(name or config.name or file.stem))


def parse_config(data: Mapping[str, Any]) -> StudyConfig:
    """Check a configuration that was read, or built, elsewhere.

    Raises:
        ConfigError: If anything in it is wrong.
    """
    config = read_settings(StudyConfig, _spelled_out(data), "")
    for name in SECTIONS:
        config.section(name)
    return config


def default_kind(name: str) -> str | None:
    """Return the kind of a section that gives none; None if it has to give one."""
    [default] = [f.default_factory for f in dataclasses.fields(StudyConfig) if f.name == name]
    section = {} if default is dataclasses.MISSING else default()
    return section.get("kind") if isinstance(section, Mapping) else None


def _kind_of(section: Mapping[str, Any], name: str) -> str:
    kind = section.get("kind", default_kind(name))
    if isinstance(kind, str):
        return kind
    found = f"is {kind!r}" if "kind" in section else "is missing"
    raise ConfigError(f"'{name}.kind' {found}: choose one of {', '.join(SECTIONS[name].names())}")


def folder_name(name: str) -> str:
    """Return the name of a run if it can be that of a folder.

    Raises:
        ConfigError: If it cannot.
    """
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ConfigError(
            f"a run cannot be called '{name}': its name is that of a folder below the folder of "
            "runs (--runs), so leave out slashes"
        )
    return name


def with_override(data: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return `data` with one setting changed; sections on the way are created.

    Raises:
        ConfigError: If the text is not `path=value`, or the path leads through a value.
    """
    return with_setting(data, *_setting_of(text))


def with_setting(data: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return `data` with what is at a dotted path changed; sections on the way are created.

    Raises:
        ConfigError: If the path leads through a value.
    """
    changed = _spelled_out(data)
    section = changed
    *outer, last = path.split(".")
    for key in outer:
        below = section.get(key)
        below = {} if below is None else below
        if not isinstance(below, Mapping):
            raise ConfigError(
                f"'{path}' cannot be set to {value!r}: '{key}' holds {below!r}, not settings"
            )
        section[key] = dict(below)
        section = section[key]
    section[last] = value
    return changed


def _settings_of(overrides: Overrides | str) -> list[tuple[str, object]]:
    if isinstance(overrides, Mapping):
        return [(str(path), value) for path, value in overrides.items()]
    texts = [overrides] if isinstance(overrides, str) else overrides
    return [_setting_of(text) for text in texts]


def _setting_of(text: str) -> tuple[str, object]:
    path, equals, value = text.partition("=")
    if not (path and equals):
        raise ConfigError(f"'--set {text}' cannot be read: write --set budget.evaluations=20")
    return path, parse_yaml(value, f"the value of '--set {text}'")


def _spelled_out(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration; sections that are a kind alone, `executor: ray`, as settings."""
    return {
        key: {"kind": value} if key in SECTIONS and isinstance(value, str) else value
        for key, value in data.items()
    }


def _plain(settings: object) -> dict[str, Any]:
    if settings is None:
        return {}
    assert dataclasses.is_dataclass(settings)
    assert not isinstance(settings, type)
    return dataclasses.asdict(settings)

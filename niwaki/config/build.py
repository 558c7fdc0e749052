"""From a configuration to a study."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from niwaki.config.reader import (
    SECTIONS,
    GoalConfig,
    ObjectiveConfig,
    Overrides,
    StudyConfig,
    read_config,
)
from niwaki.core.blame import raised_by
from niwaki.core.calls import misfit, unwritten
from niwaki.core.errors import ConfigError
from niwaki.core.fidelity import Fidelities
from niwaki.core.files import cannot_write
from niwaki.core.objectives import Direction, Objective
from niwaki.core.registry import named_by
from niwaki.core.wording import kind_of
from niwaki.evaluation.base import Evaluator
from niwaki.evaluation.registry import Ingredients
from niwaki.search.base import Problem, Searcher
from niwaki.search.schedulers.base import Scheduler
from niwaki.study.budget import Budget
from niwaki.study.executors.base import Executor
from niwaki.study.study import Study, StudySettings
from niwaki.study.watching.observer import Observer, Silence
from niwaki.study.wishes import GoalSettings
from niwaki.targets.base import Target
from niwaki.tasks.base import TaskData

# What plug-ins are called with by position, settings only if they have any; and what they make.
CALLS: Mapping[str, tuple[str, ...]] = {
    "data": ("settings",),
    "target": (),
    "evaluator": ("settings", "ingredients"),
    "searcher": ("problem", "settings"),
    "scheduler": ("problem", "fidelities", "settings"),
    "executor": ("evaluator", "settings"),
}
PRODUCTS: Mapping[str, type] = {
    "data": TaskData,
    "target": Target,
    "evaluator": Evaluator,
    "searcher": Searcher,
    "scheduler": Scheduler,
    "executor": Executor,
}
NONE: Mapping[str, object] = {}


def study_from_config(
    path: Path | str,
    *,
    runs: Path | str = "runs",
    name: str = "",
    overrides: Overrides | str = (),
    observer: Observer | None = None,
) -> Study:
    """Return the study that a configuration file describes; `run` starts or continues it.

    Args:
        path: The YAML file.
        runs: Folder of run folders.
        name: Of the run; that in the file, or the file's own, if empty.
        overrides: Settings to change, `{"seed": 1, "searcher.kind": "nsga2"}`; or as text, as on
            the command line.
        observer: Watches.

    Raises:
        ConfigError: If anything in the file is wrong.
    """
    runs = Path(runs).absolute()  # the user's code may change the working directory
    config = read_config(path, name=name, overrides=overrides)
    return build_study(config, runs / config.name, observer=observer)


def build_study(config: StudyConfig, folder: Path, *, observer: Observer | None = None) -> Study:
    """Return the study that `config` describes, in `folder`."""
    # Before plug-ins are made, which may change the working directory.
    folder, resolved = folder.absolute(), config.resolved()
    observer = observer or Silence()
    kind, settings = config.section("searcher")
    scheduler = config.section("scheduler")
    # They are made after long preparations: what cannot be called should be known now.
    checked_factory("searcher", kind, None, settings)
    SECTIONS["searcher"].find(kind).examine(settings)
    checked_factory("scheduler", scheduler[0] or "full", None, None, *given_settings(scheduler[1]))
    executor = config.section("executor")
    checked_factory("executor", executor[0], None, executor[1], named={"logs": None})
    return Study(
        folder,
        build_evaluator(config, notify=observer.say),
        partial(_searcher, kind, settings),
        StudySettings(
            objectives=tuple(map(_objective, config.objectives)),
            goals={name: _goal(goal) for name, goal in (config.goals or {}).items()},
            constraints=config.constraints,
            budget=Budget(config.budget.evaluations, config.budget.minutes * 60 or math.inf),
            n_finalists=config.finalists,
            seed=config.seed,
            searcher=kind,
            scheduler=scheduler[0],
            config=resolved,
            learn_from=config.learn_from or (),
        ),
        make_scheduler=partial(_scheduler, *scheduler),
        make_executor=partial(_executor, *executor, folder / "logs"),
        check_executor=partial(SECTIONS["executor"].find(executor[0]).examine, executor[1]),
        observer=observer,
    )


def build_evaluator(config: StudyConfig, *, notify: Callable[[str], None]) -> Evaluator:
    """Return the evaluator that `config` describes."""
    kind, settings = config.section("evaluator")
    _, space = config.section("space")
    target_kind, settings_of_target = config.section("target")
    target = made_target(target_kind, settings_of_target) if target_kind else None
    if config.space is not None and space is None:
        raise ConfigError(
            f"'space.kind' is '{config.space['kind']}', which has no settings: name the dataclass "
            "of the space's options, or a factory with an argument `settings` of that type"
        )
    ingredients = Ingredients(
        space=space,
        load_data=_data_loader(config),
        target=target,
        precisions=config.quantization.precisions,
        seed=config.seed,
        notify=notify,
        alone=tuple(dict.fromkeys(g.task for g in (config.goals or {}).values() if g.task)),
    )
    evaluator: Evaluator = _made("evaluator", kind, settings, ingredients)
    return evaluator


def made_target(kind: str, settings: object) -> Target:
    """Return the target of a section: its settings are the target itself, if it has any.

    Raises:
        ConfigError: If the kind makes something else.
    """
    made = _made("target", kind) if settings is None else settings
    target: Target = _checked_product("target", kind, made)
    return target


def _data_loader(config: StudyConfig) -> Callable[[], TaskData] | None:
    kind, settings = config.section("data")
    if not kind:
        return None
    checked_factory("data", kind, settings, named={"seed": config.seed})
    return partial(_load_data, kind, settings, config.seed)


def _load_data(kind: str, settings: object, seed: int) -> TaskData:
    with named_by("in 'data'"):
        data: TaskData = _made("data", kind, settings, named={"seed": seed})
    return data


def _searcher(kind: str, settings: Any, problem: Problem) -> Searcher:
    searcher: Searcher = _made("searcher", kind, problem, settings)
    return searcher


def _scheduler(kind: str, settings: Any, problem: Problem, fidelities: Fidelities) -> Scheduler:
    scheduler: Scheduler = _made(
        "scheduler", kind or "full", problem, fidelities, *given_settings(settings)
    )
    return scheduler


def given_settings(settings: object | None) -> tuple[object, ...]:
    """Return what a scheduler is called with behind its other arguments: settings if it has any."""
    return () if settings is None else (settings,)


def _made(section: str, kind: str, *arguments: object, named: Mapping[str, object] = NONE) -> Any:
    """Return what a plug-in makes, called with arguments by position and by name.

    Raises:
        ConfigError: If it makes something else than plug-ins of its section do.
    """
    make = checked_factory(section, kind, *arguments, named=named)
    with raised_by(f"'{kind}', which '{section}.kind' names"):
        made = make(*arguments, **named)
    return _checked_product(section, kind, made)


def _checked_product(section: str, kind: str, made: object) -> Any:  # what it is depends on section
    wanted = PRODUCTS[section]
    if not isinstance(made, wanted):
        raise ConfigError(
            f"'{section}.kind' is '{kind}', which made {kind_of(made)}: it must be a "
            f"{wanted.__module__}.{wanted.__qualname__}"
        )
    return made


def checked_factory(
    section: str, kind: str, *arguments: object, named: Mapping[str, object] = NONE
) -> Callable[..., Any]:
    """Return the factory of a plug-in that takes arguments such as these.

    Raises:
        ConfigError: If it takes others, or is a class of something else, or an abstract one.
    """
    make = SECTIONS[section].find(kind).load()
    wanted = PRODUCTS[section]
    if isinstance(make, type) and not issubclass(make, wanted):
        raise ConfigError(
            f"'{section}.kind' is '{kind}', a class of something else: it must be a "
            f"{wanted.__module__}.{wanted.__qualname__}, or a function that makes one"
        )
    if missing := ", ".join(f"`{name}`" for name in sorted(unwritten(make))):
        raise ConfigError(
            f"'{section}.kind' is '{kind}', a class without {missing}: write what is missing, as "
            f"{wanted.__module__}.{wanted.__qualname__} describes it"
        )
    if fault := misfit(make, CALLS[section][: len(arguments)], named):
        raise ConfigError(f"'{section}.kind' is '{kind}', which {fault}. Give it these parameters")
    return make


def _executor(kind: str, settings: Any, logs: Path, evaluator: Evaluator) -> Executor:
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(logs, error) from error
    executor: Executor = _made("executor", kind, evaluator, settings, named={"logs": logs})
    return executor


def _goal(given: GoalConfig) -> GoalSettings:
    return GoalSettings(tuple(map(_objective, given.objectives)), given.constraints, given.task)


def _objective(given: str | ObjectiveConfig) -> str | Objective:
    if isinstance(given, str):
        return given
    if not given.direction:
        return given.name
    return Objective(given.name, Direction(given.direction))

"""From a configuration to a study."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from niwaki.config.reader import SECTIONS, ObjectiveConfig, StudyConfig, read_config
from niwaki.core.fidelity import Fidelities
from niwaki.core.objectives import Direction, Objective
from niwaki.evaluation.base import Evaluator
from niwaki.evaluation.registry import Ingredients
from niwaki.search.base import Problem, Searcher
from niwaki.search.schedulers.base import Scheduler
from niwaki.study.budget import Budget
from niwaki.study.executors.base import Executor
from niwaki.study.observer import Observer, Silence
from niwaki.study.study import Study, StudySettings


def study_from_config(
    path: Path | str, *, runs: Path | str = "runs", observer: Observer | None = None
) -> Study:
    """Return the study that a configuration file describes; `run` starts or continues it.

    Args:
        path: The YAML file.
        runs: Folder of run folders.
        observer: Watches.

    Raises:
        ConfigError: If anything in the file is wrong.
    """
    config = read_config(path)
    return build_study(config, Path(runs) / config.name, observer=observer)


def build_study(config: StudyConfig, folder: Path, *, observer: Observer | None = None) -> Study:
    """Return the study that `config` describes, in `folder`."""
    observer = observer or Silence()
    kind, settings = config.section("searcher")
    scheduler = config.section("scheduler")
    return Study(
        folder,
        build_evaluator(config, notify=observer.say),
        partial(_searcher, kind, settings),
        StudySettings(
            objectives=tuple(map(_objective, config.objectives)),
            constraints=config.constraints,
            budget=Budget(config.budget.evaluations, config.budget.minutes * 60 or math.inf),
            n_finalists=config.finalists,
            seed=config.seed,
            searcher=kind,
            scheduler=scheduler[0],
            config=config.resolved(),
        ),
        make_scheduler=partial(_scheduler, *scheduler),
        make_executor=partial(_executor, *config.section("executor"), folder / "logs"),
        observer=observer,
    )


def build_evaluator(config: StudyConfig, *, notify: Callable[[str], None]) -> Evaluator:
    """Return the evaluator that `config` describes."""
    kind, settings = config.section("evaluator")
    _, space = config.section("space")
    target_kind, target = config.section("target")
    if target_kind and target is None:
        target = SECTIONS["target"].find(target_kind).load()()
    ingredients = Ingredients(
        space=space,
        load_data=_data_loader(config),
        target=target,
        precisions=config.quantization.precisions,
        seed=config.seed,
        notify=notify,
    )
    evaluator: Evaluator = SECTIONS["evaluator"].find(kind).load()(settings, ingredients)
    return evaluator


def _data_loader(config: StudyConfig) -> Callable[[], Any] | None:
    kind, settings = config.section("data")
    return partial(_load_data, kind, settings, config.seed) if kind else None


def _load_data(kind: str, settings: Any, seed: int) -> Any:  # the plug-in knows its settings
    return SECTIONS["data"].find(kind).load()(settings, seed=seed)


def _searcher(kind: str, settings: Any, problem: Problem) -> Searcher:
    searcher: Searcher = SECTIONS["searcher"].find(kind).load()(problem, settings)
    return searcher


def _scheduler(kind: str, settings: Any, problem: Problem, fidelities: Fidelities) -> Scheduler:
    make = SECTIONS["scheduler"].find(kind or "full").load()
    arguments = (problem, fidelities) if settings is None else (problem, fidelities, settings)
    scheduler: Scheduler = make(*arguments)
    return scheduler


def _executor(kind: str, settings: Any, logs: Path, evaluator: Evaluator) -> Executor:
    logs.mkdir(parents=True, exist_ok=True)
    executor: Executor = SECTIONS["executor"].find(kind).load()(evaluator, settings, logs=logs)
    return executor


def _objective(given: str | ObjectiveConfig) -> str | Objective:
    if isinstance(given, str):
        return given
    if not given.direction:
        return given.name
    return Objective(given.name, Direction(given.direction))

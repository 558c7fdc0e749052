"""From a run folder to what predicts its candidates."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from niwaki.config.build import build_evaluator
from niwaki.config.reader import parse_config
from niwaki.config.settings import read_settings, settings_type
from niwaki.core.blame import raised_by
from niwaki.core.calls import misfit, unwritten
from niwaki.core.errors import ConfigError, DataError, RunFolderError
from niwaki.core.jsonable import JSON
from niwaki.core.wording import kind_of
from niwaki.evaluation.base import Evaluator
from niwaki.predictors.base import Predictor
from niwaki.predictors.registry import PREDICTORS
from niwaki.spaces.base import Space
from niwaki.spaces.described import space_from_json
from niwaki.study.answers.prediction import RunPredictor, run_predictor
from niwaki.study.results.run import Run

# Sections of what proposed and ran the evaluations, which may not be installed here.
OF_THE_SEARCH = ("searcher", "scheduler", "executor")


def load_predictor(
    run: Path | str, *, names: Sequence[str] = (), predictor: Predictor | str | None = None
) -> RunPredictor:
    """Return what predicts the candidates of a run, fitted on everything that it measured.

    Values that cost nothing to know are computed where the run was started from a configuration.

    Args:
        run: Folder of a run, finished or not, that was started from a configuration, or whose
            space is one of choices, as that of `niwaki compress` is.
        names: Values to predict; the objectives and what constraints are on, if empty.
        predictor: What learns in the place of the standard one: unfitted, or the name of one of
            `niwaki list predictors` or of your own, `my_file.py:Mine`, made with its defaults.

    Raises:
        RunFolderError: If there is no run at `run`.
        ConfigError: If a name is of no value of the run, its space is not known, or the predictor's
            name is of something else.
        DataError: If your own predictor gives what is no prediction.
        StudyError: If too few evaluations are complete.
    """
    found = Run.read(Path(run))
    learner = _named(predictor) if isinstance(predictor, str) else predictor
    config = found.folder.read_config()
    if isinstance(config.get("evaluator"), Mapping):
        evaluator = _evaluator(found, config)
        space, cheap = evaluator.space, evaluator.cheap
        return run_predictor(found, space, names=names, cheap=cheap, predictor=learner)
    return run_predictor(found, _described_space(found), names=names, predictor=learner)


def _evaluator(run: Run, config: Mapping[str, JSON]) -> Evaluator:
    """Return the evaluator of a run, which knows its space; files that it names are looked for."""
    about = {key: value for key, value in config.items() if key not in OF_THE_SEARCH}
    try:
        evaluator = build_evaluator(parse_config(about), notify=lambda _: None)
        _ = evaluator.space  # which reads what it is made from
    except (ConfigError, DataError) as error:
        raise type(error)(
            f"the space of '{run.folder.path}' is made anew from what its "
            f"{run.folder.config.name} names: {str(error).removesuffix('.')}. If it lies where the "
            "search was started, ask from there"
        ) from error
    return evaluator


def _named(name: str) -> Predictor:
    """Return a predictor by its name, with its default settings."""
    make = PREDICTORS.find(name).load()
    if missing := ", ".join(f"`{name}`" for name in sorted(unwritten(make))):
        raise ConfigError(f"the predictor '{name}' is a class without {missing}: write these")
    if fault := misfit(make, ("settings",)):
        raise ConfigError(f"the predictor '{name}' {fault}. Give it these parameters")
    settings = _default_settings(name, make)
    with raised_by(f"the predictor '{name}'"):
        made: object = make(settings)
    if not isinstance(made, Predictor):
        raise ConfigError(
            f"the predictor '{name}' is {kind_of(made)}: it must be a niwaki.predictors.base."
            "Predictor"
        )
    return made


def _default_settings(name: str, make: Callable[..., object]) -> object:
    """Return what a predictor is made with: the defaults of its settings, None if it has none."""
    try:
        kind = settings_type(make)
        return None if kind is None else read_settings(kind, None, "")
    except ConfigError as error:
        raise ConfigError(
            f"the predictor '{name}' cannot be made with its defaults: {error}; or make it "
            "yourself, `load_predictor(run, predictor=...)`"
        ) from error


def _described_space(run: Run) -> Space:
    path = run.folder.space
    if not path.exists():
        raise ConfigError(
            f"the run '{run.folder.path}' was started from Python over a space that no file "
            "describes: build it again, and ask `run_predictor(run, space)`"
        )
    try:
        return space_from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"'{path}' cannot be read ({error}): start the same search again to rewrite it"
        ) from error

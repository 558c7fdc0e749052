"""From a run folder to what predicts its candidates."""

from collections.abc import Sequence
from pathlib import Path

from niwaki.config.build import build_evaluator
from niwaki.config.reader import parse_config
from niwaki.study.prediction import RunPredictor, run_predictor
from niwaki.study.run import Run


def load_predictor(run: Path | str, *, names: Sequence[str] = ()) -> RunPredictor:
    """Return what predicts the candidates of a run, fitted on everything that it measured.

    Args:
        run: Folder of a run that was started from a configuration, finished or not.
        names: Values to predict; the objectives and what constraints are on, if empty.

    Raises:
        RunFolderError: If there is no run at `run`.
        ConfigError: If a name is of no value of the run, or it was not started from a file.
        StudyError: If too few evaluations are complete.
    """
    found = Run.read(Path(run))
    config = parse_config(found.folder.read_config())
    evaluator = build_evaluator(config, notify=lambda _: None)
    return run_predictor(found, evaluator.space, names=names)

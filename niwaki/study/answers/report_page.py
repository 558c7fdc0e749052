"""From a run folder to its report page."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from niwaki.core.errors import ConfigError
from niwaki.core.fidelity import FULL
from niwaki.core.files import cannot_write, write_text_atomically
from niwaki.core.measurement import Trial
from niwaki.report.data import ReportData
from niwaki.report.page import build_report
from niwaki.study.results.run import Run

TITLE_END = b"niwaki report</title>"  # within so much of every report's beginning:
HEAD_BYTES = 4096


def write_report(run: Run, to: Path | None = None) -> Path:
    """Write the report of a run, finished or not: of all its goals, where it has any.

    Args:
        run: The run; as one of its goals sees it for a page of that goal alone.
        to: The HTML file; `report.html` in the run folder if not given, or `report-<goal>.html`.

    Returns:
        The file.

    Raises:
        ConfigError: If there is a file already that is no report.
        RunFolderError: If it cannot be written.
    """
    text = build_report(*map(report_data, run.goals or (run,)))
    return write_page(to or run.folder.report(goal=run.goal), text, TITLE_END)


def write_page(page: Path, text: str, title_end: bytes) -> Path:
    """Write a page where there is none, or in place of one of its kind.

    Args:
        page: The file.
        text: What it is to hold.
        title_end: What every page of its kind has within its first `HEAD_BYTES`.

    Raises:
        ConfigError: If there is a file already that is none of its kind.
        RunFolderError: If it cannot be written.
    """
    _require_own_or_nothing(page, title_end)
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(page, error) from error
    write_text_atomically(page, text)
    return page


def _require_own_or_nothing(page: Path, title_end: bytes) -> None:
    """Raise on a file of the user's: a slip of the keyboard should not cost it."""
    if not page.is_file():
        return
    try:
        with page.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise cannot_write(page, error) from error
    if title_end not in head:
        kind = title_end.decode().removeprefix("niwaki ").partition("<")[0]
        raise ConfigError(
            f"'{page}' exists and is no {kind} of niwaki: give another file, or delete it"
        )


def report_data(run: Run) -> ReportData:
    """Return what the report shows of a run."""
    history, description, front = run.history, run.description, run.front
    knee, chosen = front.knee, front.chosen
    sessions = run.folder.sessions()
    shown = [row for row, trial in enumerate(history.trials) if _belongs(trial)]
    return ReportData(
        study=description.name,
        goal=run.goal,
        task=_task_of(run),
        objectives=description.objectives,
        trials=[history.trials[row] for row in shown],
        status="running" if run.running else "finished",
        created="" if history.started is None else history.started.at,
        finished="" if run.running else history.last_at,
        seed=description.seed,
        searcher=description.searcher,
        n_partial=len(history.trials) - len(shown),
        effort=history.effort,
        budget=description.n_evaluations,
        seconds=history.seconds,
        config_yaml=run.folder.config_text() if run.folder.config.exists() else "",
        environment=sessions[-1]["environment"] if sessions else {},
        target_id=_target_id(run),
        bounds=run.bounds,
        final_bounds=run.front_bounds,
        baseline=None if history.baseline is None else history.baseline.measurement,
        baseline_candidate=None if history.baseline is None else history.baseline.candidate,
        finals=history.exported,
        unexported=history.unexported,
        front_keys=tuple(model.key for model in front.models),
        spare_keys=tuple(model.key for model in run.spare),
        knee_key="" if knee is None else knee.key,
        chosen_keys=() if chosen is None else (chosen.key,),
        chosen_because="" if chosen is None or front.choice is None else front.choice.why,
        hypervolume=[run.hypervolume[row] for row in shown],
        told_at_seconds=[history.told_at[row] for row in shown],
        repeat_command=_repeat_command(run),
        export_command=_export_command(run),
    )


def _task_of(run: Run) -> str:
    """Return what networks of the run's goal answer alone; empty if they answer every task."""
    only = run.description.only
    return "" if only is None else only.task


def _export_command(run: Run) -> str:
    of_goal = f" --goal {shlex.quote(run.goal)}" if run.goal else ""
    folder = shlex.quote(str(run.folder.path))
    return f"niwaki export {folder} --to out/ --model {{key}}{of_goal}"


def _repeat_command(run: Run) -> str:
    """Return what does the same again; empty for a run that was started from Python."""
    path = run.folder.config
    if not path.exists() or not isinstance(run.folder.read_config().get("evaluator"), Mapping):
        return ""
    name = f"{run.description.name}-again"
    return f"niwaki search {shlex.quote(str(path))} --name {shlex.quote(name)}"


def _belongs(trial: Trial) -> bool:
    """Whether the report counts a trial: at full effort; and failures at any, for their reasons."""
    return trial.measurement.fidelity >= FULL or not trial.measurement.complete


def _target_id(run: Run) -> str:
    """Return where latency was measured; empty if nowhere."""
    ids = (trial.measurement.target_id for trial in run.history.trials)
    return next((target_id for target_id in ids if target_id), "")

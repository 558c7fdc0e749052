"""Every trial of a run: as a table for people, as CSV for data frames, and as JSON."""

import csv
import io
from collections.abc import Iterator, Mapping

from niwaki.core.constraints import Bound
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Trial, whole
from niwaki.core.numerals import numeral
from niwaki.core.wording import for_spreadsheet, for_terminal
from niwaki.study.answers.tables import columns
from niwaki.study.results.cells import column_name, decision_cell
from niwaki.study.results.run import Run

BEFORE = ("number", "key", "status", "fidelity")  # columns of the CSV before values and decisions
BEHIND = ("seconds", "study_seconds", "seed", "worker", "breaks", "reason")  # and behind them
LONGEST_REASON = 60  # characters in the table for people


def trials_text(run: Run) -> str:
    """Return a line per trial, in the order in which they were told: objectives, or why not.

    Of those that have all objectives, the bounds that they break are told.
    """
    bounds = _bounds(run)
    objectives = run.description.objectives
    wanted = [objective.name for objective in objectives]
    names = [for_terminal(name) for name in wanted]
    rows = [["model", "trial", "status", "effort", *names, "seconds", ""]]
    for trial, _ in _told(run):
        measured = trial.measurement
        # Complete for what is shown, it may still say what another goal lacks.
        reason = "" if whole(measured, wanted).complete else measured.reason
        if not reason and (broken := _broken(bounds, measured.values)):
            reason = f"breaks {'; '.join(broken)}"
        rows.append(
            [
                measured.key[:8],
                "baseline" if trial.number < 0 else str(trial.number),
                str(measured.status),
                f"{measured.fidelity:.3g}",
                *(
                    numeral(measured.values[o.name]) if o.name in measured.values else ""
                    for o in objectives
                ),
                numeral(measured.seconds),
                _cut(for_terminal(" ".join(reason.split()))),
            ]
        )
    return columns(rows)


def trials_csv(run: Run) -> str:
    """Return a line per trial: what came of it, every value, and every decision.

    The baseline, if it is measured, is first; its number is -1. Cells of values and decisions that
    a trial does not have are empty; decisions that are no number and no text are spelled as in
    JSON. `breaks` has the bounds that its values break, such as `latency_ms <= 2`, after the goal's
    name where not all goals have them. A value with the name of a column that every trial has is in
    `number (value)`, and a decision with the name of a column before it in `width (decision)`. What
    a spreadsheet would take for a formula has an apostrophe before it in names and reasons alone:
    decisions are data.
    """
    trials = list(_told(run))
    declared = (*run.description.objectives, *run.description.values)
    measured = (name for trial, _ in trials for name in trial.measurement.values)
    values = list(dict.fromkeys([*(o.name for o in declared), *measured]))
    decisions = list(
        dict.fromkeys(path for trial, _ in trials for path, _ in trial.candidate.items)
    )
    fixed = {*BEFORE, *BEHIND}
    value_heads = [column_name(name, "value", fixed) for name in values]
    decision_heads = [column_name(path, "decision", fixed | set(value_heads)) for path in decisions]
    buffer, bounds = io.StringIO(), _bounds(run)
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*BEFORE, *value_heads, *decision_heads, *BEHIND])
    for trial, at in trials:
        own, decided = trial.measurement, trial.candidate.decisions
        writer.writerow(
            [
                *(trial.number, own.key, own.status, own.fidelity),
                *(own.values.get(name) for name in values),
                *(decision_cell(decided, path) for path in decisions),
                *(round(own.seconds, 6), round(at, 3), own.seed, own.worker),
                "; ".join(_broken(bounds, own.values)),
                for_spreadsheet(own.reason),
            ]
        )
    return buffer.getvalue()


def trials_json(run: Run) -> dict[str, JSON]:
    """Return every trial as a JSON object, `breaks` as in the CSV."""
    bounds = _bounds(run)
    return {
        "schema": 1,
        "objectives": [objective.to_json() for objective in run.description.objectives],
        "trials": [
            {
                "number": trial.number,
                "study_seconds": round(at, 3),
                "candidate": trial.candidate.to_json(),
                **trial.measurement.to_json(),
                "breaks": [*_broken(bounds, trial.measurement.values)],
            }
            for trial, at in _told(run)
        ],
    }


def _told(run: Run) -> Iterator[tuple[Trial, float]]:
    """Yield the baseline and the trials, each with the study time in seconds when it was told."""
    history = run.history
    if history.baseline is not None:
        yield history.baseline, history.baseline_at
    yield from zip(history.trials, history.told_at, strict=True)


def _bounds(run: Run) -> Mapping[str, Bound]:
    """Return what binds networks, by what it is called: those of one goal after its name."""
    description, history = run.description, run.history
    bounds = {str(bound): bound for bound in history.bounds(description.shared_constraints)}
    for goal in description.named_goals:
        for bound in history.bounds(goal.constraints):
            if str(bound) not in bounds:
                bounds[f"{goal.name}: {bound}"] = bound
    return bounds


def _broken(bounds: Mapping[str, Bound], values: Mapping[str, float]) -> list[str]:
    return [called for called, bound in bounds.items() if bound.violation(values) > 0.0]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 3]}..."

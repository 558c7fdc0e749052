"""Runs and fronts as text for terminals, and as JSON for programs."""

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from niwaki.core.constraints import Bound
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Status
from niwaki.core.numerals import numeral
from niwaki.core.objectives import Objective
from niwaki.core.reasons import ReasonCounts
from niwaki.core.wording import for_terminal
from niwaki.study.budget import spent
from niwaki.study.description import StudyDescription
from niwaki.study.results.front import Front
from niwaki.study.results.misses import LOOSEN, nearest_miss
from niwaki.study.results.run import Run

N_REASONS = 5
LONGEST_DECISIONS = 400  # characters: of larger spaces, `--csv` and `--json` tell


def front_text(run: Run) -> str:
    """Return the front of a run as a table, or why it is empty; and what is missing from it.

    Of a run with goals, all of their fronts, each below its name.
    """
    if run.goals:
        return "\n\n".join(f"goal {_goal_title(each)}\n{front_text(each)}" for each in run.goals)
    return "\n".join(
        [_front_or_why(run), *_knee_lines(run), *_spare_lines(run), *_unexported_lines(run)]
    )


def _knee_lines(run: Run) -> list[str]:
    """Return what was decided for the knee where that is all there is of it, as no file is."""
    knee = run.front.knee
    if knee is None or run.front.exports:
        return []
    decided = for_terminal(str(knee.candidate))
    return [f"knee: {decided}"] if len(decided) <= LONGEST_DECISIONS else []


def _goal_title(run: Run) -> str:
    return for_terminal(run.goal)


def _front_or_why(run: Run) -> str:
    if run.front.models:
        return front_table(run.front)
    if run.spare:
        return "the front is empty: no model that was exported keeps to the constraints"
    finals = run.history.exported
    trials = [trial for trial in run.history.full_trials if trial.measurement.complete]
    if finals:  # then these alone are on the front, by what their files measured
        exported = [trial for trial in trials if trial.candidate.key in finals]
        trials = [replace(t, measurement=finals[t.candidate.key]) for t in exported]
    judged = trials or run.history.trials
    miss = nearest_miss(judged, run.front_bounds)
    if miss:
        loosen = "loosen that" if run.n_wished else LOOSEN
        return (
            f"the front is empty: none of {len(judged)} models keeps to the constraints. Of the "
            f"nearest, {miss}: search on with a larger budget, or {loosen}"
        )
    if finals:
        names = ", ".join(dict.fromkeys(bound.name for bound in run.front_bounds))
        return f"the front is empty: no exported model has {names}"
    failed = [t for t in run.history.full_trials if t.measurement.status is Status.FAILED]
    if failed:
        return (
            f"the front is empty: {len(failed)} evaluations with full effort failed, the last one "
            f"because {failed[-1].measurement.cause}"
        )
    return "the front is empty: no model has been measured with full effort yet"


def front_table(front: Front) -> str:
    """Return the front as a table: a row per model, a column per objective."""
    if not front.models:
        return "the front is empty: no feasible model yet"
    roles = front.roles
    heads = ["model", "trial", *(_head(o) for o in front.objectives), ""]
    rows = [
        [
            model.key[:8],
            "baseline" if model.number < 0 else str(model.number),
            *(numeral(model.values[o.name]) for o in front.objectives),
            ", ".join(roles.get(model.key, ())),
        ]
        for model in front.models
    ]
    return columns([heads, *rows])


def status_text(run: Run) -> str:
    """Return how far a run is, in lines for people."""
    history, description, running = run.history, run.description, run.running
    reasons = ReasonCounts()
    for failure in run.failures:
        reasons.add(failure.reason)
    lines = [
        f"{description.name}: {'running' if running else 'not running'}, "
        f"{_searched(description)}seed {description.seed}",
        f"{spent(history, description.n_evaluations)} evaluations in {history.seconds:.0f} s, "
        f"{_pending(history.n_pending, running=running)}, "
        f"{len(history.trials) - history.n_paid} infeasible by a cheap count, "
        f"{len(run.failures)} failed",
    ]
    failed = [f"failed x{n}: {reason}" for n, reason in reasons.lines(N_REASONS)]
    if not run.goals:
        return "\n".join([*lines, *_found_lines(run), *failed, *_model_lines(run)])
    for each in run.goals:
        found = [*_lacking_lines(run, each), *_found_lines(each), *_model_lines(each)]
        lines += [f"goal {_goal_title(each)}:", *(f"  {line}" for line in found)]
    return "\n".join([*lines, *failed])


def _lacking_lines(run: Run, seen: Run) -> list[str]:
    """Return how many evaluations lack what one goal wants, and others do not."""
    lacking = _n_lacking(run, seen)
    return [f"{lacking} evaluations lack a value of it"] if lacking else []


def _n_lacking(run: Run, seen: Run) -> int:
    return len(seen.failures) - len(run.failures)


def _found_lines(run: Run) -> list[str]:
    """Return how far the front is, and what bounds it."""
    return [
        f"front while searching: {run.growth}",
        _front_line(run),
        *_spare_lines(run),
        *_unexported_lines(run),
        *(_bound_line(*pair) for pair in zip(run.bounds, run.front_bounds, strict=True)),
    ]


def _model_lines(run: Run) -> list[str]:
    """Return the values of notable models: the baseline, the chosen one, the knee."""
    objectives, front = run.description.objectives, run.front
    lines = _baseline_lines(run)
    if front.chosen is not None and front.choice is not None:
        lines.append(f"chosen: {_named(front.chosen.values, objectives)} ({front.choice.why})")
    if front.knee is not None:
        lines.append(f"knee: {_named(front.knee.values, objectives)}")
    return lines


def status_json(run: Run) -> dict[str, JSON]:
    """Return how far a run is, for programs."""
    history, description, running = run.history, run.description, run.running
    return {
        "name": description.name,
        "running": running,
        "searcher": description.searcher,
        "scheduler": description.scheduler,
        "seed": description.seed,
        "budget": {"evaluations": description.n_evaluations, "seconds": description.seconds},
        "evaluations": round(history.effort, 6),
        "paid": history.n_paid,
        "paid_by_fidelity": {f"{f:.6g}": n for f, n in history.paid_by_fidelity().items()},
        "in_flight": history.n_pending if running else 0,
        "interrupted": 0 if running else history.n_pending,
        "infeasible": len(history.trials) - history.n_paid,
        "failed": len(run.failures),
        "failures": dict(Counter(failure.reason for failure in run.failures)),
        "seconds": round(history.seconds, 3),
        **_found_json(run),
    }


def _found_json(run: Run) -> dict[str, JSON]:
    """Return how far the front is, or that of each goal."""
    if run.goals:
        return {
            "goals": {
                each.goal: {"lacking": _n_lacking(run, each), **_found_json(each)}
                for each in run.goals
            }
        }
    history = run.history
    return {
        "front": len(run.front),
        "exported": len(history.exported),
        "spare": [model.key for model in run.spare],
        "not_exported": {key: final.reason for key, final in history.unexported.items()},
        "growth": run.growth.factor,
    }


def _pending(n: int, *, running: bool) -> str:
    """Return what n evaluations are that were asked for and not told."""
    if running or not n:
        return f"{n} in flight"
    return f"{n} interrupted (repeated when the search continues)"


def _front_line(run: Run) -> str:
    n_models, n_exported = len(run.front), len(run.history.exported)
    return (
        f"front: {n_models} model{'' if n_models == 1 else 's'}, "
        f"{f'of {n_exported} that were' if n_exported else 'none'} exported"
    )


def _unexported_lines(run: Run) -> list[str]:
    """Return which finalists are on no front for want of a file, and why."""
    failed = list(run.history.unexported.items())
    lines = [
        f"{key[:8]} could not be exported: {' '.join(final.reason.split())}"
        for key, final in failed[:N_REASONS]
    ]
    n_more = len(failed) - len(lines)
    return [*lines, f"{n_more} more could not be exported: --json lists them"] if n_more else lines


def _spare_lines(run: Run) -> list[str]:
    """Return how many models of the search's front no finalist was made of."""
    n = len(run.spare)
    if not n:
        return []
    more = "more " if run.front.models else ""
    those = "model of the search's front was" if n == 1 else "models of the search's front were"
    wanted = len(run.searched_front)
    remedy = f"run the same again with `finalists: {wanted}` (compress: `--finalists {wanted}`)"
    return [f"{n} {more}{those} not exported: {remedy}"]


def export_line(run: Run) -> str:
    """Return the command that writes the exported models of a run; empty if there are none."""
    fronts = [run.front, *run.front.goals.values()]
    if not any(model.final is not None for front in fronts for model in front.models):
        return ""
    return f"\nexport: niwaki export {shlex.quote(str(run.folder.path))} --to out/"


def _bound_line(searched: Bound, exported: Bound) -> str:
    if searched == exported:
        return f"bound: {searched}"
    return f"bound: {searched} while searching, {exported} of exported files"


def _baseline_lines(run: Run) -> list[str]:
    """Return what the baseline is, also by its file, since the front is what files are by then.

    Files are scored on another split: what a chosen one loses is not to be told from the search's.
    """
    baseline, objectives = run.history.baseline, run.description.objectives
    if baseline is None:
        return []
    searched = _named(baseline.measurement.values, objectives)
    final = run.history.exported.get(baseline.candidate.key)
    exported = searched if final is None else _named(final.values, objectives)
    if exported == searched:
        return [f"baseline: {searched}"]
    return [f"baseline: {searched} while searching; of its exported file, {exported}"]


def _searched(description: StudyDescription) -> str:
    """Return the names of what searched, as far as they were given."""
    names = {"searcher": description.searcher, "scheduler": description.scheduler}
    return "".join(f"{what} {name}, " for what, name in names.items() if name)


def _head(objective: Objective) -> str:
    return f"{for_terminal(objective.name)} ({'max' if objective.sign < 0 else 'min'})"


def _named(values: Mapping[str, float], objectives: tuple[Objective, ...]) -> str:
    return ", ".join(f"{o.name} {numeral(values[o.name])}" for o in objectives if o.name in values)


def columns(rows: list[list[str]]) -> str:
    """Return rows of cells as lines in which columns stand below each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)

"""A comparison as CSV for spreadsheets, and as JSON for programs."""

import csv
import io
from collections.abc import Mapping

from niwaki.core.jsonable import JSON, finite_or_none
from niwaki.core.wording import for_spreadsheet
from niwaki.study.comparison.compared_run import ComparedRun
from niwaki.study.comparison.comparison import Comparison, Group
from niwaki.study.comparison.scale import REFERENCE
from niwaki.study.comparison.spread import Spread

FIXED = ("group", "run", "folder", "searcher", "seed", "running")  # of the CSV, before figures


def comparison_csv(comparison: Comparison) -> str:
    """Return one line per run: its group, where it lies, what it is, and its figures.

    A cell is empty where there is no number: a best value of nothing, or evaluations that never
    sufficed for a share. Before a name that a spreadsheet would take for a formula, such as `=1+1`,
    stands an apostrophe.
    """
    names = [figure.name for figure in comparison.figures]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*FIXED, *names])
    for group in comparison.groups:
        for run in group.runs:
            values = [finite_or_none(run.figures[name]) for name in names]
            words = [group.name, *_identity(run).values()]
            writer.writerow([*map(_cell, words), *values])
    return buffer.getvalue()


def _cell(value: JSON) -> JSON:
    return for_spreadsheet(value) if isinstance(value, str) else value


def comparison_json(comparison: Comparison) -> dict[str, JSON]:
    """Return a comparison as a JSON object; null stands where the CSV's cell is empty."""
    scale, objectives = comparison.scale, comparison.objectives
    corners = {"ideal": scale.ideal, "nadir": scale.nadir}
    return {
        "schema": 1,
        "objectives": [objective.to_json() for objective in objectives],
        "within": list(comparison.within),
        "exported": comparison.exported,
        "joined": {
            "points": comparison.joined.tolist(),
            "hypervolume": scale.volume,
            "reference": REFERENCE,
            **{
                name: {
                    o.name: finite_or_none(o.sign * value)
                    for o, value in zip(objectives, corner.tolist(), strict=True)
                }
                for name, corner in corners.items()
            },
        },
        "groups": [_group_json(group) for group in comparison.groups],
        "runs": [_run_json(run, group) for group in comparison.groups for run in group.runs],
        "notes": list(comparison.notes),
    }


def _group_json(group: Group) -> dict[str, JSON]:
    return {
        "name": group.name,
        "runs": [run.name for run in group.runs],
        "seeds": list(group.seeds),
        "settings": group.settings,
        "figures": {name: _spread_json(spread) for name, spread in group.figures.items()},
    }


def _spread_json(spread: Spread) -> dict[str, JSON]:
    values = {"median": spread.median, "low": spread.low, "high": spread.high}
    return {name: finite_or_none(value) for name, value in values.items()}


def _run_json(run: ComparedRun, group: Group) -> dict[str, JSON]:
    figures = {name: finite_or_none(value) for name, value in run.figures.items()}
    return {"group": group.name, **_identity(run), "figures": figures}


def _identity(run: ComparedRun) -> Mapping[str, JSON]:
    """Return what the run is, as `FIXED` names it after its group."""
    description = run.run.description
    return {
        "run": run.name,
        "folder": str(run.run.folder.path),
        "searcher": description.searcher,
        "seed": description.seed,
        "running": run.run.running,
    }

"""A comparison as text for terminals, as CSV for spreadsheets, and as JSON for programs."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence

from niwaki.core.jsonable import JSON, finite_or_none
from niwaki.core.numerals import numeral
from niwaki.core.wording import for_terminal
from niwaki.study.comparison.compared_run import ComparedRun
from niwaki.study.comparison.comparison import Comparison, Group
from niwaki.study.comparison.figures import SHARES, Figure, figures_for, needed_for
from niwaki.study.comparison.notes import named
from niwaki.study.comparison.scale import REFERENCE
from niwaki.study.comparison.spread import Spread
from niwaki.study.tables import columns

QUARTILES = {"low": "  lower quartile", "high": "  upper quartile"}
FIXED = ("group", "run", "folder", "searcher", "seed", "running")  # of the CSV, before figures
N_SETTINGS = 4
WISHES = ("objectives", "constraints", "goals")
MAX_CHARACTERS = 40
NEEDED = "; to 90%: evaluations until a run had so much of its hypervolume"


def comparison_text(comparison: Comparison, *, width: int = 0) -> str:
    """Return a comparison as a table and what has to be known of it.

    A line for each run; for runs of one search with different seeds, their medians and quartiles.

    Args:
        comparison: Of runs.
        width: Characters for which there is room: what is wider goes on in tables below; 0 for no
            limit.
    """
    figures = shown_figures(comparison)
    heads = ["run", *(for_terminal(figure.title) for figure in figures)]
    rows = [row for group in comparison.groups for row in _rows(group, figures)]
    lines = [_folded([heads, *rows], width), "", *_legend(comparison), *_settings(comparison)]
    return "\n".join([*lines, *(f"note: {for_terminal(note)}" for note in comparison.notes)])


def _folded(rows: Sequence[Sequence[str]], width: int) -> str:
    """Return rows as one table, or as several with the same first column if they are too wide."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    tables: list[list[int]] = [[0]]
    for column in range(1, len(widths)):
        wide = sum(widths[each] + 2 for each in tables[-1]) + widths[column]
        if width and wide > width and len(tables[-1]) > 1:
            tables.append([0])
        tables[-1].append(column)
    return "\n\n".join(columns([[row[each] for each in t] for row in rows]) for t in tables)


def headline(comparison: Comparison) -> str:
    """Return in a sentence who found most, and who needed least for most of that."""
    shares = {g.name: g.figures["share"].median for g in comparison.groups}
    known = {name: share for name, share in shares.items() if not math.isnan(share)}
    if not known:
        return "No run has a model that counts so far."
    most = max(known.values())
    first = [name for name, share in known.items() if share == most]
    who = " and ".join(f"'{name}'" for name in first)
    several = any(len(g.runs) > 1 for g in comparison.groups if g.name in first)
    median = " (median of its runs)" if several and len(first) == 1 else ""
    found = f"{who} found {most:.1%} of the hypervolume that all found together{median}"
    return f"{found}{_soonest(comparison)}."


def _soonest(comparison: Comparison) -> str:
    """Return who came first to the largest share that anyone came to, in a few words."""
    for share in () if comparison.exported else sorted(SHARES, reverse=True):
        needed = {g.name: g.figures[needed_for(share)].median for g in comparison.groups}
        reached = {name: n for name, n in needed.items() if math.isfinite(n)}
        if reached:
            least = min(reached.values())
            first = [f"'{name}'" for name, n in reached.items() if n == least]
            return f"; {share:.0%} took {' and '.join(first)} {numeral(least)} evaluations"
    return ""


def shown_figures(comparison: Comparison) -> list[Figure]:
    """Return the figures that people are shown."""
    return [
        figure
        for figure in _figures(comparison)
        if not figure.shown_if_any or any(run.figures[figure.name] for run in comparison.runs)
    ]


def _figures(comparison: Comparison) -> tuple[Figure, ...]:
    return figures_for(comparison.objectives, followed=not comparison.exported)


def _rows(group: Group, figures: Sequence[Figure]) -> list[list[str]]:
    spent = min(run.figures["evaluations"] for run in group.runs)
    name = for_terminal(group.name)

    def cells(which: str) -> list[str]:
        spreads = (group.figures[figure.name] for figure in figures)
        values = (getattr(spread, which) for spread in spreads)
        return [f.text(value, spent=spent) for f, value in zip(figures, values, strict=True)]

    if len(group.runs) == 1:
        return [[name, *cells("median")]]
    medians = [f"{name}, median of {len(group.runs)}", *cells("median")]
    return [medians, *([title, *cells(which)] for which, title in QUARTILES.items())]


def _legend(comparison: Comparison) -> list[str]:
    scale, k = comparison.scale, len(comparison.scale.points)
    return [
        "hypervolume: where the best of the joined front is 0 in each objective and its worst is "
        f"1, up to {REFERENCE}; share: of the {numeral(scale.volume)} that this front has with "
        f"{k} point{'' if k == 1 else 's'}",
        "on joined: points of it that a run has; alone: those that no other search has"
        f"{'' if comparison.exported else NEEDED}",
    ]


def _settings(comparison: Comparison) -> list[str]:
    """Return what tells the searches apart, where it is little enough to be read."""
    paths = told_settings(comparison.groups[0])
    lines = []
    for path in paths[:N_SETTINGS]:
        owners: dict[str, list[str]] = {}
        for group in comparison.groups:
            owners.setdefault(
                clipped(json.dumps(group.settings[path], ensure_ascii=False)), []
            ).append(group.name)
        each = (f"{value} in {named(names)}" for value, names in owners.items())
        lines.append(for_terminal(f"{path}: {'; '.join(each)}"))
    n_more = len(paths) - len(lines)
    return [*lines, f"{n_more} more settings differ: --json has them"] if n_more else lines


def told_settings(group: Group) -> list[str]:
    """Return the settings that people are told; of wishes that differ, notes tell already."""
    return [path for path in group.settings if path.partition(".")[0] not in WISHES]


def clipped(text: str) -> str:
    """Return the beginning of a text for which there is no room."""
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 3]}..."


def comparison_csv(comparison: Comparison) -> str:
    """Return one line per run: its group, where it lies, what it is, and its figures.

    A cell is empty where there is no number: a best value of nothing, or evaluations that never
    sufficed for a share.
    """
    names = [figure.name for figure in _figures(comparison)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*FIXED, *names])
    for group in comparison.groups:
        for run in group.runs:
            values = [finite_or_none(run.figures[name]) for name in names]
            writer.writerow([group.name, *_identity(run).values(), *values])
    return buffer.getvalue()


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

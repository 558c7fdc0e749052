"""A comparison as text for terminals."""

import json
from collections.abc import Mapping, Sequence

from niwaki.core.jsonable import JSON
from niwaki.core.numerals import numeral
from niwaki.core.wording import on_one_line
from niwaki.study.answers.tables import columns
from niwaki.study.comparison.comparison import Comparison, Group
from niwaki.study.comparison.figures import Figure
from niwaki.study.comparison.notes import named
from niwaki.study.comparison.scale import REFERENCE

QUARTILES = {"low": "  lower quartile", "high": "  upper quartile"}
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
    heads = ["run", *(on_one_line(figure.title) for figure in figures)]
    rows = [row for group in comparison.groups for row in _rows(group, figures)]
    lines = [_folded([heads, *rows], width), "", *_legend(comparison), *_settings(comparison)]
    return "\n".join([*lines, *(f"note: {on_one_line(note)}" for note in comparison.notes)])


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


def shown_figures(comparison: Comparison) -> list[Figure]:
    """Return the figures that people are shown."""
    return [
        figure
        for figure in comparison.figures
        if not figure.shown_if_any or any(run.figures[figure.name] for run in comparison.runs)
    ]


def _rows(group: Group, figures: Sequence[Figure]) -> list[list[str]]:
    spent = min(run.figures["evaluations"] for run in group.runs)
    name = on_one_line(group.name)

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
        f"1, up to {REFERENCE}{_narrow(comparison)}; share: of the {numeral(scale.volume)} that "
        f"this front has with {k} point{'' if k == 1 else 's'}",
        "on joined: points of it that a run has; alone: those that no other search has"
        f"{'' if comparison.exported else NEEDED}",
    ]


def _narrow(comparison: Comparison) -> str:
    if not comparison.narrow:
        return ""
    names = on_one_line(", ".join(comparison.narrow))
    return f"; in {names}, where this front has no width, the worst of all models is 1"


def _settings(comparison: Comparison) -> list[str]:
    """Return what tells the searches apart, where it is little enough to be read."""
    paths = told_settings(comparison.groups[0])
    lines = []
    for path in paths[:N_SETTINGS]:
        owners: dict[str, list[str]] = {}
        values = _by_kind([group.settings[path] for group in comparison.groups])
        for group, value in zip(comparison.groups, values, strict=True):
            text = "none" if value is None else json.dumps(value, ensure_ascii=False)
            owners.setdefault(text, []).append(group.name)
        each = (f"{clipped(text)} in {named(names)}" for text, names in owners.items())
        lines.append(on_one_line(f"{path}: {'; '.join(each)}"))
    n_more = len(paths) - len(lines)
    return [*lines, f"{n_more} more settings differ: --json has them"] if n_more else lines


def _by_kind(values: Sequence[JSON]) -> list[JSON]:
    """Return sections by their kinds alone, where these tell them apart; else as they are."""
    kinds = {json.dumps(v, sort_keys=True): v.get("kind") for v in values if isinstance(v, Mapping)}
    if None in kinds.values() or len(set(map(str, kinds.values()))) < len(kinds):
        return list(values)
    return [value["kind"] if isinstance(value, Mapping) else value for value in values]


def told_settings(group: Group) -> list[str]:
    """Return the settings that people are told; of wishes that differ, notes tell already."""
    return [path for path in group.settings if path.partition(".")[0] not in WISHES]


def clipped(text: str) -> str:
    """Return the beginning of a text for which there is no room."""
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 3]}..."

"""From a comparison to its page."""

import json
from pathlib import Path

from niwaki.core.jsonable import JSON
from niwaki.report.comparison import ComparisonData, Curve, FrontLine, Series, build_comparison
from niwaki.study.answers.report_page import write_page
from niwaki.study.comparison.compared_run import EVALUATIONS, SECONDS, ComparedRun
from niwaki.study.comparison.comparison import Comparison, Group
from niwaki.study.comparison.figures import Figure
from niwaki.study.comparison.headline import headline
from niwaki.study.comparison.tables import clipped, shown_figures, told_settings

TITLE_END = b"niwaki comparison</title>"
N_SETTINGS = 2


def write_comparison(comparison: Comparison, to: Path) -> Path:
    """Write the page of a comparison.

    Returns:
        The file.

    Raises:
        ConfigError: If there is a file already that is no comparison.
        RunFolderError: If it cannot be written.
    """
    return write_page(to, build_comparison(comparison_data(comparison)), TITLE_END)


def comparison_data(comparison: Comparison) -> ComparisonData:
    """Return what the page shows of a comparison."""
    figures = shown_figures(comparison)
    return ComparisonData(
        headline=headline(comparison),
        objectives=comparison.objectives,
        joined=comparison.joined,
        series=[_series(comparison, group, figures) for group in comparison.groups],
        columns=[(figure.title, str(figure.kind), figure.unit) for figure in figures],
        narrow=comparison.narrow,
        notes=comparison.notes,
    )


def _series(comparison: Comparison, group: Group, figures: list[Figure]) -> Series:
    followed = () if comparison.exported else (EVALUATIONS, SECONDS)
    spreads = [group.figures[figure.name] for figure in figures]
    return Series(
        name=group.name,
        told=_told(group),
        fronts=[_front(comparison, run, figures) for run in group.runs],
        curves={along: _curve(comparison, group, along) for along in followed},
        figures=[(spread.median, spread.low, spread.high) for spread in spreads],
    )


def _told(group: Group) -> str:
    """Return the settings that tell a search from the others, where they are few."""
    paths = told_settings(group)
    if len(paths) > N_SETTINGS:
        return ""
    values = [group.settings[path] for path in paths]
    texts = [f"{path} {_plain(value)}" for path, value in zip(paths, values, strict=True)]
    return ", ".join(map(clipped, texts))


def _plain(value: JSON) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _front(comparison: Comparison, run: ComparedRun, figures: list[Figure]) -> FrontLine:
    return FrontLine(
        run=run.name,
        numbers=run.trace.numbers[run.trace.front],
        values=comparison.front_of(run),
        figures=[run.figures[figure.name] for figure in figures],
    )


def _curve(comparison: Comparison, group: Group, along: str) -> Curve:
    band, whole = group.band(along), comparison.scale.volume or 1.0
    return Curve(
        at=band.at, median=band.median / whole, low=band.low / whole, high=band.high / whole
    )

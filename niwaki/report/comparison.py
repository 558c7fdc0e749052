"""One offline HTML page that shows runs beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError
from niwaki.core.jsonable import JSON
from niwaki.core.objectives import Objective
from niwaki.report.page import rendered
from niwaki.report.rounding import all_rounded
from niwaki.report.units import unit_of

_PAGE = "comparison"


@dataclass(frozen=True, kw_only=True)
class FrontLine:
    """The front of one run.

    Attributes:
        run: Name.
        numbers: (k,) of the trials; -1 for the baseline.
        values: (k, m) in the user's own directions.
        figures: A number for each column of the table; NaN or inf where there is none.
    """

    run: str
    numbers: NDArray[np.int64]
    values: NDArray[np.float64]
    figures: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Shares of the joined front's hypervolume along what was spent, as steps.

    Attributes:
        at: (k,) rising.
        median, low, high: (k,) from each place on.
    """

    at: NDArray[np.float64]
    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Series:
    """What is drawn in one colour: a run, or runs of one search with different seeds.

    Attributes:
        name: Of the search.
        told: What tells it from the others, in a few words; may be empty.
        fronts: Of its runs, at least one.
        curves: By what they go along, `evaluations` and `seconds`; none if nobody followed it.
        figures: Median, lower and upper quartile for each column of the table.
    """

    name: str
    told: str
    fronts: Sequence[FrontLine]
    curves: Mapping[str, Curve]
    figures: Sequence[tuple[float, float, float]]


@dataclass(frozen=True, kw_only=True)
class ComparisonData:
    """Everything that the page shows.

    Attributes:
        headline: What was found, in a sentence.
        objectives: m of them.
        joined: (k, m) the front of all runs together, in the user's own directions.
        series: At least one.
        columns: Of the table: title, kind (`number`, `share` or `needed`) and unit of each.
        notes: What has to be known, a sentence each.
        narrow: Names of objectives in which the joined front has no width, so that the worst of all
            models gives the scale.

    Raises:
        ConfigError: If there is no series, or one has not a figure for each column.
    """

    headline: str
    objectives: Sequence[Objective]
    joined: NDArray[np.float64]
    series: Sequence[Series]
    columns: Sequence[tuple[str, str, str]]
    notes: Sequence[str]
    narrow: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.series:
            raise ConfigError("a comparison shows runs, and none came")
        for each in self.series:
            counts = {len(each.figures), *(len(front.figures) for front in each.fronts)}
            if counts != {len(self.columns)}:
                raise ConfigError(
                    f"'{each.name}' has {sorted(counts)} figures for {len(self.columns)} columns: "
                    "give one for each"
                )


def build_comparison(data: ComparisonData) -> str:
    """Return the page as one HTML text that needs no network; the same data give the same text."""
    slots = {"title": _title(data.series), "headline": data.headline}
    payload: JSON = {
        "objectives": [
            {
                "name": objective.name,
                "direction": str(objective.direction),
                "unit": unit_of(objective.name, data.objectives),
            }
            for objective in data.objectives
        ],
        "joined": _columns(data.joined),
        "series": [_series(each) for each in data.series],
        "columns": [
            {"title": title, "kind": kind, "unit": unit} for title, kind, unit in data.columns
        ],
        "narrow": list(data.narrow),
        "notes": list(data.notes),
    }
    return rendered(_PAGE, slots, payload)


def _title(series: Sequence[Series]) -> str:
    names = [each.name for each in series]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _series(series: Series) -> JSON:
    return {
        "name": series.name,
        "told": series.told,
        "fronts": [_front(front) for front in series.fronts],
        "curves": {
            along: {
                "at": all_rounded(curve.at),
                "median": all_rounded(curve.median),
                "low": all_rounded(curve.low),
                "high": all_rounded(curve.high),
            }
            for along, curve in series.curves.items()
        },
        "figures": [all_rounded(spread) for spread in series.figures],
    }


def _front(front: FrontLine) -> JSON:
    return {
        "run": front.run,
        "numbers": front.numbers.tolist(),
        "values": _columns(front.values),
        "figures": all_rounded(front.figures),
    }


def _columns(values: NDArray[np.float64]) -> JSON:
    """Return (n, m) values as m columns."""
    return [all_rounded(column) for column in values.T.tolist()]

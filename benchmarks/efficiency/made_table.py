"""Kinds of tables that are not read but made, and kept in the cache: a draw decides each."""

import csv
import io
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.efficiency.scenario import Scenario
from niwaki.core.files import write_text_atomically
from niwaki.core.randomness import stream
from niwaki.evaluation.table import TableEvaluator, TableSettings, ValueColumn
from niwaki.tasks.cache import default_cache

Rows: TypeAlias = list[tuple[Any, ...]]
Columns: TypeAlias = Mapping[str, NDArray[np.float64]]

UP, DOWN = ValueColumn("maximize"), ValueColumn("minimize")


@dataclass(frozen=True)
class Kind:
    """Tables that differ by draw.

    Attributes:
        make: Gives n rows of options and (n,) values by name, of which NaN fails.
        values: By name; the first two are wanted.
        unordered: Positions of the decisions whose options are no amounts.
        cheap: Values that cost nothing to know.
    """

    make: Callable[[np.random.Generator], tuple[Rows, Columns]]
    values: Mapping[str, ValueColumn]
    unordered: Collection[int] = ()
    cheap: tuple[str, ...] = ()


@dataclass(frozen=True)
class MadeTable:
    """One table of a kind.

    Attributes:
        group: `made` from formulas, or `trained`.
        name: Of the kind.
        kind: What it is.
        draw: Which of its kind.
        recipe: Counts changes of what tables of this group hold.
    """

    group: str
    name: str
    kind: Kind
    draw: int
    recipe: int

    @property
    def file(self) -> Path:
        """Where it is kept."""
        name = f"{self.group}-table-{self.name}-{self.draw}-{self.recipe}.csv"
        return default_cache() / name

    def make(self) -> None:
        """Make it, unless it is there."""
        if not self.file.exists():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            drawn = self.kind.make(stream(self.draw, self.group, self.name))
            write_text_atomically(self.file, _table(*drawn))

    def scenario(self) -> Scenario:
        """Return it as one to search; it must be there."""
        with self.file.open(newline="") as lines:
            columns = next(csv.reader(lines))
        decisions = tuple(column for column in columns if column not in self.kind.values)
        settings = TableSettings(
            file=str(self.file),
            decisions=decisions,
            values=self.kind.values,
            ordered=tuple(
                decision
                for position, decision in enumerate(decisions)
                if position not in self.kind.unordered
            ),
            cheap=self.kind.cheap,
        )
        wanted = tuple(self.kind.values)[:2]
        name = f"{self.group}/{self.name}/{self.draw}"
        return Scenario(name, self.group, TableEvaluator(settings), wanted)


def _table(rows: Rows, columns: Columns) -> str:
    """Return CSV: decisions, then values, empty where the evaluation fails."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow([*(f"d{position}" for position in range(len(rows[0]))), *columns])
    for row, values in zip(rows, np.array(list(columns.values())).T, strict=True):
        lines.writerow([*row, *("" if np.isnan(value) else value for value in values)])
    return text.getvalue()

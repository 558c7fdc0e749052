"""The rows of a table that count, as a space of candidates and the values of each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan, nan
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Value
from niwaki.core.errors import ConfigError, DataError
from niwaki.core.excerpt import excerpt
from niwaki.core.fidelity import FULL
from niwaki.evaluation.table.file import Column, find_table, read_columns
from niwaki.evaluation.table.settings import Cell, TableSettings, as_tuple
from niwaki.spaces.base import same
from niwaki.spaces.rows import RowSpace

Rows: TypeAlias = NDArray[np.int64]

_BEGINS_AS_NUMBER = re.compile(r"[-+]?[.,]?\d")


@dataclass(frozen=True)
class TableRows:
    """A table, sorted into candidates. Rows of the table are meant unless candidates are said.

    Attributes:
        settings: What its columns are.
        columns: Those that are needed, rows that do not count left out.
        failing: Columns that say which rows fail, as they are written in the file.
        space: Of the candidates.
        order: (n,) rows, those of the first candidate first.
        starts: (n_candidates + 1,) where in `order` the rows of each candidate start.
        oddities: What may be a mistake in the settings, a sentence each.
    """

    settings: TableSettings
    columns: Mapping[str, Column]
    failing: Mapping[str, Column]
    space: RowSpace
    order: Rows
    starts: Rows
    oddities: tuple[str, ...] = ()

    @classmethod
    def read(cls, settings: TableSettings) -> "TableRows":
        """Read a table.

        Raises:
            ConfigError: If a column is unknown, or rows decide everything alike and the settings
                do not say what to do with them.
            DataError: If the file is missing or damaged, no row counts, or a value is no number.
        """
        path = find_table(settings.file)
        columns = read_columns(path, settings.columns, marks=settings.marks, names=settings.names)
        kept = _matching(columns, settings.where)
        if not kept.any():
            raise DataError(f"'{settings.file}' has {_missing(columns, settings.where)}")
        oddities = (*_never_failing(columns, settings), *_decided_values(settings))
        columns = {name: column[kept] for name, column in columns.items()}
        failing = {name: columns[name] for name in settings.failed}
        for name in (*settings.value_columns, *filter(None, [settings.seconds])):
            excused = as_tuple(settings.failed.get(name, ()))
            columns[name] = _numbers(columns[name], excused, _Place(name, settings.file, kept))
        _check_limits(columns, settings)
        _check_seconds(columns, settings)
        if settings.incomplete == "leave_out":
            whole = _whole(columns, failing, settings)
            columns = {name: column[whole] for name, column in columns.items()}
            failing = {name: column[whole] for name, column in failing.items()}
        decided = {
            decision: _decisions(columns, column, settings)
            for decision, column in settings.column_of.items()
        }
        space, candidate = RowSpace.of(decided, ordered=settings.rising)
        order = np.argsort(candidate, kind="stable")
        starts = np.searchsorted(candidate[order], np.arange(space.size + 1))
        rows = cls(settings, columns, failing, space, order, starts, oddities)
        rows._check_duplicates()
        return rows

    def all_of(self, candidate: int) -> Rows:
        """Return the rows of a candidate that count; more than one only if the table repeats it."""
        rows = self.order[self.starts[candidate] : self.starts[candidate + 1]]
        return rows[:1] if self.settings.duplicates == "first" else rows

    def value(self, name: str, rows: Rows, fidelity: float = FULL) -> float:
        """Return a value: the mean over the rows, or that of the first, as the settings say."""
        values = self.columns[self.settings.value_column(name, fidelity)][rows]
        if self.settings.duplicates != "mean":
            return float(values[0])
        return float(values.astype(np.float64).mean())

    def known(self, name: str, rows: Rows) -> float:
        """Return the value that each evaluation of these rows at full effort gives; NaN if none."""
        if self.settings.duplicates == "draw":
            values = self.columns[self.settings.value_column(name)][rows]
            if not (values == values[0]).all():
                return nan
        return self.value(name, rows)

    def seconds(self, rows: Rows) -> float:
        """Return how long the evaluation had taken; 0 if the table does not say."""
        if not self.settings.seconds:
            return 0.0
        seconds = float(self.columns[self.settings.seconds][rows[0]])
        return seconds if np.isfinite(seconds) else 0.0

    def name_of(self, candidate: int, column: str) -> str:
        """Return what a column calls a candidate; empty if it has none, or there is no column."""
        if not column:
            return ""
        name = self.columns[column][self.order[self.starts[candidate]]]
        return "" if _is_empty(name) else str(name)

    def fault(self, rows: Rows) -> str:
        """Return why an evaluation of these rows fails; empty if it does not."""
        for column, cells in self.settings.failed.items():
            found = self.failing[column][rows]
            bad = found[_is_one_of(found, as_tuple(cells))]
            if len(bad):
                return f"the table says that it failed: '{column}' is {bad[0]}"
        return ""

    def gaps(self, found: Mapping[str, float], fidelity: float) -> str:
        """Return which values an evaluation lacks, and why; empty if it has all.

        Args:
            found: By name; not finite where there is none.
            fidelity: Of the evaluation.
        """
        lacking = {name: value for name, value in found.items() if not isfinite(value)}
        if not lacking:
            return ""
        cells = ", ".join(
            f"'{self.settings.value_column(name, fidelity)}' is "
            f"{'empty' if isnan(value) else 'infinite'}"
            for name, value in lacking.items()
        )
        return (
            f"the table has no {', '.join(map(repr, lacking))} for it: {cells} "
            "(`incomplete: leave_out` searches only rows with all values)"
        )

    def only_one_with(self, cells: Mapping[str, Cell]) -> int:
        """Return the candidate whose rows have these cells.

        Raises:
            ConfigError: If none has, or more than one.
        """
        met = _matching(self.columns, cells)
        if not met.any():
            raise ConfigError(f"'baseline': there is {_missing(self.columns, cells, 'baseline')}")
        found = np.flatnonzero(met[self.order])
        candidates = np.unique(np.searchsorted(self.starts, found, side="right") - 1)
        if len(candidates) != 1:
            raise ConfigError(
                f"'baseline' is {dict(cells)}, and {len(candidates)} candidates of the table have "
                "that: name cells that one alone has"
            )
        return int(candidates[0])

    def best_first(self, name: str) -> Rows:
        """Return the candidates that do not fail, best first by one value.

        Those that lack another value are left out, unless all do.

        Raises:
            DataError: If all of them fail, or lack the value.
        """
        bad = np.zeros(len(self.order), dtype=bool)
        for column, cells in self.settings.failed.items():
            bad |= _is_one_of(self.failing[column], as_tuple(cells))
        bad = bad[self.order]
        if self.settings.duplicates == "first":
            whole = ~bad[self.starts[:-1]]
        else:
            whole = ~np.logical_or.reduceat(bad, self.starts[:-1])
        if not whole.any():
            raise DataError(
                f"all candidates of '{self.settings.file}' fail by 'failed', "
                f"{dict(self.settings.failed)}: correct it, or there is nothing to search"
            )
        values = self._of_candidates(name)
        there = whole & np.isfinite(values)
        if not there.any():
            raise DataError(f"'{self.settings.file}' has no row with a value of '{name}'")
        for each in self.settings.values:
            whole &= np.isfinite(self._of_candidates(each))
        sign = next(o.sign for o in self.settings.objectives if o.name == name)
        candidates = np.flatnonzero(whole if whole.any() else there)
        return candidates[np.argsort(sign * values[candidates], kind="stable")]

    def _of_candidates(self, name: str) -> NDArray[np.float64]:
        """Return (n_candidates,) what a full evaluation gives on average; NaN if it may fail."""
        values = self.columns[self.settings.value_column(name)][self.order].astype(np.float64)
        if self.settings.duplicates == "first":
            return values[self.starts[:-1]]
        sums = np.add.reduceat(values, self.starts[:-1])
        return np.asarray(sums / np.diff(self.starts))

    def _check_duplicates(self) -> None:
        twice = np.flatnonzero(np.diff(self.starts) > 1)
        if len(twice) and self.settings.duplicates == "error":
            raise ConfigError(
                f"'{self.settings.file}' has {len(twice)} candidates in more than one row, the "
                f"first {self.space.candidate(int(twice[0]))}: add the column that tells them "
                "apart to 'decisions', or say what to do by 'duplicates': first, mean or draw"
            )


def _matching(
    columns: Mapping[str, Column], conditions: Mapping[str, Cell | tuple[Cell, ...]]
) -> NDArray[np.bool_]:
    """Mark the rows that meet all conditions."""
    n_rows = len(next(iter(columns.values())))
    met = np.full(n_rows, fill_value=True)
    for name, cells in conditions.items():
        met &= _is_one_of(columns[name], as_tuple(cells))
    return met


def _missing(
    columns: Mapping[str, Column],
    where: Mapping[str, Cell | tuple[Cell, ...]],
    setting: str = "where",
) -> str:
    """Return which rows there are none of, with what is there instead."""
    if not where:
        return "no rows: nothing to search"
    for name, cells in where.items():
        if not _matching(columns, {name: cells}).any():
            there = list(dict.fromkeys(c for c in columns[name].tolist() if not _is_empty(c)))
            shown = excerpt(", ".join(map(repr, there))) or "no cell that is not empty"
            wanted = " or ".join(map(repr, as_tuple(cells)))
            return (
                f"no row with {wanted} in column '{name}', which holds {shown}: correct '{setting}'"
            )
    return f"no row that meets all of '{setting}' at once, {dict(where)}: leave a condition out"


def _never_failing(columns: Mapping[str, Column], settings: TableSettings) -> tuple[str, ...]:
    """Return what is said of cells by which rows would fail, and that no row of the file has."""
    return tuple(
        f"nothing failed by it: '{settings.file}' has {_missing(columns, {name: cell}, 'failed')} "
        "if it is misspelled"
        for name, cells in settings.failed.items()
        for cell in as_tuple(cells)
        if not _is_one_of(columns[name], (cell,)).any()
    )


def _decided_values(settings: TableSettings) -> tuple[str, ...]:
    """Return what is said of columns that are decisions, and values that have to be paid for."""
    decided = set(settings.column_of.values())
    return tuple(
        f"column '{column}' of '{settings.file}' is a decision, and the value '{name}': searchers "
        f"are told it before it is measured. Take it out of 'decisions', or name '{name}' in "
        "'cheap' if it costs nothing to know"
        for name in settings.values
        if name not in settings.cheap
        for column in dict.fromkeys(
            settings.value_column(name, level) for level in settings.fidelities.levels
        )
        if column in decided
    )


def _is_one_of(column: Column, wanted: Sequence[Cell]) -> NDArray[np.bool_]:
    """Mark the cells that are one of those wanted, of the same type: 1 is not true, nor '1'.

    None stands for an empty cell.
    """
    found = np.zeros(len(column), dtype=bool)
    for cell in wanted:
        if cell is None:
            found |= np.array([_is_empty(one) for one in column.tolist()], dtype=bool)
            continue
        equal = np.asarray(column == cell, dtype=bool)
        equal[equal] = [same(one, cell) for one in column[equal].tolist()]
        found |= equal
    return found


def _whole(
    columns: Mapping[str, Column], failing: Mapping[str, Column], settings: TableSettings
) -> NDArray[np.bool_]:
    """Mark the rows that have every value, at every effort, or say in its place that they failed.

    Raises:
        DataError: If there is none.
    """
    said = {
        name: _is_one_of(column, as_tuple(settings.failed[name]))
        for name, column in failing.items()
    }
    there = [np.isfinite(columns[name]) | said.get(name, False) for name in settings.value_columns]
    whole = np.all(there, axis=0)
    if not whole.any():
        raise DataError(f"'{settings.file}' has no row with all values: nothing to search")
    return np.asarray(whole)


@dataclass(frozen=True)
class _Place:
    """A column of a file, of which some rows count."""

    column: str
    file: str
    kept: NDArray[np.bool_]

    def row(self, number: int) -> int:
        """Return which row of the file, from 1, one of those that count is."""
        return int(np.flatnonzero(self.kept)[number]) + 1


def _numbers(column: Column, excused: Sequence[Cell], place: _Place) -> Column:
    """Return a column of numbers: as it is, or whole ones for which there was no room.

    Args:
        column: Cells.
        excused: Cells that say that a row fails: they are read as empty.
        place: Of the column.

    Raises:
        DataError: If another cell is no number.
    """
    column = _without(column, excused)
    if column.dtype.kind in "iuf":
        return column
    there = [cell for cell in column if not _is_empty(cell)]
    if all(type(cell) in (int, float) for cell in there):
        try:
            return column.astype(np.float64)  # NaN of None
        except OverflowError as error:
            largest = excerpt(str(max(there, key=abs)))
            raise DataError(
                f"column '{place.column}' of '{place.file}' holds {largest}, beyond the largest "
                "number that can be computed with: leave the cells of failures empty"
            ) from error
    others = [n for n, cell in enumerate(column) if not (_is_empty(cell) or _is_number(cell))]
    first = next(iter(others), next(n for n, cell in enumerate(column) if not _is_empty(cell)))
    text = str(column[first])
    if not isinstance(column[first], str) or _is_number(text):
        remedy = "write its numbers as numbers, not as text or true and false"
    elif _BEGINS_AS_NUMBER.match(text):
        remedy = "write the number alone, as 1234.5: no unit, and no mark but the point"
    else:
        remedy = f"leave it empty, or if such rows failed say `failed: {{{place.column}: {text}}}`"
    more = f", and {len(others) - 1:,} more such cells" if len(others) > 1 else ""
    raise DataError(
        f"column '{place.column}' of '{place.file}' holds '{excerpt(text)}' in row "
        f"{place.row(first):,}{more}: a value needs numbers in all its cells, or empty ones; "
        f"{remedy}"
    )


def _without(column: Column, cells: Sequence[Cell]) -> Column:
    """Return a column in which some cells are empty."""
    marked = _is_one_of(column, cells)
    if not marked.any():
        return column
    column = column.astype(np.float64 if column.dtype.kind in "iuf" else object)
    column[marked] = np.nan
    return column


def _check_limits(columns: Mapping[str, Column], settings: TableSettings) -> None:
    for name, value in settings.values.items():
        least, most = value.limits
        levels = settings.fidelities.levels
        for column in dict.fromkeys(settings.value_column(name, level) for level in levels):
            cells = columns[column].astype(np.float64)
            beyond = cells[np.isfinite(cells) & ((cells < least) | (cells > most))]
            if len(beyond):
                raise DataError(
                    f"column '{column}' of '{settings.file}' holds {beyond[0]:g}, but '{name}' "
                    f"has `least: {value.least}` and `most: {value.most}`: mend these, or leave "
                    "the cells of failures empty"
                )


def _check_seconds(columns: Mapping[str, Column], settings: TableSettings) -> None:
    if not settings.seconds:
        return
    least = np.nanmin(columns[settings.seconds].astype(np.float64), initial=0.0)
    if least < 0.0:
        raise DataError(
            f"column '{settings.seconds}' of '{settings.file}' holds {least:g}, and 'seconds' are "
            "never negative: mend these, or leave such cells empty"
        )


def _is_number(cell: object) -> bool:
    """Tell whether a cell of text is a number by itself."""
    try:
        float(str(cell))
    except ValueError:
        return False
    return "_" not in str(cell)


def _decisions(columns: Mapping[str, Column], name: str, settings: TableSettings) -> list[Value]:
    """Return the cells of a column as decisions; None where there is none.

    Raises:
        DataError: If one of them is infinite.
    """
    none = _is_one_of(columns[name], settings.absent_in(name)).tolist()
    cells = columns[name].tolist()
    values = [
        None if absent or _is_empty(cell) else cell
        for cell, absent in zip(cells, none, strict=True)
    ]
    fractions = [value for value in values if isinstance(value, float)]
    if not all(map(isfinite, fractions)):
        raise DataError(
            f"column '{name}' of '{settings.file}' holds an infinite number: a decision needs "
            "finite ones, text, true or false, or an empty cell where there is none"
        )
    # Whole numbers are read as fractions where a cell of the column is empty.
    if fractions and all(map(float.is_integer, fractions)):
        return [int(value) if isinstance(value, float) else value for value in values]
    return values


def _is_empty(cell: object) -> bool:
    return cell is None or (isinstance(cell, float | np.floating) and bool(np.isnan(cell)))

"""Columns of a table file: parquet, or comma-separated text, compressed or not."""

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.files import expanded
from niwaki.core.registry import nearest
from niwaki.tasks.paths import data_folder

# Numbers (NaN where a cell is empty), booleans, or objects: text, and whole numbers for which there
# is no other room; None where a cell is empty.
Column: TypeAlias = NDArray[np.generic]

DATA_VARIABLE = "${NIWAKI_DATA}"
PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".csv.gz")
TRUTHS = {"true": True, "false": False}
NO_MARKS: Mapping[str, Collection[str]] = {}
_PADDED = re.compile(r"[-+]?0\d+$")  # the row of a matrix, or a name: 011 is not 11
_LARGEST_EXACT = 2**53  # each whole number up to it is one that a double holds


def find_table(typed: str) -> Path:
    """Return the table file that a user typed.

    Args:
        typed: Absolute, or relative to the current folder, and if nothing is there to the folder of
            shared data, which `${NIWAKI_DATA}` also stands for; `~` is the home folder.

    Raises:
        DataError: If there is no such file.
    """
    path = expanded(typed.replace(DATA_VARIABLE, str(data_folder())))
    for place in (path, data_folder() / path):
        if place.is_file():
            return place
    raise DataError(
        f"the table '{typed}' does not exist. Relative paths start from {Path.cwd()}, then from "
        f"{data_folder()}: set NIWAKI_DATA to the folder that holds your tables"
    )


def read_columns(
    path: Path,
    wanted: Collection[str],
    *,
    marks: Mapping[str, Collection[str]] = NO_MARKS,
    names: Collection[str] = (),
) -> dict[str, Column]:
    """Read some columns of a table.

    Args:
        path: Ends in `.parquet`, `.csv` or `.csv.gz`. Text is UTF-8, commas between cells, names in
            the first line; a column is of whole numbers, numbers or true/false if all its cells
            that are not empty are, and no whole one begins with a zero: 011 and 11 are two names.
        wanted: Names of columns.
        marks: Cells by column, such as `-`, that stay text and leave it to the others what the
            column is of. Columns of parquet are of one type anyway.
        names: Columns that are text whatever they look like: 1e3 and 1000 are two names. Cells that
            say `nan` are empty, as others write what is missing.

    Returns:
        Columns by name, all of one length.

    Raises:
        ConfigError: If there is no such column, or more than one, or the file's kind is unknown, or
            pyarrow is missing and needed.
        DataError: If the file is damaged, or a column of parquet holds neither numbers nor
            booleans nor text.
    """
    name = path.name.lower()
    if name.endswith(PARQUET):
        return _read_parquet(path, wanted, names)
    if name.endswith(TEXT):
        return _read_text(path, wanted, marks, names)
    raise ConfigError(
        f"'{path.name}' is no kind of table known here: give one of {', '.join(PARQUET + TEXT)}"
    )


def _read_parquet(path: Path, wanted: Collection[str], names: Collection[str]) -> dict[str, Column]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(
            f"'{path.name}' needs pyarrow: pip install 'niwaki[tables]', or give the table as CSV"
        ) from error
    try:
        known = pyarrow.parquet.read_schema(path).names
        _check_known(wanted, known, path)
        table = pyarrow.parquet.read_table(
            path, columns=list(wanted), page_checksum_verification=True
        )
        columns = {
            name: _names(table.column(name).to_pylist())
            if name in names
            else _from_parquet(table.column(name), name, path)
            for name in wanted
        }
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"'{path}' cannot be read as parquet: {error}") from error
    return columns


def _from_parquet(column: Any, name: str, path: Path) -> Column:  # of pyarrow, imported on use
    """Return a column, decimal fractions and nothing at all as numbers.

    Raises:
        DataError: If its cells cannot be decisions, values or conditions.
    """
    from pyarrow import float64, types

    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if types.is_decimal(kind) or types.is_null(kind):
        column = column.cast(float64())
    elif not (text or types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        raise DataError(
            f"column '{name}' of '{path.name}' holds {kind}: numbers, booleans or text are wanted"
        )
    if types.is_integer(kind) and column.null_count:
        return _whole(column.to_pylist())
    return _plain(column.combine_chunks().to_numpy(zero_copy_only=False))


def _read_text(
    path: Path,
    wanted: Collection[str],
    marks: Mapping[str, Collection[str]],
    names: Collection[str],
) -> dict[str, Column]:
    try:
        with _opened(path) as file:
            lines = csv.reader(file)
            known = next(lines, [])
            _check_commas(known, path)
            _check_known(wanted, known, path)
            places = {name: known.index(name) for name in wanted}
            cells = list(zip(*_whole_lines(lines, path, n_columns=len(known)), strict=True))
    except UnicodeDecodeError as error:
        raise DataError(f"'{path}' is not in UTF-8 ({error}): save it in that encoding") from error
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise DataError(f"'{path}' cannot be read as comma-separated text: {error}") from error
    if not cells:
        return {name: np.empty(0) for name in wanted}
    return {
        name: _names(cells[at]) if name in names else _marked(cells[at], marks.get(name, ()))
        for name, at in places.items()
    }


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    zipped = path.name.lower().endswith(".gz")
    with (
        gzip.open(path, "rt", encoding="utf-8-sig", newline="")
        if zipped
        else path.open(encoding="utf-8-sig", newline="") as file
    ):
        yield file


def _whole_lines(lines: Any, path: Path, *, n_columns: int) -> Iterator[Sequence[str]]:
    for cells in lines:  # a reader of the module csv
        if cells and len(cells) != n_columns:
            raise DataError(
                f"line {lines.line_num} of '{path}' has {len(cells)} cells, and its first line "
                f"names {n_columns} columns: a cell that holds a comma is written in quotes"
            )
        if cells:
            yield cells


def _check_commas(known: Sequence[str], path: Path) -> None:
    if len(known) == 1 and (other := next((sign for sign in ";\t|" if sign in known[0]), "")):
        raise DataError(
            f"the first line of '{path.name}' has no comma, but {other!r}: write the table with "
            "commas between cells"
        )


def _check_known(wanted: Collection[str], known: Sequence[str], path: Path) -> None:
    if not known:
        raise DataError(f"'{path.name}' names no columns: its first line has their names")
    for name in wanted:
        if known.count(name) > 1:
            raise ConfigError(
                f"'{path.name}' has {known.count(name)} columns '{name}': give each its own name"
            )
        if name not in known:
            shown = ", ".join(islice(known, 40)) + (", ..." if len(known) > 40 else "")
            raise ConfigError(
                f"'{path.name}' has no column '{name}'{nearest(name, list(known))} "
                f"Its columns: {shown}"
            )


def _marked(cells: Sequence[str], marks: Collection[str]) -> Column:
    """Return text cells as what those are that are no marks."""
    others = [cell for cell in cells if cell not in marks]
    if len(others) == len(cells):
        return _parsed(cells)
    read = iter(_parsed(others).tolist())
    return np.array([cell if cell in marks else next(read) for cell in cells], dtype=object)


def _parsed(cells: Sequence[str]) -> Column:
    """Return text cells as what all that are not empty are: numbers, booleans, or text."""
    filled = [cell for cell in cells if cell != ""]
    complete = len(filled) == len(cells)
    if filled and _all(filled, int) and not any(map(_PADDED.match, filled)):
        return _whole([int(cell) if cell else None for cell in cells])
    if _all(filled, float) and not any(map(_PADDED.match, filled)):
        return np.array([float(cell) if cell else np.nan for cell in cells])
    if all(cell.lower() in TRUTHS for cell in filled):
        truths = [TRUTHS[cell.lower()] if cell else None for cell in cells]
        return np.array(truths, dtype=bool if complete else object)
    return np.array([cell or None for cell in cells], dtype=object)


def _whole(cells: Sequence[int | None]) -> Column:
    """Return whole numbers, exactly; None stands for an empty cell."""
    filled = [cell for cell in cells if cell is not None]
    largest = max(map(abs, filled), default=0)
    if len(filled) == len(cells):
        return np.array(cells, dtype=np.int64 if largest <= np.iinfo(np.int64).max else object)
    if largest <= _LARGEST_EXACT:
        return np.array([np.nan if cell is None else cell for cell in cells])
    return np.array(cells, dtype=object)


def _names(cells: Sequence[object]) -> Column:
    texts = ["" if cell is None else str(cell) for cell in cells]
    return np.array([None if text.lower() in ("", "nan") else text for text in texts], dtype=object)


def _all(cells: Sequence[str], read: Callable[[str], object]) -> bool:
    try:
        for cell in cells:
            read(cell)
    except ValueError:
        return False
    return not any("_" in cell for cell in cells)  # Python takes 3_6 for 36: here it is a name


def _plain(values: Column) -> Column:
    """Return numbers and booleans as they are, the rest as objects, of which empty text is none.

    Fractions of less than double precision become what people write for them, 0.9 and not
    0.8999999761581421: decisions and conditions are compared with what is written.
    """
    if values.dtype.kind == "f" and values.dtype.itemsize < np.dtype(np.float64).itemsize:
        return values.astype(np.str_).astype(np.float64)
    if values.dtype.kind in "iufb":
        return values
    found = values.astype(object)
    found[found == ""] = None
    return np.full(len(values), np.nan) if all(cell is None for cell in found) else found

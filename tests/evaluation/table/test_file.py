"""Reading tables: what is in a cell, and what is wrong with a file."""

import gzip
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from niwaki.core.errors import ConfigError, DataError
from niwaki.evaluation.table.file import find_table, read_columns

CSV = 'n,share,name,flag,gap,"odd, name"\n1,0.5,a,true,1,x\n2,1e3,,False,,y\n'


def write(path: Path, text: str = CSV) -> Path:
    """Write a text table."""
    path.write_text(text)
    return path


def test_columns_of_text_are_what_all_their_cells_are(tmp_path: Path) -> None:
    names = ["n", "share", "name", "flag", "gap", "odd, name"]
    columns = read_columns(write(tmp_path / "t.csv"), names)
    assert [columns[name].dtype.kind for name in names] == ["i", "f", "O", "b", "f", "O"]
    assert columns["n"].tolist() == [1, 2]
    assert columns["share"].tolist() == [0.5, 1000.0]
    assert columns["name"].tolist() == ["a", None]
    assert columns["flag"].tolist() == [True, False]
    assert np.isnan(columns["gap"][1])


def test_digits_behind_a_zero_are_text(tmp_path: Path) -> None:
    text = "adjacency,bit,share,mixed\n0110,0,0.5,007\n110,1,0,1.5\n"
    (tmp_path / "table.csv").write_text(text)
    columns = read_columns(tmp_path / "table.csv", ["adjacency", "bit", "share", "mixed"])
    assert columns["adjacency"].tolist() == ["0110", "110"]
    assert columns["bit"].tolist() == [0, 1]
    assert columns["share"].tolist() == [0.5, 0.0]
    assert columns["mixed"].tolist() == ["007", "1.5"]


def test_digits_with_underscores_between_them_are_text(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "block,gap\n3_6,1_0\n36,\n")
    columns = read_columns(path, ["block", "gap"])
    assert columns["block"].tolist() == ["3_6", "36"]
    assert columns["gap"].tolist() == ["1_0", None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a;y\n1;2\n", "has no comma, but ';': write the table with commas"),
        (b"a\ty\n1\t2\n", r"has no comma, but '\\t'"),
        (
            "a,y\ngr\u00f6\u00dfe,2\n".encode("latin-1"),
            r"is not in UTF-8 .* save it in that encoding",
        ),
        (b'a,y\n"two\nlines",2\n\n3\n', "line 5 of .* has 1 cells, .* names 2 columns"),
    ],
)
def test_text_that_is_written_otherwise_is_told_how(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "t.csv").write_bytes(text)
    with pytest.raises(DataError, match=said):
        read_columns(tmp_path / "t.csv", ["a"])


def test_compressed_text_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    assert read_columns(tmp_path / "t.csv.gz", ["n"])["n"].tolist() == [1, 2]


def test_parquet_is_the_same_as_text(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table(
        {
            "n": [1, 2],
            "share": [0.5, 1000.0],
            "name": ["a", None],
            "flag": [True, False],
            "gap": [1, None],
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    names = table.column_names
    read, text = (read_columns(tmp_path / "t.parquet", names), None)
    text = read_columns(write(tmp_path / "t.csv"), names)
    for name in names:
        assert read[name].dtype.kind == text[name].dtype.kind
        np.testing.assert_array_equal(read[name], text[name])


def test_booleans_stay_so_beside_empty_cells_and_nothing_is_no_number(tmp_path: Path) -> None:
    columns = read_columns(write(tmp_path / "t.csv", "a,b,c\ntrue,,1\n,,2\n"), ["a", "b"])
    assert columns["a"].tolist() == [True, None]
    assert np.isnan(columns["b"].astype(np.float64)).all()


def test_marks_leave_it_to_other_cells_what_a_column_is_of(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,b,c\n1,-,-\n-,x,\n2,true,0.5\n")
    columns = read_columns(path, ["a", "b", "c"], marks={"a": ["-"], "b": ["-"], "c": ["-"]})
    assert columns["a"].tolist() == [1, "-", 2]
    assert columns["b"].tolist() == ["-", "x", "true"]
    assert columns["c"][0] == "-"
    np.testing.assert_array_equal(columns["c"][1:].astype(np.float64), [np.nan, 0.5])


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_fractions_of_less_precision_are_those_that_people_write(
    tmp_path: Path, kind: type[np.floating[Any]]
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"lr": np.array([0.9, 0.001, np.nan], kind)})
    parquet.write_table(table, tmp_path / "t.parquet")
    np.testing.assert_array_equal(
        read_columns(tmp_path / "t.parquet", ["lr"])["lr"], [0.9, 0.001, np.nan]
    )


def test_empty_text_of_parquet_is_an_empty_cell(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"kernel": ["", "wide", None], "all": ["", "", ""]})
    parquet.write_table(table, tmp_path / "t.parquet")
    found = read_columns(tmp_path / "t.parquet", ["kernel", "all"])
    assert found["kernel"].tolist() == [None, "wide", None]
    np.testing.assert_array_equal(found["all"], [np.nan] * 3)


def test_parquet_may_hold_decimal_fractions_categories_and_nothing(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table(
        {
            "price": [Decimal("1.25"), None],
            "kind": pyarrow.array(["a", "b"]).dictionary_encode(),
            "nothing": [None, None],
            "no_text": pyarrow.array([None, None], pyarrow.string()),
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    columns = read_columns(tmp_path / "t.parquet", table.column_names)
    np.testing.assert_array_equal(columns["price"], [1.25, np.nan])
    assert columns["kind"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(columns["nothing"], columns["no_text"])


@pytest.mark.parametrize("cells", [[[1], [2]], [b"1", b"2"], [{"k": 1}, {"k": 2}], [date.min] * 2])
def test_parquet_of_what_is_no_cell_is_refused(tmp_path: Path, cells: list[object]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"a": cells}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"column 'a' .* numbers, booleans or text are wanted"):
        read_columns(tmp_path / "t.parquet", ["a"])


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table([pyarrow.array([1])] * 2, names=["a", "a"])
    parquet.write_table(table, tmp_path / "t.parquet")
    for path in (tmp_path / "t.parquet", write(tmp_path / "t.csv", "a,a\n1,2\n")):
        with pytest.raises(ConfigError, match="has 2 columns 'a': give each its own name"):
            read_columns(path, ["a"])


def test_an_empty_file_names_no_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="names no columns"):
        read_columns(write(tmp_path / "t.csv", ""), ["a"])


def test_an_unknown_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no column 'shares'; did you mean 'share'\?"):
        read_columns(write(tmp_path / "t.csv"), ["shares"])


def test_a_short_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 3 of .* has 1 cells"):
        read_columns(write(tmp_path / "t.csv", "a,b\n1,2\n3\n"), ["a"])


@pytest.mark.parametrize("name", ["t.parquet", "t.csv.gz"])
def test_a_damaged_file_is_an_error_of_ours(tmp_path: Path, name: str) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(b"not at all what it should be")
    with pytest.raises(DataError, match="cannot be read as"):
        read_columns(tmp_path / name, ["a"])


def test_damage_within_compressed_text_is_an_error_of_ours(tmp_path: Path) -> None:
    whole = gzip.compress(CSV.encode())
    (tmp_path / "t.csv.gz").write_bytes(whole[:10] + b"\xff" * 9 + whole[19:])
    with pytest.raises(DataError, match="cannot be read as"):
        read_columns(tmp_path / "t.csv.gz", ["a"])


def test_an_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.parquet"):
        read_columns(write(tmp_path / "t.xlsx"), ["a"])


def test_a_table_is_looked_for_here_and_then_among_the_shared_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, here = tmp_path / "shared", tmp_path / "here"
    shared.mkdir()
    here.mkdir()
    write(shared / "t.csv")
    monkeypatch.chdir(here)
    monkeypatch.setenv("NIWAKI_DATA", str(shared))
    assert find_table("t.csv") == find_table("${NIWAKI_DATA}/t.csv") == shared / "t.csv"
    write(here / "t.csv")
    assert find_table("t.csv").resolve() == here / "t.csv"


def test_a_missing_table_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIWAKI_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"'nowhere\.csv' does not exist.*NIWAKI_DATA"):
        find_table("nowhere.csv")


def test_names_are_text_whatever_they_look_like(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "h,i\n1e3,007\n1000,7\nnan,\n")
    columns = read_columns(path, ["h", "i"], names=["h", "i"])
    assert columns["h"].tolist() == ["1e3", "1000", None]
    assert columns["i"].tolist() == ["007", "7", None]


@pytest.mark.parametrize(
    "cells", [[2**60, 2**60 + 1, None], [2**63 + 1, 2**63 + 2, 5], [2**63 + 1, -1], [1, 2, None]]
)
def test_whole_numbers_stay_exact(tmp_path: Path, cells: list[int | None]) -> None:
    path = write(tmp_path / "t.csv", "\n".join(["h,x", *(f"{cell or ''},1" for cell in cells)]))
    found = read_columns(path, ["h"])["h"].tolist()
    assert [None if cell != cell else cell for cell in found] == cells


def test_whole_numbers_and_names_of_parquet_stay_exact(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table(
        {
            "large": [2**60, 2**60 + 1, None],
            "gap": [1, 2, None],
            "id": [2**60, 2**60 + 1, None],
            "price": [Decimal("100000000000000000.1"), Decimal("100000000000000000.2"), None],
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    columns = read_columns(tmp_path / "t.parquet", table.column_names, names=["id", "price"])
    assert columns["large"].tolist() == [2**60, 2**60 + 1, None]
    np.testing.assert_array_equal(columns["gap"], [1.0, 2.0, np.nan])
    assert columns["id"].tolist() == [str(2**60), str(2**60 + 1), None]
    assert columns["price"].tolist() == ["100000000000000000.1", "100000000000000000.2", None]


def test_a_page_of_parquet_that_is_not_what_its_checksum_says_is_told(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    table = pyarrow.table({"latency": np.random.default_rng(0).random(1000)})
    parquet.write_table(table, path, write_page_checksum=True, use_dictionary=False)
    damaged = bytearray(path.read_bytes())
    damaged[4000] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"t\.parquet' cannot be read as parquet"):
        read_columns(path, ["latency"])

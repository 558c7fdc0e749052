"""A comparison as text, CSV and JSON."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from niwaki import compare_runs
from niwaki.study.comparison import Comparison
from niwaki.study.comparison.headline import headline
from niwaki.study.comparison.page import comparison_data
from niwaki.study.comparison.records import comparison_csv, comparison_json
from niwaki.study.comparison.tables import comparison_text
from tests.study.comparison.written import priced, write_run

# Of the joined front (1, 1), (9, 9) two points are 0.11 each, less what they share.
FEW, MANY = ((1.0, 1.0),), ((0.0, 9.0), (9.0, 9.0), (1.0, 1.0))


def two_searches(folder: Path) -> Comparison:
    write_run(folder / "few", priced(*FEW), config={"searcher": {"kind": "few"}})
    for seed in (0, 1, 2):
        more = {"searcher": {"kind": "many"}}
        write_run(folder / f"many-{seed}", priced(*MANY), seed=seed, config=more)
    return compare_runs([folder / name for name in ("few", "many-0", "many-1", "many-2")])


def test_a_line_for_each_run_and_three_for_each_group_of_seeds(tmp_path: Path) -> None:
    lines = comparison_text(two_searches(tmp_path)).splitlines()
    assert [line.split("  ")[0] for line in lines[:3]] == ["run", "few", "many, median of 3"]
    assert [line.strip().split("  ")[0] for line in lines[3:5]] == [
        "lower quartile",
        "upper quartile",
    ]
    assert "partial" not in lines[0]
    cells = [re.split(r"\s{2,}", line)[-5:] for line in lines[1:3]]
    assert cells == [["1", "> 1", "> 1", "> 1", "1"], ["2", "3", "3", "3", "3"]]
    assert "searcher.kind: \"few\" in 'few'; \"many\" in 'many'" in lines


def test_evaluations_with_less_effort_are_shown_where_there_are_any(
    tmp_path: Path,
) -> None:
    half = [replace(each, fidelity=0.5) for each in priced(*MANY)]
    one = write_run(tmp_path / "one", half, efforts=[0.5] * 3)
    other = write_run(tmp_path / "other", priced(*FEW))
    assert " partial " in comparison_text(compare_runs([one, other])).splitlines()[0]


@pytest.mark.parametrize("width", [80, 120, 10])
def test_a_table_that_is_too_wide_goes_on_below(tmp_path: Path, width: int) -> None:
    comparison = two_searches(tmp_path)
    whole, folded = (comparison_text(comparison, width=w).split("\n\n") for w in (0, width))
    tables = [table.splitlines() for table in folded[:-1]]
    assert {table[1].split("  ")[0] for table in tables} == {"few"}
    assert [cell for table in tables for cell in cells(table[0])[1:]] == cells(whole[0])[1:]
    assert width == 10 or max(len(line) for table in tables for line in table) <= width


def cells(table: str) -> list[str]:
    return re.split(r"\s{2,}", table.splitlines()[0])


def test_names_cannot_command_a_terminal(tmp_path: Path) -> None:
    one = write_run(tmp_path / "o\x1b[2Jne", priced(*FEW))
    other = write_run(tmp_path / "other", priced(*MANY), constraints=["price <= 9"])
    assert "\x1b" not in comparison_text(compare_runs([one, other]))


def test_the_headline_says_who_found_most_and_soonest(tmp_path: Path) -> None:
    assert headline(two_searches(tmp_path)) == (
        "'many' found 100.0% of the hypervolume that all found together (median of its runs); "
        "99% took 'many' 3 evaluations."
    )


def test_where_all_found_the_same_the_headline_names_all(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", priced(*FEW))
    other = write_run(tmp_path / "other", priced(*FEW), budget=1)
    said = headline(compare_runs([one, other]))
    assert said.startswith("'one' and 'other' found 100.0% of")


def test_where_nothing_was_found_the_headline_says_so(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, []) for name in ("one", "other")]
    assert headline(compare_runs(folders)) == "No run has a model that counts so far."


def test_a_csv_has_a_line_for_each_run_and_empty_cells_for_what_is_not(tmp_path: Path) -> None:
    comparison = two_searches(tmp_path)
    rows = list(csv.DictReader(io.StringIO(comparison_csv(comparison))))
    assert [(row["group"], row["run"], row["seed"]) for row in rows] == [
        ("few", "few", "0"),
        *(("many", f"many-{seed}", str(seed)) for seed in (0, 1, 2)),
    ]
    assert [row["needed_90"] for row in rows] == ["", "3.0", "3.0", "3.0"]
    assert [row["full"] for row in rows] == ["1", "3", "3", "3"]
    assert [float(row["share"]) for row in rows] == [
        run.figures["share"] for run in comparison.runs
    ]


def test_json_has_all_runs_all_groups_and_the_scale(tmp_path: Path) -> None:
    comparison = two_searches(tmp_path)
    told = json.loads(json.dumps(comparison_json(comparison), allow_nan=False))
    assert sorted(told["joined"]["points"]) == [[1.0, 1.0], [9.0, 9.0]]
    assert told["joined"]["ideal"] == {"gain": 9.0, "price": 1.0}
    assert told["joined"]["nadir"] == {"gain": 1.0, "price": 9.0}
    assert [run["run"] for run in told["runs"]] == ["few", "many-0", "many-1", "many-2"]
    few, many = told["groups"]
    assert (few["settings"], many["settings"]) == (
        {"searcher.kind": "few"},
        {"searcher.kind": "many"},
    )
    assert few["figures"]["needed_99"] == {"median": None, "low": None, "high": None}
    assert many["figures"]["needed_99"] == {"median": 3.0, "low": 3.0, "high": 3.0}


def test_of_exported_files_nobody_says_what_they_took(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / name, priced(*MANY), finals=priced(*pairs))
        for name, pairs in (("one", FEW), ("other", MANY[1:]))
    ]
    comparison = compare_runs(folders, exported=True, apart=True)
    assert comparison_json(comparison)["exported"] is True
    assert "to 90%" not in comparison_text(comparison)
    assert "needed" not in comparison_csv(comparison)
    assert headline(comparison) == (
        "'other' found 100.0% of the hypervolume that all found together."
    )
    assert [s.curves for s in comparison_data(comparison).series] == [{}, {}]

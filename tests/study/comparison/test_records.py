"""A comparison as CSV and JSON."""

import csv
import io
import json
from pathlib import Path

from niwaki import compare_runs
from niwaki.study.comparison.headline import headline
from niwaki.study.comparison.page import comparison_data
from niwaki.study.comparison.records import comparison_csv, comparison_json
from niwaki.study.comparison.tables import comparison_text
from tests.study.comparison.written import FEW, MANY, priced, two_searches, write_run


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


def test_no_name_in_a_csv_is_a_formula(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, priced(*FEW)) for name in ("=1+1", "other")]
    comparison = compare_runs(folders, apart=True)
    first, other = csv.DictReader(io.StringIO(comparison_csv(comparison)))
    assert (first["group"], first["run"]) == ("'=1+1", "'=1+1")
    assert (first["folder"], other["run"]) == (str(folders[0]), "other")


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

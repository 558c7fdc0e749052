"""A comparison as text for terminals."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from niwaki import compare_runs
from niwaki.core.jsonable import JSON
from niwaki.study.comparison.page import comparison_data
from niwaki.study.comparison.tables import comparison_text
from tests.study.comparison.written import FEW, MANY, priced, two_searches, write_run


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


def test_schedulers_of_one_kind_are_told_in_full(tmp_path: Path) -> None:
    keeps: list[dict[str, JSON]] = [{"scheduler": {"kind": "asha", "keep": k}} for k in (0.1, 0.2)]
    runs = [write_run(tmp_path / f"n{i}", priced(*FEW), config=c) for i, c in enumerate(keeps)]
    comparison = compare_runs([*runs, write_run(tmp_path / "other", priced(*FEW))])
    (line,) = [
        each for each in comparison_text(comparison).splitlines() if each.startswith("scheduler")
    ]
    assert '"keep": 0.1' in line and '"keep": 0.2' in line


def test_a_scheduler_beside_none_is_told(tmp_path: Path) -> None:
    more: dict[str, JSON] = {"scheduler": {"kind": "asha"}}
    one = write_run(tmp_path / "one", priced(*FEW), config=more)
    comparison = compare_runs([one, write_run(tmp_path / "other", priced(*FEW))])
    told = "scheduler: \"asha\" in 'one'; none in 'other'"
    assert told in comparison_text(comparison).splitlines()
    assert [series.told for series in comparison_data(comparison).series] == [
        'scheduler {"kind": "asha"}',
        "scheduler none",
    ]


def test_names_cannot_command_a_terminal(tmp_path: Path) -> None:
    one = write_run(tmp_path / "o\x1b[2Jne", priced(*FEW))
    other = write_run(tmp_path / "other", priced(*MANY), constraints=["price <= 9"])
    assert "\x1b" not in comparison_text(compare_runs([one, other]))


def test_a_name_has_no_end_of_a_line(tmp_path: Path) -> None:
    one = write_run(tmp_path / "o\nne", priced(*FEW))
    other = write_run(tmp_path / "other", priced(*MANY), constraints=["price <= 9"])
    lines = comparison_text(compare_runs([one, other])).splitlines()
    assert [line.split("  ")[0] for line in lines[:3]] == ["run", r"o\nne", "other"]
    assert all(r"o\nne" in line for line in lines if "ne'" in line)


def test_where_the_joined_front_has_no_width_all_models_give_it(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, priced(*FEW)) for name in ("one", "other")]
    comparison = compare_runs(folders)
    assert comparison.narrow == comparison_data(comparison).narrow == ("gain", "price")
    assert (
        "its worst is 1, up to 1.1; in gain, price, where this front has no width, the worst of "
        "all models is 1; share"
    ) in comparison_text(comparison)
    assert "no width" not in comparison_text(two_searches(tmp_path))

"""The page of a comparison: it carries what the comparison says."""

from pathlib import Path

import pytest

from niwaki import compare_runs
from niwaki.core.errors import ConfigError
from niwaki.study.comparison.page import comparison_data, write_comparison
from tests.report.test_page import payload_of
from tests.study.comparison.written import priced, write_run

TOLD = priced((1.0, 1.0), (5.0, 5.0), (3.0, 7.0))


def test_the_page_carries_fronts_curves_and_figures(tmp_path: Path) -> None:
    x, y = ({"searcher": {"kind": kind}} for kind in "xy")
    folders = [write_run(tmp_path / f"a-{s}", TOLD, seed=s, config=x) for s in (0, 1)]
    folders.append(write_run(tmp_path / "b", TOLD[:1], config=y))
    comparison = compare_runs(folders)
    payload = payload_of(write_comparison(comparison, tmp_path / "all.html").read_text())
    assert [(s["name"], len(s["fronts"])) for s in payload["series"]] == [("a", 2), ("b", 1)]
    first = payload["series"][0]
    assert first["fronts"][0]["values"] == [[5, 1], [5, 1]]
    assert first["fronts"][0]["numbers"] == [1, 0]
    assert first["curves"]["evaluations"]["at"] == [0, 1, 2, 3]
    assert first["curves"]["evaluations"]["median"][-1] == 1
    assert payload["joined"] == [[5, 1], [5, 1]]
    titles = [column["title"] for column in payload["columns"]]
    share = first["figures"][titles.index("share")]
    assert share == [1, 1, 1] and len(first["figures"]) == len(titles)
    assert [series["told"] for series in payload["series"]] == [
        "searcher.kind x",
        "searcher.kind y",
    ]


def test_a_comparison_takes_the_place_of_a_comparison_and_of_nothing_else(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, TOLD) for name in ("one", "other")]
    comparison = compare_runs(folders)
    for _ in range(2):
        write_comparison(comparison, tmp_path / "new" / "all.html")
    report = tmp_path / "report.html"
    report.write_text("<title>niwaki report</title>")
    with pytest.raises(ConfigError, match="exists and is no comparison of niwaki"):
        write_comparison(comparison, report)


def test_runs_without_any_model_have_a_page(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, []) for name in ("one", "other")]
    data = comparison_data(compare_runs(folders))
    assert [len(front.values) for series in data.series for front in series.fronts] == [0, 0]
    payload = payload_of(write_comparison(compare_runs(folders), tmp_path / "all.html").read_text())
    assert payload["series"][0]["curves"]["seconds"] == {
        "at": [0],
        "median": [0],
        "low": [0],
        "high": [0],
    }

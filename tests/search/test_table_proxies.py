"""Networks of tables, and the scores of untrained ones that our searchers are told."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.efficiency.contestants import contestants
from benchmarks.efficiency.proxies import ProxyColumns
from benchmarks.efficiency.scenario import Scenario
from benchmarks.table_networks import accelerators, transnas_macro, transnas_micro
from benchmarks.table_proxies import Way, prepare
from niwaki.core.errors import DataError
from niwaki.evaluation.table import TableEvaluator, TableSettings, ValueColumn

WITH_EXCITATION = (6, 3, 1, 1) * 7
SMALLEST = (1, 3, 1, 0) * 7


@pytest.mark.parametrize(
    ("build", "codes", "millions"),
    [
        (transnas_macro, (4, 1, 1, 1, 0, 0), 2.3305),
        (transnas_macro, (2, 3, 1, 1, 0, 0), 2.34714),
        (transnas_micro, (0, 0, 0, 0, 0, 0), 0.070788),
        (transnas_micro, (1, 0, 0, 0, 0, 0), 0.244612),
        (transnas_micro, (3, 3, 3, 3, 3, 3), 41.462916),
    ],
)
def test_parameters_are_those_of_the_published_table(
    build: Callable[[Sequence[int]], nn.Module], codes: tuple[int, ...], millions: float
) -> None:
    with torch.device("meta"):
        module = build(codes)
    assert sum(each.numel() for each in module.parameters()) == round(millions * 1e6)


@pytest.mark.parametrize(
    ("build", "codes"),
    [
        (transnas_macro, (2, 4, 3, 1, 1, 1)),
        (transnas_micro, (1, 2, 3, 1, 0, 1)),
        (accelerators, WITH_EXCITATION),
        (accelerators, SMALLEST),
    ],
)
def test_networks_classify_images(
    build: Callable[[Sequence[int]], nn.Module], codes: tuple[int, ...]
) -> None:
    logits = build(codes)(torch.zeros(2, 3, 64, 64))
    assert logits.shape == (2, 1000 if build is accelerators else 100)


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    """A table of three rows, with parameters and scores of all but the last."""
    path = tmp_path / "table.csv"
    path.write_text("a,quality,params\n0,1.0,5\n1,2.0,6\n2,3.0,7\n")
    table = TableEvaluator(
        TableSettings(
            file=str(path),
            decisions=("a",),
            values={"quality": ValueColumn("maximize"), "params": ValueColumn("minimize")},
            cheap=("params",),
        )
    )
    lines: list[dict[str, object]] = [{"family": "test"}]
    for row, score in enumerate((4.0, float("-inf"))):
        name = table.identity(table.space.candidate(row))
        lines.append({"network": name, "scores": {"naswot": score}})
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Scenario("test/table", "test", table, ("quality", "params"), family="test")


def test_scores_join_the_cheap_values_of_the_table(scenario: Scenario, tmp_path: Path) -> None:
    cheap = ProxyColumns(tmp_path, ("naswot",)).cheap(scenario)
    first, without_finite_score = (scenario.space.candidate(row) for row in (0, 1))
    assert cheap(first) == {"params": 5.0, "naswot": 4.0}
    assert cheap(without_finite_score) == {"params": 6.0}


def test_a_network_without_scores_is_an_error(scenario: Scenario, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lacks naswot"):
        ProxyColumns(tmp_path, ("naswot",)).cheap(scenario)(scenario.space.candidate(2))
    with pytest.raises(DataError, match="table_proxies"):
        ProxyColumns(tmp_path / "nowhere", ("naswot",)).cheap(scenario)


def test_a_file_goes_on_after_a_line_that_was_cut_short(tmp_path: Path) -> None:
    way = Way("test", 16, 32)
    assert prepare(way, tmp_path) == {}
    with (tmp_path / "test.jsonl").open("a") as file:
        file.write('{"network": "a", "scores": {"naswot": 1.0}}\n{"network": "b", "sco')
    assert prepare(way, tmp_path) == {"a": {"naswot": 1.0}}
    with pytest.raises(DataError, match="another --cache"):
        prepare(Way("test", 16, 64), tmp_path)


def test_who_is_told_scores_has_a_row_of_its_own(scenario: Scenario, tmp_path: Path) -> None:
    assert scenario.family == "test"
    plain, told = contestants(), contestants(ProxyColumns(tmp_path, ("naswot",)))
    assert told.keys() - plain.keys() == {"surrogate+naswot"}
    before = told["surrogate+naswot"].version
    (tmp_path / "test.jsonl").write_text("{}\n")
    after = contestants(ProxyColumns(tmp_path, ("naswot",)))["surrogate+naswot"].version
    assert len({plain["surrogate"].version, before, after}) == 3

"""Figures of runs beside each other, against brute force on what their ledgers hold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki import compare_runs
from niwaki.core.errors import ExportError
from niwaki.core.measurement import Status
from niwaki.core.objectives import minimised
from niwaki.study.comparison import ComparedRun, Comparison
from niwaki.study.comparison.figures import SHARES, needed_for
from niwaki.study.results.run import Run
from tests.study.comparison.written import GAIN, PRICE, WEIGHT, measured, priced, write_run
from tests.study.formulas import FormulaEvaluator, formula_study

Costs = NDArray[np.float64]


def searched(folder: Path, *seeds: int, constraints: Sequence[str] = ()) -> list[Path]:
    """Search the formulas with each of these seeds."""
    folders = [folder / f"nsga2-{seed}" for seed in seeds]
    for seed, each in zip(seeds, folders, strict=True):
        formula_study(each, FormulaEvaluator(), n=30, seed=seed, constraints=constraints).run()
    return folders


def costs_of(run: Run) -> Costs:
    """Return (n, 2) costs of the baseline and all trials, in order."""
    assert run.history.baseline is not None
    all_of_them = [run.history.baseline, *run.history.trials]
    return minimised([t.measurement.values for t in all_of_them], run.description.objectives)


def front_by_hand(costs: Costs) -> set[tuple[float, ...]]:
    rows = [tuple(row) for row in costs.tolist()]
    return {p for p in rows if not any(q != p and all(map(float.__le__, q, p)) for q in rows)}


def volume_by_hand(costs: Costs, joined: set[tuple[float, ...]]) -> float:
    """Count the cells of the grid of all coordinates that some row dominates."""
    front = np.array(sorted(joined))
    low, high = front.min(axis=0), front.max(axis=0)
    scaled = (costs - low) / (high - low)
    edges = [np.unique([*column[column < 1.1], 1.1]) for column in scaled.T]
    return sum(
        float((right - left) * (top - bottom))
        for left, right in zip(edges[0], edges[0][1:], strict=False)
        for bottom, top in zip(edges[1], edges[1][1:], strict=False)
        if ((scaled[:, 0] <= left) & (scaled[:, 1] <= bottom)).any()
    )


def test_figures_are_those_of_brute_force(tmp_path: Path) -> None:
    comparison = compare_runs(searched(tmp_path, 0, 1, 2), apart=True)
    costs = {run.name: costs_of(run.run) for run in comparison.runs}
    joined = front_by_hand(np.concatenate(list(costs.values())))
    whole = volume_by_hand(np.concatenate(list(costs.values())), joined)
    assert comparison.scale.volume == pytest.approx(whole)
    assert set(map(tuple, comparison.scale.points.tolist())) == joined
    had = {name: set(map(tuple, each.tolist())) & joined for name, each in costs.items()}
    for run in comparison.runs:
        own, figures = costs[run.name], run.figures
        others = set().union(*(had[name] for name in had if name != run.name))
        assert figures["hypervolume"] == pytest.approx(volume_by_hand(own, joined))
        assert figures["share"] == pytest.approx(volume_by_hand(own, joined) / whole)
        assert (figures["on_joined"], figures["alone"]) == (
            len(had[run.name]),
            len(had[run.name] - others),
        )
        assert set(map(tuple, run.trace.costs[run.trace.front].tolist())) == front_by_hand(own)
        shares = [volume_by_hand(own[: n + 1], joined) / whole for n in range(len(own))]
        for share in SHARES:
            first = next((n for n, had_by in enumerate(shares) if had_by >= share), math.inf)
            assert figures[needed_for(share)] == first


def test_best_values_are_in_the_users_own_directions(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", priced((3.0, 9.0), (5.0, 20.0)))
    other = write_run(tmp_path / "other", priced((1.0, 4.0)))
    runs = compare_runs([one, other]).runs
    assert [run.figures["best_gain"] for run in runs] == [5.0, 1.0]
    assert [run.figures["best_price"] for run in runs] == [9.0, 4.0]


def test_by_one_objective_the_best_of_all_is_the_joined_front(tmp_path: Path) -> None:
    for name, prices in (("one", (9.0, 5.0, 7.0)), ("other", (8.0, 3.0))):
        told = [measured(i, {"price": price}) for i, price in enumerate(prices)]
        write_run(tmp_path / name, told, objectives=(PRICE,))
    comparison = compare_runs([tmp_path / "one", tmp_path / "other"])
    assert comparison.joined.tolist() == [[3.0]]
    # All prices are 3 to 9, so 5 is a third of the way: 1.1 less that.
    volumes = [run.figures["hypervolume"] for run in comparison.runs]
    assert volumes == pytest.approx([1.1 - 1 / 3, 1.1])


def test_what_became_of_evaluations_is_counted_apart(tmp_path: Path) -> None:
    full, half, failed, refused = priced((1.0, 1.0), (9.0, 0.1), (0.0, 0.0), (0.0, 0.0))
    told = [
        full,
        replace(half, fidelity=0.5),
        replace(failed, values={}, status=Status.FAILED, reason="no luck"),
        replace(refused, values={}, status=Status.INFEASIBLE, reason="too heavy"),
    ]
    one = write_run(tmp_path / "one", told, efforts=(1.0, 0.5, 1.0, 1.0))
    other = write_run(tmp_path / "other", priced((0.5, 1.0)))
    figures = compare_runs([one, other]).runs[0].figures
    names = ("evaluations", "full", "partial", "failed", "infeasible", "front", "best_gain")
    assert [figures[name] for name in names] == [2.5, 1, 1, 1, 1, 1, 1.0]


def test_a_baseline_is_had_before_any_evaluation(tmp_path: Path) -> None:
    pairs = ((1.0, 1.0), (2.0, 2.0))
    first = measured(-1, {"gain": 2.0, "price": 2.0})
    one = write_run(tmp_path / "one", priced(*pairs), baseline=first)
    other = write_run(tmp_path / "other", priced(*pairs))
    with_it, without = compare_runs([one, other], apart=True).runs
    assert [run.figures["needed_50"] for run in (with_it, without)] == [0.0, 1.0]
    assert [run.figures["needed_99"] for run in (with_it, without)] == [1.0, 2.0]
    assert with_it.trace.numbers.tolist() == [-1, 0, 1]
    assert with_it.trace.seconds.tolist() == [1.0, 2.0, 3.0]


def test_what_was_turned_away_takes_time_and_no_evaluation(tmp_path: Path) -> None:
    refused, found = priced((0.0, 0.0), (1.0, 1.0))
    told = [replace(refused, values={}, status=Status.INFEASIBLE, reason="too heavy"), found]
    one = write_run(tmp_path / "one", told)
    other = write_run(tmp_path / "other", priced((0.0, 2.0)))
    run = compare_runs([one, other]).runs[0]
    assert (run.steps("evaluations").at.tolist(), run.steps("evaluations").end) == ([1.0], 1.0)
    assert (run.steps("seconds").at.tolist(), run.steps("seconds").end) == ([2.0], 2.0)


def test_efforts_below_one_are_what_a_share_took(tmp_path: Path) -> None:
    partial, full = priced((1.0, 1.0), (1.0, 1.0))
    told = [replace(partial, fidelity=0.25), full]
    one = write_run(tmp_path / "one", told, efforts=(0.25, 0.75))
    other = write_run(tmp_path / "other", priced((0.0, 2.0)))
    assert compare_runs([one, other]).runs[0].figures["needed_90"] == 1.0


def test_each_front_keeps_to_its_runs_own_constraints_or_to_the_same_wishes(
    tmp_path: Path,
) -> None:
    pairs = ((1.0, 1.0), (5.0, 5.0), (9.0, 9.0))
    one = write_run(tmp_path / "one", priced(*pairs), constraints=["price <= 5"])
    other = write_run(tmp_path / "other", priced(*pairs))
    assert best_gains(compare_runs([one, other])) == [5.0, 9.0]
    assert best_gains(compare_runs([one, other], within=["price <= 7"])) == [5.0, 5.0]
    assert best_gains(compare_runs([one, other], within=["price <= 9"])) == [9.0, 9.0]


def best_gains(comparison: Comparison) -> list[float]:
    return [run.figures["best_gain"] for run in comparison.runs]


def test_only_objectives_that_all_have_are_compared(tmp_path: Path) -> None:
    told = [measured(0, {"gain": 1.0, "price": 1.0, "weight": 1.0})]
    one = write_run(tmp_path / "one", told, objectives=(WEIGHT, PRICE, GAIN))
    other = write_run(tmp_path / "other", told, objectives=(GAIN, PRICE))
    assert [o.name for o in compare_runs([one, other]).objectives] == ["price", "gain"]


def test_runs_without_any_model_have_no_scale(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, []) for name in ("one", "other")]
    comparison = compare_runs(folders)
    assert comparison.scale.volume == 0.0 and len(comparison.joined) == 0
    for run in comparison.runs:
        assert run.figures["hypervolume"] == 0.0
        assert math.isnan(run.figures["share"]) and math.isnan(run.figures["best_gain"])
        assert math.isinf(run.figures["needed_50"])


def test_runs_that_differ_in_their_seed_alone_are_one_group(tmp_path: Path) -> None:
    seeds = searched(tmp_path, 0, 1, 2)
    other = write_run(tmp_path / "other", priced((1.0, 1.0), (2.0, 2.0)))
    comparison = compare_runs([seeds[2], other, *seeds[:2]])
    assert [(g.name, g.seeds) for g in comparison.groups] == [("nsga2", (2, 0, 1)), ("other", (0,))]
    group, gains = comparison.groups[0], best_gains_of(comparison.groups[0].runs)
    assert group.figures["best_gain"].median == sorted(gains)[1]
    assert set(group.figures) == set(comparison.runs[0].figures)


def best_gains_of(runs: Sequence[ComparedRun]) -> list[float]:
    return [run.figures["best_gain"] for run in runs]


def test_alone_is_what_no_other_search_has_whatever_its_seeds(tmp_path: Path) -> None:
    same: Mapping[str, str] = {"searcher": "same"}
    for seed in (0, 1):
        write_run(tmp_path / f"s{seed}", priced((1.0, 1.0), (3.0, 3.0)), seed=seed, config=same)
    other = write_run(tmp_path / "other", priced((1.0, 1.0), (2.0, 2.0)))
    together = compare_runs([tmp_path / "s0", tmp_path / "s1", other])
    assert [run.figures["alone"] for run in together.runs] == [1, 1, 1]
    apart = compare_runs([tmp_path / "s0", tmp_path / "s1", other], apart=True)
    assert [run.figures["alone"] for run in apart.runs] == [0, 0, 1]


def test_exported_files_are_compared_by_what_they_measured(tmp_path: Path) -> None:
    told = priced((1.0, 1.0), (5.0, 5.0), (9.0, 9.0), (8.0, 9.0))
    finals = priced((0.5, 1.0), (4.0, 6.0), (8.0, 8.0))  # the last trial was not exported
    one = write_run(tmp_path / "one", told, finals=finals, constraints=["price <= 7"])
    other = write_run(tmp_path / "other", told, seed=1)
    comparison = compare_runs([one, other], exported=True)
    first, second = comparison.runs
    assert comparison.front_of(first).tolist() == [[4.0, 6.0], [0.5, 1.0]]
    assert first.trace.numbers.tolist() == [1, 0]
    assert (first.figures["front"], first.figures["best_gain"], first.figures["share"]) == (2, 4, 1)
    assert (second.figures["front"], second.figures["hypervolume"]) == (0, 0.0)
    assert not [name for name in first.figures if name.startswith("needed")]
    assert comparison.notes[-2:] == (
        "no model was exported in 'other'",
        "values are those of exported files, on data that no search has seen",
    )


def test_files_are_not_compared_where_there_are_none(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, priced((1.0, 1.0))) for name in ("one", "other")]
    with pytest.raises(ExportError, match="none of the runs has an exported model"):
        compare_runs(folders, exported=True)

"""The benchmark that judges searchers: what it counts, and what it says."""

import itertools
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.efficiency.cache import Cache
from benchmarks.efficiency.catalogue import require
from benchmarks.efficiency.contestants import Contestant, source_digest
from benchmarks.efficiency.foresight import Foresight
from benchmarks.efficiency.luck import Luck
from benchmarks.efficiency.made import KINDS, made_scenario
from benchmarks.efficiency.oracle import Oracle
from benchmarks.efficiency.own import problem_of
from benchmarks.efficiency.scenario import SHARES, Meter, Scenario
from benchmarks.efficiency.summary import Needed, ratio
from benchmarks.efficiency.trained_networks import Layer, tried
from benchmarks.efficiency.trained_settings import Perceptrons
from niwaki.core.randomness import stream
from niwaki.evaluation.table import TableEvaluator, TableSettings, ValueColumn


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    """A grid of 4 x 5 with a hole at (0, 0): quality against cost."""
    rng = stream(0, "table")
    lines = ["a,b,quality,guess,cost"]
    for a, b in list(itertools.product(range(4), range(5)))[1:]:
        quality, cost = rng.random(2)
        lines.append(f"{a},{b},{quality},{quality + rng.normal()},{cost}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    values = {
        "quality": ValueColumn("maximize"),
        "guess": ValueColumn("maximize"),
        "cost": ValueColumn("minimize"),
    }
    table = TableEvaluator(TableSettings(file=str(path), decisions=("a", "b"), values=values))
    return Scenario("test/table", "test", table, ("quality", "cost"))


def test_a_repeat_is_free_and_a_hole_is_the_nearest_row(scenario: Scenario) -> None:
    meter = Meter(scenario, 3)
    rows = [meter.evaluate(point).row for point in ([3, 4], [0, 0], [3, 4], [0, 1])]
    assert not scenario.complete
    assert scenario.grid[rows].tolist() == [[3, 4], [0, 1], [3, 4], [0, 1]]
    assert (len(meter.rows), meter.n_asks, meter.done) == (2, 4, False)


def test_whoever_only_repeats_is_stopped(scenario: Scenario) -> None:
    meter = Meter(scenario, 5, asks_per_evaluation=2)
    while not meter.done:
        meter.evaluate_row(0)
    assert (len(meter.rows), meter.n_asks) == (1, 10)


def test_the_count_is_that_of_going_through_all(scenario: Scenario) -> None:
    rows = stream(1).permutation(len(scenario.grid)).tolist()
    shares = [scenario.share(rows[: n + 1]) for n in range(len(rows))]
    by_hand = [next(n + 1 for n, share in enumerate(shares) if share >= s) for s in SHARES]
    assert shares[-1] == pytest.approx(1.0)
    assert scenario.needed(rows) == by_hand
    assert scenario.needed(rows[: by_hand[-1] - 1])[-1] is None


def test_the_volume_is_scaled_to_the_true_front(scenario: Scenario) -> None:
    costs = scenario.truth
    dominated = [((costs <= row).all(1) & (costs < row).any(1)).any() for row in costs]
    front = costs[~np.array(dominated)]
    np.testing.assert_array_equal(scenario.front.ideal, front.min(axis=0))
    np.testing.assert_array_equal(scenario.front.nadir, front.max(axis=0))
    assert scenario.front.volume <= 1.1**2


def test_isomorphic_rows_are_alike_but_not_the_same(scenario: Scenario) -> None:
    assert problem_of(scenario, 0).alike is None
    table = TableEvaluator(replace(scenario.evaluator.rows.settings, identity="a"))
    problem = problem_of(replace(scenario, evaluator=table), 0)
    first, second = (scenario.space.candidate(row) for row in (0, 1))
    assert problem.alike is not None
    assert problem.alike(first) == problem.alike(second)
    assert problem.identity(first) != problem.identity(second)


def test_an_oracle_takes_what_adds_the_most(scenario: Scenario) -> None:
    oracle = Oracle.of(scenario)
    rows = np.flatnonzero(~scenario.failing).tolist()
    first = max(scenario.share([row]) for row in rows)
    assert (oracle.needed[0] == 1) == (first >= SHARES[0])
    assert 1 <= oracle.needed[0] <= oracle.needed[1] <= oracle.needed[2] <= oracle.n_front
    assert oracle.n_front <= oracle.n_near <= len(scenario.grid)
    without = [1.0 - scenario.share([r for r in rows if r != row]) for row in rows]
    assert oracle.dearest >= max(without) - 1e-12


@pytest.fixture
def smooth_and_noisy(tmp_path: Path) -> list[Scenario]:
    """A grid of 20 x 20: what follows from the decisions, and what is chance, against cost."""
    rng = stream(0, "lucky")
    lines = ["a,b,smooth,noisy,cost"]
    for a, b in itertools.product(range(20), range(20)):
        lines.append(f"{a},{b},{a + b},{rng.normal()},{a}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    values = {name: ValueColumn("maximize") for name in ("smooth", "noisy")}
    values["cost"] = ValueColumn("minimize")
    table = TableEvaluator(
        TableSettings(file=str(path), decisions=("a", "b"), values=values, cheap=("cost",))
    )
    return [Scenario(f"test/{name}", "test", table, (name, "cost")) for name in ("smooth", "noisy")]


def test_a_front_is_lucky_where_noise_made_it(smooth_and_noisy: list[Scenario]) -> None:
    smooth, noisy = map(Luck.of, smooth_and_noisy)
    assert abs(smooth.deviations) < 1.0
    assert noisy.deviations > 1.5


def test_foresight_helps_as_far_as_there_is_something_to_foresee(
    smooth_and_noisy: list[Scenario],
) -> None:
    smooth, noisy = (Foresight.of(scenario, 30) for scenario in smooth_and_noisy)
    best = Oracle.of(smooth_and_noisy[0]).needed
    assert smooth.needed[0] is not None
    assert best[0] <= smooth.needed[0] <= best[0] + 1
    assert noisy.needed[1:] == [None, None]


def test_with_noise_only_what_looks_best_counts(scenario: Scenario) -> None:
    noisy = replace(scenario, wanted=("guess", "cost"), judged_by={"guess": "quality"})
    np.testing.assert_array_equal(noisy.truth, scenario.truth)
    everything = range(len(noisy.grid))
    assert noisy.share(everything) < 1.0 == pytest.approx(scenario.share(everything))


def test_failures_cost_and_are_no_part_of_the_front(scenario: Scenario) -> None:
    failing = replace(scenario, failing_share=0.5)
    assert 0 < failing.failing.sum() < len(failing.grid)
    row = int(np.flatnonzero(failing.failing)[0])
    meter = Meter(failing, 4)
    assert meter.evaluate_row(row).costs is None
    assert meter.rows == [row]
    assert failing.share([row]) == 0.0
    assert failing.share(np.flatnonzero(~failing.failing).tolist()) == pytest.approx(1.0)


def test_a_finished_run_is_not_run_again(scenario: Scenario, tmp_path: Path) -> None:
    n_runs = 0

    def run(meter: Meter, seed: int) -> None:
        nonlocal n_runs
        n_runs += 1
        for row in stream(seed).permutation(len(meter.scenario.grid)).tolist():
            meter.evaluate_row(row)

    cache = Cache(tmp_path / "cache")
    one = Contestant("one", False, "1", lambda: run)
    assert [cache.run(scenario, one, 0, 8) for _ in range(2)] == [True, False]
    shorter = cache.find(scenario, one, 0, 5)
    assert shorter is not None
    assert shorter.rows == tuple(stream(0).permutation(len(scenario.grid))[:5])
    for other in (replace(one, version="2"), replace(one, asks_per_evaluation=3)):
        assert cache.find(scenario, other, 0, 5) is None
    assert cache.find(replace(scenario, failing_share=0.5), one, 0, 5) is None
    assert cache.find(scenario, one, 0, 9) is None
    assert n_runs == 1


def test_a_longer_run_that_is_cut_is_what_a_shorter_one_would_have_been(
    scenario: Scenario, tmp_path: Path
) -> None:
    def run(meter: Meter, seed: int) -> None:
        rng = stream(seed)
        while not meter.done:
            meter.evaluate_row(int(rng.integers(len(meter.scenario.grid))) // 3)

    one = Contestant("one", False, "1", lambda: run, asks_per_evaluation=2)
    short, long = Cache(tmp_path / "short"), Cache(tmp_path / "long")
    short.run(scenario, one, 0, 8)
    long.run(scenario, one, 0, 16)
    found = [cache.find(scenario, one, 0, 8) for cache in (short, long)]
    assert found[0] is not None and found[1] is not None
    assert 1 < len(found[0].rows) < 8
    assert found[0].rows == found[1].rows


@pytest.mark.parametrize("name", ["surrogate", "optuna-tpe"])
def test_a_version_follows_how_answers_are_given(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.efficiency import contestants

    before = contestants.contestants()[name].version
    source_digest.cache_clear()
    file_of = contestants._file
    answers = Scenario.__module__
    other = "benchmarks.efficiency.oracle"
    monkeypatch.setattr(
        contestants, "_file", lambda module: file_of(other if module == answers else module)
    )
    assert contestants.contestants()[name].version != before
    source_digest.cache_clear()


def test_what_was_not_reached_is_never_a_number() -> None:
    reached = Needed(((10.0,), (20.0,), (40.0,), (inf,)), 100, (1.0,) * 4, 0, 100)
    not_reached = Needed(((50.0,), (inf,), (inf,)), 100, (1.0,) * 3, 0, 100)
    assert reached.cell(0) == "30 (10, 40)"
    assert not_reached.cell(0) == "> 100 (50, > 100)"
    assert ratio(reached, {"peer": not_reached}, 0) == (0.3, "< 0.30 (no one)")
    assert ratio(not_reached, {"peer": reached}, 0) == (inf, "not reached (peer did)")


def test_a_peer_that_was_stopped_early_might_have_been_first() -> None:
    ours = Needed(((30.0,),), 200, (1.0,), 0, 200)
    late, never = (Needed(((n,),), 200, (1.0,), 0, 200) for n in (120.0, inf))
    slow = Needed(((inf,),), 80, (1.0,), 0, 80)
    stuck = Needed(((inf,),), 13, (1.0,), 1, 200)
    assert ratio(ours, {"never": never, "slow": slow}, 0) == (0.375, "< 0.38 (no one)")
    assert ratio(ours, {"late": late, "slow": slow}, 0) == (0.375, "0.25 to 0.38 (late)")
    assert ratio(ours, {"late": late, "stuck": stuck}, 0) == (0.25, "0.25 (late)")
    assert ratio(ours, {"never": never, "stuck": stuck}, 0) == (0.15, "< 0.15 (no one)")


def test_a_version_follows_what_a_searcher_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.efficiency import contestants

    before = source_digest("niwaki.search.nsga2")
    source_digest.cache_clear()
    file_of = contestants._file
    moved = file_of("niwaki.search.age_moea")
    monkeypatch.setattr(
        contestants,
        "_file",
        lambda name: moved if name == "niwaki.search.ranking" else file_of(name),
    )
    assert source_digest("niwaki.search.nsga2") != before
    source_digest.cache_clear()


@pytest.mark.parametrize("name", KINDS)
def test_a_made_up_table_is_the_same_every_time_and_another_by_draw(name: str) -> None:
    make = KINDS[name].make
    (rows, columns), (again, same), (_, other) = (make(stream(draw)) for draw in (0, 0, 1))
    assert rows == again
    assert len(set(rows)) == len(rows)
    assert set(columns) == set(KINDS[name].values)
    for column, values in columns.items():
        assert np.array_equal(values, same[column], equal_nan=True)
        assert np.isfinite(values).mean() > 0.8
    assert any(not np.array_equal(columns[name], other[name], equal_nan=True) for name in columns)


def test_what_a_made_up_table_lacks_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIWAKI_CACHE", str(tmp_path))
    scenario = made_scenario("kernels", 1)
    _, columns = KINDS["kernels"].make(stream(1, "made", "kernels"))
    assert scenario.failing.tolist() == np.isnan(columns["time"]).tolist()
    assert np.array_equal(scenario.told[:, 0], columns["time"], equal_nan=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [("trained/widths/0", "efficiency.trained makes them"), ("made/none", "no table called")],
)
def test_a_table_that_is_missing_stops_a_benchmark_before_it_begins(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIWAKI_CACHE", str(tmp_path))
    require(["made/rugged/0", "nasbench201/c10/raspi4"])
    with pytest.raises(SystemExit, match=said):
        require(["made/rugged/0", name])


@pytest.mark.parametrize("n_layers", [1, 3])
def test_layers_that_rows_share_are_computed_once_and_rows_keep_their_order(n_layers: int) -> None:
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    computed = []

    def options(depth: int, row: tuple[float, ...]) -> list[Layer]:
        def kept(seen: Tensor) -> Tensor:
            computed.append(depth)
            return seen

        return [kept, lambda seen: 1.0 - seen]

    found = tried(images, torch.tensor([0, 1]), options, n_layers)
    swaps = [sum(row) % 2 for row in itertools.product((0, 1), repeat=n_layers)]
    assert found.tolist() == [0.0 if swapped else 100.0 for swapped in swaps]
    assert len(computed) == 2**n_layers - 1


def test_a_network_trained_beside_wider_ones_is_as_wide_as_it_says() -> None:
    settings = np.array([[0.1, 0.9, 1e-3, width, 0.0, 1.0] for width in (2, 8)])
    networks = Perceptrons(settings, stream(0))
    rng = stream(1)
    inputs = torch.from_numpy(rng.random((64, 64))).float()
    labels = (inputs[:, 0] > 0.5).long()
    assert networks.errors(inputs, labels)[1] > 50.0
    for _ in range(60):
        networks.learn(inputs, labels)
    assert networks.errors(inputs, labels)[1] < 10.0
    first, second, last = networks.weights
    assert not first[0, :, 2:].any() and not second[0, 2:].any() and not last[0, 2:].any()
    assert first[1].all() and last[1].all()

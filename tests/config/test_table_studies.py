"""A user's own table, from a configuration to a front, with a scheduler and without."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from niwaki.config.build import build_study, study_from_config
from niwaki.config.reader import parse_config
from niwaki.core.errors import ConfigError, DataError
from niwaki.core.measurement import Status
from niwaki.core.pareto import non_dominated
from niwaki.core.randomness import stream
from niwaki.study.results.run import Run
from niwaki.study.watching.observer import Silence

CONFIG: dict[str, Any] = {
    "evaluator": {
        "kind": "table",
        "file": "cells.csv.gz",
        "decisions": {f"edge{i}": f"op{i}" for i in range(4)},
        "values": {
            "accuracy": {"direction": "maximize", "fidelities": {0.1: "accuracy_early"}},
            "latency_ms": {"direction": "minimize"},
        },
        "baseline": {"op0": "conv", "op1": "conv", "op2": "conv", "op3": "conv"},
    },
    "objectives": ["accuracy", "latency_ms"],
    "constraints": ["latency_ms <= 0.8 * baseline"],
    "executor": {"kind": "in_process"},
    "budget": {"evaluations": 81},
}


def write_table(folder: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Write all cells of four edges with three operations; return (81, 2) costs."""
    import gzip

    rng = stream(0, "table")
    cells = np.indices((3, 3, 3, 3)).reshape(4, -1).T
    latency = 1.0 + cells @ np.array([1.0, 2.0, 3.0, 4.0])
    accuracy = 50.0 + 2.0 * latency + rng.normal(0.0, 3.0, size=81)
    early = accuracy - 20.0 + rng.normal(0.0, 1.0, size=81)
    lines = ["op0,op1,op2,op3,accuracy,accuracy_early,latency_ms"]
    for cell, *values in zip(cells, accuracy, early, latency, strict=True):
        names = [("none", "skip", "conv")[code] for code in cell]
        lines.append(",".join([*names, *map(str, values)]))
    (folder / "cells.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return np.stack([-accuracy, latency], axis=1)


class Listener(Silence):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def test_sections_that_nothing_depends_on_are_told(tmp_path: Path) -> None:
    listener = Listener()
    config = parse_config({**CONFIG, "target": "onnxruntime_cpu"})
    with pytest.raises(DataError, match="does not exist"):
        build_study(config, tmp_path / "run", observer=listener).run()
    assert listener.said == ["evaluator 'table' does not read the section `target`"]


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Run:
    """Run a study on the table, found by way of $NIWAKI_DATA."""
    monkeypatch.setenv("NIWAKI_DATA", str(folder))
    (folder / "cells.yaml").write_text(yaml.safe_dump({**CONFIG, **changes}))
    study_from_config(folder / "cells.yaml", runs=folder / "runs").run()
    return Run.read(folder / "runs" / "cells")


def test_a_table_is_searched_to_its_true_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = write_table(tmp_path)
    found = run(tmp_path, monkeypatch).front.costs
    feasible = costs[costs[:, 1] <= 0.8 * costs[:, 1].max() + 1e-9]
    truth = feasible[non_dominated(feasible)]
    np.testing.assert_allclose(np.unique(found, axis=0), np.unique(truth, axis=0))


GOALS: dict[str, Any] = {
    "best": {"objectives": ["accuracy"]},
    "fast": {
        "objectives": ["latency_ms", "accuracy"],
        "constraints": ["accuracy >= 0.95 * baseline"],
    },
    "slow": {"objectives": ["accuracy", {"name": "latency_ms"}]},
}


@pytest.mark.parametrize("kind", ["full", "asha"])
def test_a_table_is_searched_to_the_true_front_of_each_goal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    costs = write_table(tmp_path)
    changes = {"objectives": [], "goals": GOALS, "scheduler": {"kind": kind}}
    goals = run(tmp_path, monkeypatch, **changes, budget={"evaluations": 500}).front.goals
    feasible = costs[costs[:, 1] <= 0.8 * costs[:, 1].max() + 1e-9]
    good = feasible[feasible[:, 0] <= 0.95 * costs[-1, 0]]
    assert 0 < len(good) < len(feasible)
    truth, fast = feasible[non_dominated(feasible)], good[non_dominated(good)]
    assert goals["best"].costs.tolist() == [[feasible[:, 0].min()]]
    np.testing.assert_allclose(
        np.unique(goals["fast"].costs, axis=0), np.unique(fast[:, ::-1], axis=0)
    )
    np.testing.assert_allclose(np.unique(goals["slow"].costs, axis=0), np.unique(truth, axis=0))


def test_the_direction_of_a_goals_objective_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = write_table(tmp_path)
    slowest = {"objectives": [{"name": "latency_ms", "direction": "maximize"}]}
    changes = {"objectives": [], "constraints": [], "goals": {"slowest": slowest}}
    front = run(tmp_path, monkeypatch, **changes).front.goals["slowest"]
    assert front.models[0].values["latency_ms"] == costs[:, 1].max()


@pytest.mark.parametrize("kind", ["asha", "hyperband"])
def test_a_scheduler_looks_at_more_cells_for_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    write_table(tmp_path)
    scheduled = run(tmp_path, monkeypatch, scheduler={"kind": kind}, budget={"evaluations": 12})
    seen = {trial.candidate.key for trial in scheduled.history.trials}
    assert scheduled.history.effort <= 12.0 + 1e-6
    assert len(seen) > 25
    assert len(scheduled.front) > 1


def test_without_new_cells_every_cell_ends_at_full_effort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(tmp_path)
    whole = run(tmp_path, monkeypatch, scheduler={"kind": "asha"}, budget={"evaluations": 500})
    # The baseline, one of 81 cells, was measured before.
    assert whole.history.paid_by_fidelity() == {1.0: 80, 0.1: 80}
    assert whole.history.effort == pytest.approx(80 * 1.1)


def test_cheap_values_turn_cells_away_before_they_are_paid_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(tmp_path)
    evaluator = {**CONFIG["evaluator"], "cheap": ["latency_ms"]}
    # Searchers with a model do not ask for them.
    changes = {"evaluator": evaluator, "searcher": {"kind": "random"}}
    found = run(tmp_path, monkeypatch, **changes, budget={"evaluations": 20})
    away = [t for t in found.history.trials if t.measurement.status is Status.INFEASIBLE]
    assert away
    assert found.history.n_paid == 20


@pytest.mark.parametrize(
    ("scheduler", "fault"),
    [
        ({"kind": "ahsa"}, "did you mean 'asha'"),
        ({"kind": "asha", "redction": 3}, "unknown key 'scheduler.redction'.*'reduction'"),
        ({"kind": "asha", "reduction": 1}, "in 'scheduler': 'reduction' is 1"),
        ({"kind": "full", "keep": 0.5}, "takes no settings"),
    ],
)
def test_a_wrong_scheduler_is_refused_when_read(scheduler: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        parse_config({**CONFIG, "scheduler": scheduler})


def test_a_scheduler_without_fidelities_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(tmp_path)
    values = {**CONFIG["evaluator"]["values"], "accuracy": {"direction": "maximize"}}
    evaluator = {**CONFIG["evaluator"], "values": values}
    with pytest.raises(ConfigError, match="or leave out 'scheduler'"):
        run(tmp_path, monkeypatch, evaluator=evaluator, scheduler={"kind": "asha"})
    assert not (tmp_path / "runs").exists()  # it said so before anything was prepared

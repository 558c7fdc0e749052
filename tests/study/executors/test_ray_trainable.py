"""Our searchers and evaluators inside `ray.tune.Tuner`, with its schedulers and its restoring."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from ray import tune
from ray.tune.schedulers import ASHAScheduler

from niwaki.core.candidate import Candidate
from niwaki.core.fidelity import Fidelities
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.search.base import Problem
from niwaki.search.nsga2 import NSGA2, NSGA2Settings
from niwaki.search.ray_tune_searcher import RayTuneSearcher
from niwaki.study.executors.ray_trainable import evaluation_trainable
from tests.study.executors.ray_local import local_ray
from tests.study.formulas import SPACE, FormulaEvaluator

GAIN = Objective("gain", Direction.MAXIMIZE)
PRICE = Objective("price", Direction.MINIMIZE)
FAILING = SPACE.decide(lambda _, options: options[-1])
TWO = Problem(SPACE, (GAIN, PRICE), initial=(FAILING,))


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    with local_ray(n_cpus=2):
        yield


@dataclass(frozen=True)
class Gradual(FormulaEvaluator):
    """Can be asked for a ninth and a third of the effort, and gains as much less."""

    @property
    def fidelities(self) -> Fidelities:
        return Fidelities((1 / 9, 1 / 3, 1.0))

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        measurement = super().evaluate(candidate, fidelity=fidelity, seed=seed)
        gain = measurement.values["gain"] * fidelity
        return replace(measurement, values={**measurement.values, "gain": gain})


class Chronicled(NSGA2):
    """Writes what it is told into a file: Tune works with copies of what it is given."""

    sees_fidelities = True  # and so is told values as they were reported
    path = Path()

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, NSGA2Settings(population_size=4))

    def tell(self, trials: Sequence[Trial]) -> None:
        super().tell(trials)
        with self.path.open("a") as file:
            file.writelines(json.dumps(t.measurement.to_json()) + "\n" for t in trials)


def chronicle(path: Path) -> list[dict[str, Any]]:
    """Return what was told last of each candidate; before that, what it was on its way."""
    told = [json.loads(line) for line in path.read_text().splitlines()]
    return list({one["key"]: one for one in told}.values())


def tuned(
    evaluator: FormulaEvaluator, folder: Path, n: int, scheduler: ASHAScheduler | None = None
) -> tuple[list[tune.Result], list[dict[str, Any]]]:
    """Run `n` trials; returns Tune's results and what our searcher was told."""
    Chronicled.path = folder / "told"
    grid = tune.Tuner(
        evaluation_trainable(evaluator),
        tune_config=tune.TuneConfig(
            search_alg=RayTuneSearcher(Chronicled, TWO),
            scheduler=scheduler,
            num_samples=n,
            max_concurrent_trials=2,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(name="run", storage_path=str(folder), verbose=0),
    ).fit()
    return [grid[i] for i in range(len(grid))], chronicle(folder / "told")


def test_tune_runs_our_search_and_its_scheduler_stops_our_evaluations(tmp_path: Path) -> None:
    scheduler = ASHAScheduler(
        metric="gain", mode="max", max_t=3, grace_period=1, reduction_factor=2
    )
    evaluator = Gradual(visits=tmp_path / "visits", fails=True)
    results, told = tuned(evaluator, tmp_path, 10, scheduler)
    failed = [one for one in told if one["status"] == "failed"]
    assert [one["key"] for one in failed] == [FAILING.key]
    assert [result.error is not None for result in results].count(True) == 1
    metrics = [result.metrics or {} for result in results if result.error is None]
    complete = [one for one in told if one["status"] == "complete"]
    assert len(complete) == len(metrics) == 9
    assert sorted((one["values"]["gain"], one["values"]["price"]) for one in complete) == sorted(
        (one["gain"], one["price"]) for one in metrics
    )
    early = [one for one in complete if one["fidelity"] < 1.0]
    assert 0 < len(early) < 9
    assert all(one["details"] == {"stopped_early": True} for one in early)
    # The failed one tried once; every other as often as its rung says.
    rungs = {1 / 9: 1, 1 / 3: 2, 1.0: 3}
    n_evaluations = len((tmp_path / "visits").read_text().splitlines())
    assert n_evaluations == 1 + sum(rungs[one["fidelity"]] for one in complete)

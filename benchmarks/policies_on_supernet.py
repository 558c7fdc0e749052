"""Policies for each task, learned while a super-network trains, against equal odds: measured.

The search of configs/each_task.yaml on smaller scenes, with multiply-accumulates in the place of
latencies, so that a busy machine changes nothing. Two super-networks are trained alike, with as
many networks per step: one with policies, one without. Then, on each of them, networks that the
policies choose for a task are compared with random ones that cost as much, and whole searches with
each other: hypervolume of each goal's front, scaled by all that was measured of it.

Run: python -m benchmarks.policies_on_supernet --seeds 2 --evaluations 48 --to runs/policies
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from niwaki import Run
from niwaki.config.build import build_study
from niwaki.config.reader import StudyConfig, parse_config
from niwaki.core.candidate import Candidate
from niwaki.core.objectives import minimised
from niwaki.core.pareto import hypervolume
from niwaki.core.randomness import stream
from niwaki.evaluation.checkpoints import load_checkpoint
from niwaki.evaluation.supernet.evaluator import CHECKPOINT, SupernetEvaluator
from niwaki.evaluation.supernet.task_policies import task_policies
from niwaki.search.policies import PolicySettings, TaskPolicies
from niwaki.spaces.precision import FP32

METRICS = {"digit": "digit_accuracy", "segmentation": "segmentation_miou", "depth": "depth_rmse"}
POLICIES, UNTRIED, EQUAL, RANDOM = "policies", "none tried", "equal odds", "random search"
TRAINED_BY = {UNTRIED: POLICIES, RANDOM: EQUAL}  # arms that take another's super-network
SCENES = {"kind": "digit_scenes", "size": 24, "train": 1600, "val": 32, "test": 32}
HASTE = {
    **{"warmup_runs": 1, "warmup_seconds": 0, "min_runs": 2, "min_seconds": 0},
    **{"max_seconds": 0.01, "relative_interval": 1},
}
BAND = (0.85, 1.0)  # of the budget


@dataclass(frozen=True)
class Setup:
    """What is compared: `evaluations` of each search, super-networks of `epochs`, under `to`."""

    evaluations: int
    epochs: int
    to: Path


def config_of(arm: str, seed: int, setup: Setup) -> StudyConfig:
    """Return the configuration of one search."""
    config: dict[str, Any] = yaml.safe_load(Path("configs/each_task.yaml").read_text())
    training = {"epochs": setup.epochs, "batch_size": 32, "n_random": 2, "n_threads": 1}
    if arm in (POLICIES, UNTRIED):
        training["policies"] = {"n_candidates": 2 if arm == POLICIES else 0}
    goals = {task: {"task": task, "objectives": [m, f"{task}_macs"]} for task, m in METRICS.items()}
    config |= {
        "seed": seed,
        "data": SCENES,
        "evaluator": {"kind": "supernet", "training": training},
        "target": {**config["target"], "quick": HASTE, "lock_path": str(setup.to / "lock")},
        "goals": goals,
        "searcher": {"kind": "random" if arm == RANDOM else "surrogate"},
        "executor": {"kind": "in_process"},
        "budget": {"evaluations": setup.evaluations},
        "finalists": 0,
    }
    return parse_config(config)


def search(arm: str, seed: int, setup: Setup) -> Run:
    """Run one search, or continue it."""
    folder, began = _artifacts(arm, seed, setup), process_time()
    if arm in TRAINED_BY:
        folder.mkdir(parents=True, exist_ok=True)
        trained = _artifacts(TRAINED_BY[arm], seed, setup)
        shutil.copyfile(trained / CHECKPOINT, folder / CHECKPOINT)
    build_study(config_of(arm, seed, setup), folder.parent).run()
    print(f"{arm}, seed {seed}: {process_time() - began:.0f} s", flush=True)
    return Run.read(folder.parent)


def volumes(runs: Mapping[str, Run], n: int) -> dict[str, list[float]]:
    """Return the hypervolume of each goal's front after `n` evaluations, by arm."""
    found: dict[str, list[float]] = {arm: [] for arm in runs}
    for goal in METRICS:
        costs = {arm: _costs(run.of_goal(goal)) for arm, run in runs.items()}
        every = np.concatenate([*costs.values()])
        low, high = every.min(axis=0), every.max(axis=0)
        for arm, own in costs.items():
            scaled = (own[:n] - low) / (high - low)
            found[arm].append(hypervolume(scaled, np.full(2, 1.1)))
    return found


def _costs(run: Run) -> NDArray[np.float64]:
    values = [t.measurement.values for t in run.history.trials if t.measurement.complete]
    return minimised(values, run.description.objectives)


def choices(seed: int, setup: Setup, n_chosen: int, n_random: int) -> None:
    """Print what policies choose beside random networks that cost as much, on both weights."""
    evaluators = {arm: _evaluator(arm, seed, setup) for arm in (POLICIES, EQUAL)}
    policies = task_policies(evaluators[POLICIES].family, PolicySettings())
    policies.restore(load_checkpoint(_artifacts(POLICIES, seed, setup) / CHECKPOINT)["policies"])
    print(f"effective share of the steps: {np.round(policies.effective_share, 2).tolist()}")
    for task, metric in METRICS.items():
        rng = stream(seed, "choices", task)
        chosen = policies.candidates(task, n_chosen, rng)
        drawn = _in_band(policies, evaluators[POLICIES], task, n_random, rng)
        for arm, evaluator in evaluators.items():
            own, other = (_scores(evaluator, each, metric) for each in (chosen, drawn))
            costs = [_mean_cost(policies, task, each) for each in (chosen, drawn)]
            print(
                f"{metric:<18} weights of {arm:<11} chosen {own.mean():.4f} (n {len(own)}, cost "
                f"{costs[0]:.2f})  random {other.mean():.4f} s.d. {other.std(ddof=1):.4f} "
                f"(n {len(other)}, cost {costs[1]:.2f})",
                flush=True,
            )


def _artifacts(arm: str, seed: int, setup: Setup) -> Path:
    return setup.to / f"{arm.replace(' ', '-')}-{seed}" / "artifacts"


def _evaluator(arm: str, seed: int, setup: Setup) -> SupernetEvaluator:
    study = build_study(config_of(arm, seed, setup), setup.to / "unused")
    evaluator = study._evaluator
    assert isinstance(evaluator, SupernetEvaluator)
    evaluator.prepare(_artifacts(arm, seed, setup))
    return evaluator


def _in_band(
    policies: TaskPolicies,
    evaluator: SupernetEvaluator,
    task: str,
    n: int,
    rng: np.random.Generator,
) -> list[Candidate]:
    """Return `n` networks at equal odds among those that cost a task what policies may."""
    low, high = (share * PolicySettings().budget for share in BAND)
    found: dict[Candidate, None] = {}
    while len(found) < n:
        drawn = evaluator.architectures.sample(rng)
        if low <= policies.relative_cost(task, drawn) <= high:
            found[drawn] = None
    return list(found)


def _mean_cost(policies: TaskPolicies, task: str, candidates: list[Candidate]) -> float:
    return float(np.mean([policies.relative_cost(task, each) for each in candidates]))


def _scores(
    evaluator: SupernetEvaluator, architectures: list[Candidate], metric: str
) -> NDArray[np.float64]:
    spelled = [evaluator.spell(each, FP32) for each in architectures]
    return np.array([evaluator.evaluate(c, fidelity=1.0, seed=0).values[metric] for c in spelled])


def main() -> None:
    """Train, search and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=Path("runs/policies"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--evaluations", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    setup = Setup(arguments.evaluations, arguments.epochs, arguments.to.absolute())
    for seed in range(arguments.seeds):
        runs = {arm: search(arm, seed, setup) for arm in (POLICIES, UNTRIED, EQUAL, RANDOM)}
        for n in (setup.evaluations // 3, setup.evaluations):
            for arm, found in volumes(runs, n).items():
                listed = "  ".join(
                    f"{goal} {v:.3f}" for goal, v in zip(METRICS, found, strict=True)
                )
                print(f"after {n} evaluations, {arm:<14} {listed}", flush=True)
        choices(seed, setup, n_chosen=4, n_random=12)


if __name__ == "__main__":
    sys.exit(main())

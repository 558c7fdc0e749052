"""Searches in einspace, every network trained from scratch and measured on this machine.

Parts:
    sampling: the best of many random networks, by how they are drawn.
    seeds: evolution that starts from known networks, against the best of these.
    searchers: another searcher with half of the evaluations, against regularised evolution.
    front: networks that are as good as the best known one, and how much faster they are.

Networks are chosen by the search split (by the validation split among finalists) and trained anew
from other seeds; what is printed is their score on the test split, which nothing is chosen by.
Everything trained is kept under `--folder`: the same command goes on where it was stopped.

Run: python -m benchmarks.einspace all --task language --small
     python -m benchmarks.einspace all --task addnist
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import numpy as np

from benchmarks.einspace_random import RandomNetworks
from benchmarks.einspace_study import (
    EVOLUTION,
    LATENCY,
    SAMPLINGS,
    SKILL,
    TASKS,
    Plan,
    Scale,
    Searched,
    Setup,
)
from niwaki.core.measurement import Trial
from niwaki.targets.base import Effort

Figures: TypeAlias = dict[str, object]

SMALL = Scale(
    train=1500,
    scored=0,
    epochs=4,
    evaluations=24,
    random=8,
    screened=0,
    retrained=1,
    final_epochs=0,
    seeds=1,
    batch_size=64,
    parameters=2_000_000,
    macs=10_000_000,
    elements=260_000,
    max_seconds=60,
    known=("resnet8_w16", "vit_small"),
)
FULL = Scale(
    train=4000,
    scored=0,
    epochs=6,
    evaluations=80,
    random=50,
    screened=0,
    retrained=2,
    final_epochs=0,
    seeds=3,
    batch_size=64,
    parameters=2_000_000,
    macs=15_000_000,
    elements=800_000,
    max_seconds=300,
)
NUMBERS = [name for name in vars(FULL) if name != "known"]
N_FRONT_FINALISTS = 12
ALMOST, HARDLY_WORSE = 0.9, 0.95


def sampling(setup: Setup, samplings: str) -> Figures:
    """Return scores of the best random network, by sampling and seed, all trained alike."""
    scale, figures, names = setup.scale, {}, samplings.split(",")
    _train_at_once(setup, list(product(names, range(scale.seeds))))
    for name in names:
        drawn = [RandomNetworks(setup, name, seed) for seed in range(scale.seeds)]
        print(f"random networks: {name}", file=sys.stderr, flush=True)
        tried = [each.trained(scale.random) for each in drawn]
        figures[name] = {
            "best_on_search": [max(t.skill for t in trained) for trained in tried],
            "best_on_test": [each.test_skill(scale.random) for each in drawn],
            "better_than_0.1": [sum(t.skill > 0.1 for t in trained) for trained in tried],
            "failed": [sum(bool(t.failure) for t in trained) for trained in tried],
        }
    return dict(figures)


def _train_at_once(setup: Setup, drawings: Sequence[tuple[str, int]]) -> None:
    """Train the random networks of all samplings and seeds, in as many processes as are allowed."""
    if setup.n_workers > 1:
        with ProcessPoolExecutor(setup.n_workers, get_context("spawn")) as pool:
            for _ in pool.map(partial(_train_drawing, setup), drawings):
                pass


def _train_drawing(setup: Setup, drawing: tuple[str, int]) -> None:
    """Train what `sampling` will ask one sampling and seed for; it is kept in their file."""
    RandomNetworks(setup, *drawing).test_skill(setup.scale.random)


def seeds(setup: Setup, _: str) -> Figures:
    """Return test scores of the best network that evolution found, and of the best seed."""
    runs = [_evolved(setup, seed) for seed in range(setup.scale.seeds)]
    n = setup.scale.retrained
    return {
        "best_seed_on_test": [_on_test(run, run.best_seed(), n) for run in runs],
        "evolved_on_test": [_on_test(run, run.best(), n) for run in runs],
        "best_seed_macs": [run.best_seed().measurement.values["macs"] for run in runs],
        "evolved_macs": [run.best().measurement.values["macs"] for run in runs],
    }


def searchers(setup: Setup, searcher: str) -> Figures:
    """Return whether `searcher` has what evolution ends with after half of its evaluations.

    Both are also judged by networks trained anew.
    """
    n, scale = setup.scale.evaluations, setup.scale
    kind, _, scheduler = searcher.partition("+")
    plan = Plan(kind, n // 2, seeded=setup.seeded, scheduler=scheduler)
    name = _named(f"half-{searcher}", setup)
    ours = [setup.search(name, plan, seed) for seed in range(scale.seeds)]
    evolved = [_evolved(setup, seed) for seed in range(scale.seeds)]
    return {
        "evaluations": {searcher: n // 2, EVOLUTION: n},
        "evaluations_needed": [
            _needed(run, other.curve[-1]) for run, other in zip(ours, evolved, strict=True)
        ],
        f"{searcher}_on_search": [run.curve[-1] for run in ours],
        f"{EVOLUTION}_on_search": [run.curve[-1] for run in evolved],
        f"{EVOLUTION}_at_half_on_search": [run.curve[n // 2 - 1] for run in evolved],
        f"{searcher}_on_test": [_on_test(run, run.best(), scale.retrained) for run in ours],
        f"{EVOLUTION}_on_test": [_on_test(run, run.best(), scale.retrained) for run in evolved],
    }


def front(setup: Setup, searcher: str) -> Figures:
    """Return how much faster than the best seed a network is that is no worse.

    Finalists are the fastest networks that are hardly worse on the search split, where one training
    decides by chance; of them the fastest is taken that is no worse on the validation split, in the
    mean of trainings anew. All are timed in one session.
    """
    rows = []
    for seed in range(setup.scale.seeds):
        run = setup.search(f"front-{searcher}", front_plan(setup, searcher), seed)
        rows.append(fastest_no_worse(run, setup))
    return {name: [row[name] for row in rows] for name in rows[0]}


def front_plan(setup: Setup, searcher: str) -> Plan:
    """Return the search of `front`: networks that are far worse than the first seed are nothing."""
    bound = f"{SKILL} >= {ALMOST} * baseline"
    return Plan(searcher, setup.scale.evaluations, (SKILL, LATENCY), constraints=(bound,))


def fastest_no_worse(run: Searched, setup: Setup) -> Mapping[str, float]:
    """Return the latencies and scores of the best seed, and of the fastest that is no worse."""
    best_seed = run.best_seed()
    rivals = [
        trial
        for trial in run.trials
        if trial.measurement.complete and run.skill(trial) >= HARDLY_WORSE * run.skill(best_seed)
    ]
    rivals.sort(key=lambda trial: trial.measurement.values[LATENCY])
    chosen = [trial.candidate for trial in rivals[:N_FRONT_FINALISTS] if trial != best_seed]
    finalists = [best_seed.candidate, *chosen]
    scores = run.anew(finalists, setup.scale.retrained)
    latencies = run.evaluator.latencies(finalists, seed=0, effort=Effort.THOROUGH)
    able = [i for i, score in enumerate(scores) if score["val"] >= scores[0]["val"]]
    fastest = min(able, key=lambda i: latencies[i])
    return {
        "best_seed_ms": latencies[0],
        "fastest_no_worse_ms": latencies[fastest],
        "speed_up": latencies[0] / latencies[fastest],
        "best_seed_on_test": scores[0]["test"],
        "fastest_no_worse_on_test": scores[fastest]["test"],
    }


def _evolved(setup: Setup, seed: int) -> Searched:
    plan = Plan(EVOLUTION, setup.scale.evaluations, seeded=setup.seeded)
    return setup.search(_named("evolution", setup), plan, seed)


def _named(search: str, setup: Setup) -> str:
    return search if setup.seeded else f"{search}-from-scratch"


def _on_test(run: Searched, trial: Trial, n: int) -> float:
    (scores,) = run.anew([trial.candidate], n)
    return scores["test"]


def _needed(run: Searched, wanted: float) -> float | None:
    """Return how many evaluations it took to get at least `wanted`; None if it never did."""
    reached = zip(run.efforts, run.curve, strict=True)
    return next((effort for effort, best in reached if best >= wanted), None)


PARTS: Mapping[str, Callable[[Setup, str], Figures]] = {
    "sampling": sampling,
    "seeds": seeds,
    "searchers": searchers,
    "front": front,
}


def show(name: str, value: object, indent: str = "  ") -> None:
    """Print figures, lists of numbers with their mean and spread."""
    if isinstance(value, Mapping):
        print(f"{indent}{name}")
        for inner, each in value.items():
            show(inner, each, indent + "  ")
        return
    text = str(value)
    if isinstance(value, list):
        text = "  ".join("not yet" if v is None else f"{v:.4g}" for v in value)
        known = [v for v in value if v is not None]
        if len(known) == len(value) > 1:
            text += f"   mean {np.mean(known):.4g} +- {np.std(known, ddof=1):.2g}"
    print(f"{indent}{name:<36} {text}")


def read_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=[*PARTS, "all"])
    parser.add_argument("--task", choices=TASKS, default="language")
    parser.add_argument("--small", action="store_true", help="minutes in place of hours")
    parser.add_argument("--searcher", default="surrogate", help="what is compared with evolution")
    parser.add_argument("--front-searcher", default="surrogate", help="for the part `front`")
    parser.add_argument(
        "--samplings", default=",".join(SAMPLINGS), help="for the part `sampling`, with commas"
    )
    parser.add_argument(
        "--from_scratch", action="store_true", help="for the part `searchers`: no known networks"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-einspace"))
    parser.add_argument("--json", type=Path, help="also write the figures here")
    for name in NUMBERS:
        parser.add_argument(f"--{name}", type=int, help="in place of the scale's")
    parser.add_argument("--known", help="networks to start from, with commas between them")
    return parser.parse_args()


def main() -> None:
    """Run the parts that were asked for and print what they found."""
    arguments = read_arguments()
    scale = SMALL if arguments.small else FULL
    given = {name: getattr(arguments, name) for name in NUMBERS}
    scale = replace(scale, **{name: n for name, n in given.items() if n is not None})
    if arguments.known:
        scale = replace(scale, known=tuple(arguments.known.split(",")))
    size = "small" if arguments.small else "full"
    folder = arguments.folder / f"{arguments.task}-{size}"
    setup = Setup(arguments.task, scale, folder, arguments.workers, not arguments.from_scratch)
    names = list(PARTS) if arguments.part == "all" else [arguments.part]
    if arguments.from_scratch and names != ["searchers"]:
        raise SystemExit("--from_scratch is for the part `searchers` alone")
    figures: Figures = {}
    for name in names:
        of_part = {"front": arguments.front_searcher, "sampling": arguments.samplings}
        figures[name] = PARTS[name](setup, of_part.get(name, arguments.searcher))
        print(f"{arguments.task}, {name} ({scale})")
        for key, value in figures[name].items():  # type: ignore[attr-defined]
            show(key, value)
        sys.stdout.flush()
    if arguments.json:
        arguments.json.write_text(json.dumps({"scale": vars(scale), **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""NSGA-II against random search on the quickstart's trained super-network, at equal evaluations.

Every study measures for real: quantized, scored and timed on the runtime. The hypervolume is scaled
by everything that any of the studies measured.

Run: niwaki search configs/quickstart.yaml
     python benchmarks/searchers_on_supernet.py runs/quickstart --seeds 5 --evaluations 80
"""

import argparse
import json
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np

from niwaki import Budget, Run, Study, StudySettings
from niwaki.config.build import build_evaluator
from niwaki.config.reader import parse_config
from niwaki.core.objectives import minimised
from niwaki.core.pareto import hypervolume
from niwaki.search.registry import SEARCHERS
from niwaki.study.executors.local_processes import LocalProcessExecutor, LocalProcessSettings
from niwaki.study.record.run_folder import RunFolder


def search(run: Path, to: Path, searcher: str, *, seed: int, n: int) -> Run:
    """Run one study on the super-network of `run`; continues what an earlier call left."""
    folder = RunFolder(to / f"{searcher}-{seed}")
    folder.artifacts.mkdir(parents=True, exist_ok=True)
    for name in ("supernet.pt", "target.json"):
        shutil.copyfile(run / "artifacts" / name, folder.artifacts / name)
    config = parse_config(RunFolder(run).read_config())
    evaluator = build_evaluator(config, notify=lambda _: None)
    settings = StudySettings(
        objectives=config.objectives,  # type: ignore[arg-type]
        constraints=config.constraints,
        budget=Budget(n),
        n_finalists=0,
        seed=seed,
        searcher=searcher,
    )
    factory = SEARCHERS.find(searcher).load()
    make_executor = partial(LocalProcessExecutor, settings=LocalProcessSettings(n_workers=2))
    Study(folder.path, evaluator, factory, settings, make_executor=make_executor).run()
    return Run.read(folder.path)


def costs_of(run: Run) -> np.ndarray:
    """Return the (n, m) costs of the feasible trials."""
    values = [t.measurement.values for t in run.history.trials if t.measurement.complete]
    feasible = [v for v in values if not any(b.violation(v) > 0 for b in run.bounds)]
    return minimised(feasible, run.description.objectives)


def main() -> None:
    """Run all studies and print their hypervolumes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--to", type=Path, default=Path("runs/searchers"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=80)
    parser.add_argument("--searchers", nargs="*", default=["random", "nsga2"])
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    found: dict[str, list[np.ndarray]] = {name: [] for name in arguments.searchers}
    for seed in range(arguments.seeds):
        for name in arguments.searchers:
            run = search(arguments.run, arguments.to, name, seed=seed, n=arguments.evaluations)
            found[name].append(costs_of(run))
            print(f"{name} seed {seed}: {len(found[name][-1])} feasible", file=sys.stderr)
    everything = np.concatenate([costs for runs in found.values() for costs in runs])
    low, high = everything.min(axis=0), everything.max(axis=0)
    reference = np.full(everything.shape[1], 1.1)
    volumes = {
        name: [hypervolume((costs - low) / (high - low), reference) for costs in runs]
        for name, runs in found.items()
    }
    for name, values in volumes.items():
        listed = " ".join(f"{value:.4f}" for value in values)
        print(f"{name:<22} median {np.median(values):.4f}  mean {np.mean(values):.4f}  [{listed}]")
    if arguments.json:
        arguments.json.write_text(json.dumps(volumes, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())

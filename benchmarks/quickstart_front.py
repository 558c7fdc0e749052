"""The searched models against uniform-width networks in fp32, and the same in int8.

All of them are slices of the one trained super-network, exported, scored on the test split from
their files, and timed together in one session. The hypervolume is of mean skill and latency, up to
1.1, scaled to [0, 1] over all models, and for each comparison over its two groups: fp32 models are
so slow that beside them all int8 ones look alike.

Run: niwaki search configs/quickstart.yaml && python benchmarks/quickstart_front.py runs/quickstart
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from niwaki import Candidate, Run, load_front
from niwaki.config.build import build_evaluator
from niwaki.config.reader import parse_config
from niwaki.core.pareto import hypervolume
from niwaki.evaluation.base import Export, Provenance
from niwaki.evaluation.supernet.evaluator import SupernetEvaluator
from niwaki.spaces.precision import FP32, INT8
from niwaki.study.record.run_folder import RunFolder
from niwaki.study.results.front import Front

N_RATIOS = 9


@dataclass(frozen=True)
class Point:
    """One exported model."""

    group: str
    key: str
    mean_skill: float
    latency_ms: float


def uniform_candidates(evaluator: SupernetEvaluator, precision: str) -> list[Candidate]:
    """Return the networks of uniform width, each once, and those of least depth."""
    space = evaluator.architectures
    wide = [space.uniform(ratio) for ratio in np.linspace(0.0, 1.0, N_RATIOS)]
    found = {c.key: c for c in (evaluator.spell(a, precision) for a in [*wide, space.smallest])}
    return list(found.values())


def measure(run: Path, evaluator: SupernetEvaluator, front: Front) -> list[Point]:
    """Export the baselines, and time them together with the searched models."""
    evaluator.prepare(run / "artifacts")
    provenance = Provenance("baselines", front.objectives, "")
    groups: dict[str, str] = {}
    exports: list[Export] = []
    with tempfile.TemporaryDirectory() as folder:
        for group, precision in (("uniform fp32", FP32), ("uniform int8", INT8)):
            for candidate in uniform_candidates(evaluator, precision):
                groups[candidate.key] = group
                print(f"exporting {group} {candidate.key}", file=sys.stderr)
                to = Path(folder) / candidate.key
                exports.append(evaluator.export(candidate, to, provenance=provenance, seed=0))
        timed = _timed(evaluator, exports, run)
    n_searched = len(timed) - len(exports)
    return [_point("searched", export) for export in timed[:n_searched]] + [
        _point(groups[export.measurement.key], export) for export in timed[n_searched:]
    ]


def _timed(evaluator: SupernetEvaluator, exports: list[Export], run: Path) -> list[Export]:
    finals = Run.read(run).history.finals.values()
    baseline = evaluator.baseline().key
    searched = [
        Export(final, RunFolder(run).artifact(final.key))
        for final in finals
        if final.complete and final.key != baseline
    ]
    return evaluator.measure_exports([*searched, *exports], seed=0)


def _point(group: str, export: Export) -> Point:
    test = export.measurement.details["test"]
    assert isinstance(test, dict)
    values = export.measurement.values
    return Point(group, export.measurement.key, float(test["mean_skill"]), values["latency_ms"])


def compare(points: list[Point]) -> dict[str, float]:
    """Return the hypervolume of each group."""
    costs = {
        group: np.array([[-p.mean_skill, p.latency_ms] for p in points if p.group == group])
        for group in dict.fromkeys(p.group for p in points)
    }
    return scaled_volumes(costs)


def scaled_volumes(costs: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Return the hypervolume of each group's (n, m) costs up to 1.1, scaled over all groups."""
    everything = np.concatenate(list(costs.values()))
    low, high = everything.min(axis=0), everything.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    return {
        group: hypervolume((values - low) / span, np.full(len(low), 1.1))
        for group, values in costs.items()
    }


def margins(points: list[Point]) -> dict[str, float]:
    """Return the searched hypervolume over that of each other group, scaled over the two alone."""
    others = dict.fromkeys(p.group for p in points if p.group != "searched")
    ratios = {}
    for group in others:
        volumes = compare([p for p in points if p.group in ("searched", group)])
        ratios[group] = volumes["searched"] / volumes[group]
    return ratios


def main() -> None:
    """Print the models of each group and the hypervolumes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    front = load_front(arguments.run)
    config = parse_config(RunFolder(arguments.run).read_config())
    evaluator = build_evaluator(config, notify=lambda text: print(text, file=sys.stderr))
    assert isinstance(evaluator, SupernetEvaluator)
    points = measure(arguments.run, evaluator, front)
    volumes = compare(points)
    for point in sorted(points, key=lambda p: (p.group, p.latency_ms)):
        named = f"{point.group:<14} {point.key[:8]}"
        print(f"{named}  {point.latency_ms:7.3f} ms  skill {point.mean_skill:.4f}")
    best = max(volume for group, volume in volumes.items() if group != "searched")
    for group, volume in volumes.items():
        ratio = volumes["searched"] / volume
        print(f"hypervolume {group:<14} {volume:.4f}  searched / this = {ratio:.3f}")
    print(f"margin over the better baseline: {100 * (volumes['searched'] / best - 1):.1f}%")
    for group, ratio in margins(points).items():
        print(f"scaled over the two alone: searched / {group} = {ratio:.3f}")
    if arguments.json:
        figures = {"hypervolume": volumes, "points": [vars(point) for point in points]}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())

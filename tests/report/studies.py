"""Made-up studies for the report: the shape of real ones, from a formula and a seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from niwaki.core.candidate import Candidate, Value
from niwaki.core.constraints import Bound
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import Direction, Objective, minimised
from niwaki.core.pareto import hypervolume, knee, non_dominated, reference_point
from niwaki.report import ReportData

STAGES = 4
WIDTHS = (8, 16, 24, 32, 48, 64)
MAX_MACS = 6.5e7
TASKS = ("digit", "segmentation", "depth")

SKILL = Objective("mean_skill", Direction.MAXIMIZE)
LATENCY = Objective("latency_ms", Direction.MINIMIZE, "ms")
SIZE = Objective("size_bytes", Direction.MINIMIZE, "bytes")
ACCURACY = Objective("digit_accuracy", Direction.MAXIMIZE)
MIOU = Objective("segmentation_miou", Direction.MAXIMIZE)
RMSE = Objective("depth_rmse", Direction.MINIMIZE, "m")


@dataclass(frozen=True)
class Network:
    """Decisions of a made-up network, and what follows from them."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    heads: tuple[int, ...]
    precisions: Mapping[str, str]

    @property
    def shapes(self) -> list[tuple[str, int, int, float]]:
        """Path, input channels, output channels and pixels of each layer."""
        layers, channels = [("encoder.stem", 1, self.widths[0], 2304.0)], self.widths[0]
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            for block in range(depth):
                path = f"encoder.stage{stage + 1}.block{block + 1}"
                pixels = 2304.0 / 4**stage
                layers += [(f"{path}.conv1", channels, width, pixels)]
                layers += [(f"{path}.conv2", width, width, pixels)]
                channels = width
        for task, head in zip(TASKS, self.heads, strict=True):
            layers += [(f"{task}.neck", channels, head, 36.0), (f"{task}.head", head, 11, 36.0)]
        return layers

    def candidate(self) -> Candidate:
        """The decisions as a candidate of a joint space."""
        decided: dict[str, Value] = {}
        for stage in range(STAGES):
            decided[f"architecture/encoder.stage{stage + 1}.depth"] = self.depths[stage]
            decided[f"architecture/encoder.stage{stage + 1}.width"] = self.widths[stage]
        for task, head in zip(TASKS, self.heads, strict=True):
            decided[f"architecture/{task}.width"] = head
        for path, *_ in self.shapes:
            decided[f"quantization/{path}"] = self.precisions[path]
        return Candidate.of(decided)

    def layers(self) -> list[JSON]:
        """The layer table; a float layer between quantised ones runs quantised after all."""
        table: list[JSON] = []
        for path, n_in, n_out, pixels in self.shapes:
            asked = self.precisions[path]
            undone = asked == "fp32" and path.endswith("block2.conv1")
            realised = "int8" if undone else asked
            table.append(
                {
                    "path": path,
                    "kind": "linear" if path == "digit.head" else "conv",
                    "width": n_out,
                    "asked": asked,
                    "realised": realised,
                    "macs": int(9 * n_in * n_out * pixels),
                    "size_bytes": 9 * n_in * n_out * (1 if realised == "int8" else 4),
                }
            )
        return table


def network(rng: np.random.Generator, *, taste: float = 0.5) -> Network:
    """Draw a network; `taste` is the chance of int8 in each layer."""
    depths = tuple(int(d) for d in rng.integers(1, 4, STAGES))
    widths = tuple(int(w) for w in np.sort(rng.choice(WIDTHS, STAGES)))
    heads = tuple(int(w) for w in rng.choice(WIDTHS[:4], len(TASKS)))
    every = Network((3,) * STAGES, widths, heads, {})
    precisions = {path: "int8" if rng.random() < taste else "fp32" for path, *_ in every.shapes}
    return Network(depths, widths, heads, precisions)


def values_of(made: Network, rng: np.random.Generator) -> dict[str, float]:
    """Measure a made-up network: more MACs help with falling returns, int8 costs a little skill."""
    macs = time_ms = size = harm = 0.0
    for path, n_in, n_out, pixels in made.shapes:
        quantised = made.precisions[path] == "int8"
        layer_macs = 9 * n_in * n_out * pixels
        macs += layer_macs
        time_ms += layer_macs / (2.4e7 if quantised else 0.8e7) + 0.012
        size += 9 * n_in * n_out * (1 if quantised else 4)
        harm += quantised * (0.03 if path.endswith(("stem", "head")) else 0.0015)
    skill = 0.86 - 0.9 * (macs / 1e6) ** -0.42 - harm + rng.normal(0, 0.012)
    return {
        "mean_skill": skill,
        "latency_ms": time_ms * float(rng.lognormal(0, 0.03)),
        "size_bytes": size,
        "macs": macs,
        "digit_accuracy": min(0.995, skill + 0.13 + float(rng.normal(0, 0.01))),
        "segmentation_miou": skill - 0.08 + float(rng.normal(0, 0.015)),
        "depth_rmse": 0.4 - 0.3 * skill + float(rng.normal(0, 0.008)),
    }


def trial(number: int, rng: np.random.Generator, *, failing: float = 0.05) -> Trial:
    """Draw one finished trial; later ones like int8 more, as a search would."""
    made = network(rng, taste=0.35 + 0.4 * math.tanh(number / 200))
    candidate, values, fate = made.candidate(), values_of(made, rng), float(rng.random())
    if fate < failing:
        reason = str(rng.choice(["the loss became NaN at step 17", f"worker {number} died"]))
        measurement = Measurement(candidate.key, status=Status.FAILED, reason=reason, seconds=0.7)
    elif values["macs"] > MAX_MACS:
        known = {name: values[name] for name in ("macs", "size_bytes")}
        reason = f"macs {values['macs']:.0f} is above {MAX_MACS:.0f}"
        measurement = Measurement(candidate.key, known, Status.INFEASIBLE, reason)
    else:
        details = {"layers": made.layers()}
        seconds = float(rng.uniform(0.5, 1.5))
        measurement = Measurement(candidate.key, values, seconds=seconds, details=details)
    return Trial(number, candidate, measurement)


def study(
    n_trials: int,
    objectives: tuple[Objective, ...] = (SKILL, LATENCY),
    *,
    seed: int = 7,
    failing: float = 0.05,
) -> ReportData:
    """Make up a finished study with a baseline, bounds and exported models."""
    rng = np.random.default_rng(seed)
    trials = [trial(number, rng, failing=failing) for number in range(n_trials)]
    wide = Network((3,) * STAGES, (24,) * STAGES, (24,) * 3, network(rng, taste=0.0).precisions)
    baseline = Measurement(
        wide.candidate().key, values_of(wide, rng), details={"layers": wide.layers()}
    )
    bounds = (Bound("latency_ms", 1.0, 4.5), Bound("depth_rmse", 1.0, 0.31))
    front = front_of(trials, objectives, bounds)
    finals = {trials[row].candidate.key: _final(trials[row], rng) for row in front}
    costs = minimised([trials[row].measurement.values for row in front], objectives)
    knee_key = trials[front[knee(costs)]].candidate.key if front else ""
    return ReportData(
        study="quickstart",
        objectives=objectives,
        trials=trials,
        created="2026-03-01T09:30:00+00:00",
        finished="2026-03-01T09:34:41+00:00",
        seed=seed,
        searcher="nsga2",
        effort=n_trials,
        budget=n_trials,
        seconds=281.4,
        config_yaml="study:\n  name: quickstart\n  seed: 7\nsearcher: nsga2\n",
        environment={"python": "3.11.2", "onnxruntime": "1.32.0", "cpu": {"cores": 2}},
        target_id="ort-cpu-1t-3f9a2c41",
        bounds=bounds,
        final_bounds=bounds,
        baseline=baseline,
        baseline_candidate=wide.candidate(),
        finals={**finals, baseline.key: baseline},
        front_keys=tuple(trials[row].candidate.key for row in front),
        knee_key=knee_key,
        chosen_keys=(knee_key,) if knee_key else (),
        hypervolume=running_hypervolume(trials, objectives, bounds),
        told_at_seconds=tuple(0.27 * (i + 1) for i in range(n_trials)),
        repeat_command="niwaki search configs/quickstart.yaml",
        export_command="niwaki export runs/quickstart --to out/ --key {key}",
    )


def goals(n_trials: int) -> tuple[ReportData, ...]:
    """Make up a study with a goal for each task: the same trials, and a front of each goal."""
    objectives = ((ACCURACY, LATENCY), (MIOU, LATENCY), (RMSE, SIZE, LATENCY))
    return tuple(
        replace(
            study(n_trials, wanted),
            goal=task,
            task=task,
            export_command=f"niwaki export runs/each --to out/ --model {{key}} --goal {task}",
        )
        for task, wanted in zip(TASKS, objectives, strict=True)
    )


def front_of(
    trials: Sequence[Trial], objectives: Sequence[Objective], bounds: Sequence[Bound]
) -> list[int]:
    """Rows of the feasible, non-dominated trials."""
    costs = minimised([t.measurement.values for t in trials], objectives)
    for row, told in enumerate(trials):
        if not told.measurement.complete or any(
            bound.violation(told.measurement.values) > 0 for bound in bounds
        ):
            costs[row] = np.nan
    return [int(row) for row in np.flatnonzero(non_dominated(costs))]


def running_hypervolume(
    trials: Sequence[Trial], objectives: Sequence[Objective], bounds: Sequence[Bound]
) -> tuple[float, ...]:
    """Hypervolume after each trial, on at most 60 of the trials, held in between."""
    costs = minimised([t.measurement.values for t in trials], objectives)
    kept = front_of(trials, objectives, bounds)
    if not kept:
        return (0.0,) * len(trials)
    corner = reference_point(costs)
    every = max(1, len(trials) // 60)
    curve, value = [], 0.0
    for told in range(len(trials)):
        if told % every == 0:
            value = hypervolume(costs[[row for row in kept if row <= told]], corner)
        curve.append(value)
    return tuple(curve)


def _final(told: Trial, rng: np.random.Generator) -> Measurement:
    values = {
        name: value * float(rng.normal(1.0, 0.01))
        for name, value in told.measurement.values.items()
    }
    return Measurement(told.candidate.key, values, details=told.measurement.details)

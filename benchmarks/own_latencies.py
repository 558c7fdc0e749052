"""Measures random candidates of a configuration's joint space on its target, weights random.

Networks are written as graphs straight from their decisions, untrained, quantized as each candidate
says, and timed on real images. One JSON line per candidate goes to `--cache`; the same command goes
on where it was stopped. The first `--again` candidates are measured a second time, after all
others: a predictor can hardly agree better with a measurement than another measurement does. 500
candidates of the quickstart, and 100 again, take about 3 minutes on two idle cores.

Run: python -m benchmarks.own_latencies configs/quickstart.yaml --n 500 --cache runs/own_latencies
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from niwaki.config.build import build_evaluator
from niwaki.config.reader import read_config
from niwaki.core.candidate import Candidate
from niwaki.core.randomness import derived_seed, stream
from niwaki.evaluation.deployment import (
    INPUT_NAME,
    Deployment,
    DeploymentSettings,
    FloatGraph,
    calibrated_in,
    plan_of,
)
from niwaki.evaluation.supernet.evaluator import SupernetEvaluator
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.spaces.precision import ARCHITECTURE, QUANTIZATION
from niwaki.spaces.slimmable.build import build
from niwaki.targets.base import Effort
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu

FIRST, AGAIN = "latencies.jsonl", "again.jsonl"
N_CALIBRATION = 16  # ranges decide values, not latencies


def evaluator_of(config: Path) -> SupernetEvaluator:
    """Return the evaluator of a configuration, unprepared."""
    evaluator = build_evaluator(read_config(config), notify=lambda _: None)
    if not isinstance(evaluator, SupernetEvaluator):
        raise SystemExit("only configurations of evaluator 'supernet' are measured here")
    return evaluator


def measured(cache: Path, name: str = FIRST) -> list[dict[str, Any]]:
    """Return what was measured so far, but for a line that was cut off."""
    path = cache / name
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def candidates(evaluator: SupernetEvaluator, n: int) -> Iterator[tuple[int, Candidate]]:
    """Yield numbered random candidates, the same ones every time."""
    for number in range(n):
        yield number, evaluator.space.sample(stream(0, "own latencies", number))


def measure(
    evaluator: SupernetEvaluator, cache: Path, n: int, *, name: str, effort: Effort
) -> None:
    """Measure what is missing among the first `n` candidates."""
    cache.mkdir(parents=True, exist_ok=True)
    target = calibrated_in(cache, OnnxRuntimeCpu(threads=1))
    deployment = Deployment(
        evaluator.data, target, DeploymentSettings(n_calibration=N_CALIBRATION, batch_size=16)
    )
    shape = evaluator.architectures.shape
    sizes = [(1, shape.channels, shape.height, shape.width)]
    done = {row["number"]: row["candidate"] for row in measured(cache, name)}
    with (cache / name).open("a") as file:
        for number, candidate in candidates(evaluator, n):
            if number in done:
                if Candidate.from_json(done[number]) != candidate:
                    raise SystemExit(f"{cache} is of another configuration: give another --cache")
                continue
            torch.manual_seed(derived_seed(0, "weights", number))
            network = build(evaluator.architectures, candidate.part(ARCHITECTURE)).eval()
            written = build_graph(
                network, sizes, input_names=[INPUT_NAME], output_names=deployment.output_names
            )
            plan = plan_of(candidate.part(QUANTIZATION).decisions, target)
            ranges = deployment.ranges(written) if plan.int8_layers else {}
            model = deployment.quantized(FloatGraph(written, ranges), plan)
            [latency] = target.measure(
                [model], [deployment.timing_feeds()], effort=effort, seed=number
            )
            row = {
                "number": number,
                "candidate": candidate.to_json(),
                "latency_ms": latency.latency_ms,
                "low_ms": latency.latency_low_ms,
                "high_ms": latency.latency_high_ms,
                "size_bytes": model.ByteSize(),
                "load_average": latency.load_average,
                "cheap": dict(evaluator.cheap(candidate)),
            }
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(f"{number}: {latency.latency_ms:.3f} ms", file=sys.stderr)


def main() -> None:
    """Measure, and say how many there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--again", type=int, default=100)
    parser.add_argument("--effort", choices=list(Effort), default=Effort.QUICK, type=Effort)
    parser.add_argument("--cache", type=Path, default=Path("runs/own_latencies"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    evaluator = evaluator_of(arguments.config)
    for name, n in ((FIRST, arguments.n), (AGAIN, arguments.again)):
        measure(evaluator, arguments.cache, n, name=name, effort=arguments.effort)
    print(f"{len(measured(arguments.cache))} candidates measured in {arguments.cache}")


if __name__ == "__main__":
    main()

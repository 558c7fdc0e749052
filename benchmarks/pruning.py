"""Pruned networks at equal multiply-accumulates and equal fine-tuning, beside torch-pruning.

Three questions, several seeds each. A tight network with four tasks, cut to a share of its MACs by
every arm, fine-tuned alike, and beside it a network of that size (every layer by the same share)
trained from its own initial weights for as long as original and fine-tuning together. A network
with ample capacity, ResNet-18, cut to 40%. And the next size up, pruned to what the tight network
costs, beside the tight network trained for as long. All fine-tuning learns from labels and the
original alike. Results are on the test split, which nothing else looks at; each is kept in a folder
when it is there, so that a run that was stopped goes on.

`change` of a task is that of its metric relative to the original's, positive where better; the mean
of it over tasks is Delta. Latency is that of the exported networks on ONNX Runtime, all in one
session, interleaved: the ratio of the original to each.

Run: python -m benchmarks.pruning --data ../shared/data --cache runs/pruning_benchmark
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.pruning_arms import ARMS, Arm, Subject, macs_of, uniform_l1
from benchmarks.pruning_networks import (
    LEARNING_RATE,
    NETWORKS,
    SCALES,
    Network,
    Scale,
    data_of,
    from_labels,
    trained,
)
from niwaki.core.files import write_text_atomically
from niwaki.core.objectives import Direction
from niwaki.evaluation.compression.tuning.fine_tuning import Tuning, TuningSettings
from niwaki.evaluation.deployment import Deployment, DeploymentSettings, plan_of
from niwaki.export.int8.layers import quantizable_layers
from niwaki.spaces.precision import FP32, INT8
from niwaki.targets.base import Effort
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.tasks.base import SplitName, TaskData

SCRATCH, ORIGINAL = "from scratch", "original"
PARTS: Mapping[str, tuple[float, ...]] = {"tight": (0.5, 0.35), "resnet18": (0.4,)}


@dataclass(frozen=True)
class Result:
    """One network that was scored.

    Attributes:
        arm: What made it.
        macs: Multiply-accumulates of one input.
        n_params: Numbers in its weights.
        values: Metrics on the test split.
        cpu_seconds: Of the search.
        n_judged: Networks that an oracle looked at.
        note: Settings that were found on the way.
    """

    arm: str
    macs: float
    n_params: int
    values: Mapping[str, float]
    cpu_seconds: float = 0.0
    n_judged: int = 0
    note: str = ""


class Bench:
    """One network with one seed.

    Args:
        network: Which.
        arguments: Of the command line.
        seed: Of data, weights and order.
    """

    def __init__(self, network: Network, arguments: argparse.Namespace, *, seed: int) -> None:
        self._network, self._seed = network, seed
        self._cache: Path = arguments.cache
        self._scale: Scale = SCALES[arguments.scale][network.data]
        if arguments.tuning_epochs is not None:
            self._scale = replace(self._scale, tuning_epochs=arguments.tuning_epochs)
        self.data: TaskData = data_of(network, self._scale, arguments.data, seed=seed)
        self._tuning_rate: float = arguments.tuning_rate
        self._target = OnnxRuntimeCpu()
        self._deployment = Deployment(self.data, self._target, DeploymentSettings())

    @cached_property
    def module(self) -> nn.Module:
        """The trained original."""
        return trained(
            self._network,
            self.data,
            epochs=self._scale.epochs,
            cache=self._cache / "originals",
            seed=self._seed,
        )

    def original(self) -> Result:
        """Score the original."""
        return self._kept(ORIGINAL, lambda: (self.module, 0.0, 0, ""))

    def longer(self) -> Result:
        """Train the original's architecture for as long as original and fine-tuning together."""
        return self._kept(SCRATCH, lambda: (self._from_scratch(self._fresh()), 0.0, 0, ""))

    def pruned(self, arm: str, budget: float) -> Result:
        """Prune to a budget in multiply-accumulates, fine-tune, and score."""
        name = f"{arm}-{budget:.0f}"
        return self._kept(name, lambda: self._made(ARMS[arm], budget))

    def scratch(self, budget: float) -> Result:
        """Train a network of the same cost, all layers narrowed alike, from its own weights."""

        def make() -> tuple[nn.Module, float, int, str]:
            small = uniform_l1(Subject(self._fresh().eval(), self.data, self._seed), budget).module
            return self._from_scratch(reset(small, seed=self._seed)), 0.0, 0, ""

        return self._kept(f"{SCRATCH}-{budget:.0f}", make)

    def _made(self, arm: Arm, budget: float) -> tuple[nn.Module, float, int, str]:
        grain = 1
        if self._network.name == "resnet18":
            grain = self._target.capabilities.channel_grain.get(FP32, 1)
        found = arm(Subject(self.module, self.data, self._seed, grain), budget)
        settings = TuningSettings(epochs=self._scale.tuning_epochs, learning_rate=self._tuning_rate)
        tuning = Tuning(self.module, self.data, settings, seed=self._seed)
        module = tuning.tuned(found.module)
        return module, found.cpu_seconds, found.n_judged, found.settings

    def _from_scratch(self, module: nn.Module) -> nn.Module:
        epochs = self._scale.epochs + self._scale.tuning_epochs
        return from_labels(module, self.data, epochs=epochs, seed=self._seed)

    def _fresh(self) -> nn.Module:
        torch.manual_seed(self._seed)
        return self._network.build()

    def _kept(self, name: str, make: Callable[[], tuple[nn.Module, float, int, str]]) -> Result:
        """Return a result from the cache, or make it, and keep it with its graphs."""
        to = self._folder / name.replace(" ", "_")
        if not (to / "result.json").exists():
            started = time.perf_counter()
            module, cpu_seconds, n_judged, note = make()
            graph = self._deployment.float_graph(module.eval())
            plan = plan_of(dict.fromkeys(quantizable_layers(graph.model), INT8), self._target)
            to.mkdir(parents=True, exist_ok=True)
            onnx.save(graph.model, to / "fp32.onnx")
            onnx.save(self._deployment.quantized(graph, plan), to / "int8.onnx")
            result = Result(
                name.rpartition("-")[0] or name,
                macs_of(module, self.data),
                sum(p.numel() for p in module.parameters()),
                self._deployment.score(graph.model, SplitName.TEST),
                cpu_seconds,
                n_judged,
                note,
            )
            write_text_atomically(to / "result.json", json.dumps(asdict(result), indent=1) + "\n")
            _say(f"{self._folder.name} {name}: {time.perf_counter() - started:.0f} s {note}")
        return Result(**json.loads((to / "result.json").read_text()))

    @property
    def _folder(self) -> Path:
        scale = self._scale
        tuning = f"{scale.tuning_epochs:g}-{self._tuning_rate:g}"
        name = f"{self._network.name}-{scale.name}-{tuning}-{self._seed}"
        return self._cache / "results" / name

    def graphs(self, names: Sequence[str]) -> list[onnx.ModelProto]:
        """Return kept graphs: `<result>/fp32` or `<result>/int8`."""
        return [onnx.load(self._folder / f"{name.replace(' ', '_')}.onnx") for name in names]

    def int8_values(self, name: str) -> Mapping[str, float]:
        """Return the metrics on the test split of a kept result's int8 graph."""
        return self._deployment.score(self.graphs([f"{name}/int8"])[0], SplitName.TEST)

    def latencies_ms(self, names: Sequence[str]) -> list[float]:
        """Measure kept graphs together, interleaved."""
        models = self.graphs(names)
        feeds = [self._deployment.timing_feeds()] * len(models)
        timed = self._target.measure(models, feeds, effort=Effort.THOROUGH, seed=self._seed)
        return [latency.latency_ms for latency in timed]

    def changes(self, result: Result) -> NDArray[np.float64]:
        """Return (t,) relative changes of each task's metric against the original's."""
        before = self.original().values
        found = []
        for task in self.data.tasks:
            name, metric = task.value_name(task.metrics[0]), task.metrics[0]
            sign = 1.0 if metric.direction is Direction.MAXIMIZE else -1.0
            found.append(sign * (result.values[name] - before[name]) / abs(before[name]))
        return np.array(found)


def reset(module: nn.Module, *, seed: int) -> nn.Module:
    """Give every layer of a module new initial weights, in place."""
    torch.manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            layer.reset_parameters()
    return module


def fill(benches: Sequence[Bench], shares: Sequence[float], arms: Sequence[str]) -> None:
    """Make every result of a part that is not there yet, those from scratch last."""
    for bench in benches:
        whole = bench.original().macs
        for share in shares:
            for arm in arms:
                if arm != SCRATCH:
                    bench.pruned(arm, share * whole)
    for bench in benches if SCRATCH in arms else ():
        for share in shares:
            bench.scratch(share * bench.original().macs)


def rows_of(benches: Sequence[Bench], share: float, arms: Sequence[str]) -> Iterator[str]:
    """Yield a row of the table for each arm."""
    tasks = [task.name for task in benches[0].data.tasks]
    yield (
        f"| arm at {share:.0%} | MACs | params | Delta % | worst task % | "
        f"{' | '.join(f'{task} %' for task in tasks)} | search CPU s | judged |"
    )
    yield "|---" * (7 + len(tasks)) + "|"
    for arm in arms:
        found = [_found(bench, arm, share) for bench in benches]
        changes = 100.0 * np.array(
            [bench.changes(r) for bench, r in zip(benches, found, strict=True)]
        )
        wholes = [bench.original() for bench in benches]
        macs = np.mean([r.macs / w.macs for r, w in zip(found, wholes, strict=True)])
        params = np.mean([r.n_params / w.n_params for r, w in zip(found, wholes, strict=True)])
        cells = [
            f"{macs:.1%}",
            f"{params:.1%}",
            _spread(changes.mean(axis=1)),
            _spread(changes.min(axis=1)),
            *(f"{value:+.1f}" for value in changes.mean(axis=0)),
            f"{np.mean([r.cpu_seconds for r in found]):.0f}",
            f"{np.mean([r.n_judged for r in found]):.0f}",
        ]
        yield f"| {arm} | {' | '.join(cells)} |"


def originals_row(benches: Sequence[Bench]) -> str:
    """Return a sentence on the originals."""
    found = [bench.original() for bench in benches]
    values = {name: [r.values[name] for r in found] for name in found[0].values}
    spelled = ", ".join(f"{name} {_spread(np.array(v), '.4f')}" for name, v in values.items())
    macs, params = found[0].macs / 1e6, found[0].n_params / 1e6
    return f"originals ({len(found)} seeds): {macs:.1f} MMACs, {params:.2f} M parameters, {spelled}"


def latency_rows(benches: Sequence[Bench], share: float, arms: Sequence[str]) -> Iterator[str]:
    """Yield a row for each arm: how many times faster than the original, in fp32 and in int8."""
    yield f"| arm at {share:.0%} | fp32 | int8 | metric in fp32 | in int8 |"
    yield "|---|---|---|---|---|"
    for arm in (ORIGINAL, *arms):
        ratios, scores = [], []
        for bench in benches:
            name = arm if arm == ORIGINAL else f"{arm}-{share * bench.original().macs:.0f}"
            names = [f"{ORIGINAL}/fp32", f"{name}/fp32", f"{name}/int8"]
            timed = np.array(bench.latencies_ms(names))
            ratios.append(timed[0] / timed[1:])
            metric = bench.data.tasks[0].value_name(bench.data.tasks[0].metrics[0])
            result = bench.original() if arm == ORIGINAL else _found(bench, arm, share)
            scores.append([result.values[metric], bench.int8_values(name)[metric]])
        fast, mean = np.array(ratios), np.mean(scores, axis=0)
        cells = [_spread(fast[:, 0], ".2f"), _spread(fast[:, 1], ".2f")]
        yield f"| {arm} | {' | '.join(cells)} | {mean[0]:.4f} | {mean[1]:.4f} |"


def next_size_rows(small: Sequence[Bench], large: Sequence[Bench], arm: str) -> Iterator[str]:
    """Yield rows: a network, and the next size up pruned to its cost, trained equally long."""
    tasks = [task.name for task in small[0].data.tasks]
    yield f"| network | MMACs | {' | '.join(tasks)} | Delta % | worst task % |"
    yield "|---" * (4 + len(tasks)) + "|"
    trained_ones = [bench.longer() for bench in small]
    cut = [
        bench.pruned(arm, result.macs) for bench, result in zip(large, trained_ones, strict=True)
    ]
    changes = 100.0 * np.array(
        [
            bench.changes(after) - bench.changes(before)
            for bench, before, after in zip(small, trained_ones, cut, strict=True)
        ]
    )
    for name, found in ((f"trained {NETWORKS['tight'].name}", trained_ones), (f"{arm}", cut)):
        metrics = [task.value_name(task.metrics[0]) for task in small[0].data.tasks]
        cells = [f"{np.mean([r.values[metric] for r in found]):.4f}" for metric in metrics]
        ends = ["", ""]
        if found is cut:
            ends = [_spread(changes.mean(axis=1)), _spread(changes.min(axis=1))]
        macs = np.mean([r.macs for r in found]) / 1e6
        yield f"| {name} | {macs:.2f} | {' | '.join([*cells, *ends])} |"


def _found(bench: Bench, arm: str, share: float) -> Result:
    budget = share * bench.original().macs
    return bench.scratch(budget) if arm == SCRATCH else bench.pruned(arm, budget)


def _spread(values: NDArray[np.float64], form: str = "+.1f") -> str:
    """Return mean and standard deviation over seeds."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return f"{float(np.mean(values)):{form}} ± {deviation:{form.lstrip('+')}}"


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("pruning-cache"))
    parser.add_argument("--scale", choices=list(SCALES), default="small")
    parser.add_argument(
        "--parts", nargs="+", choices=[*PARTS, "next-size"], default=[*PARTS, "next-size"]
    )
    parser.add_argument("--arms", nargs="+", choices=[*ARMS, SCRATCH], default=[*ARMS, SCRATCH])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--shares", nargs="*", type=float, default=[], help="of the MACs")
    parser.add_argument("--tuning-epochs", type=float, help="of fine-tuning; the scale's if absent")
    parser.add_argument("--tuning-rate", type=float, default=LEARNING_RATE, help="of all arms")
    parser.add_argument("--latency", nargs="*", choices=list(PARTS), default=["resnet18"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    def benches(name: str) -> list[Bench]:
        return [Bench(NETWORKS[name], arguments, seed=seed) for seed in arguments.seeds]

    for part in arguments.parts:
        if part == "next-size":
            _print(next_size_rows(benches("tight"), benches("ample"), "niwaki"))
            continue
        ours = benches(part)
        shares = arguments.shares or PARTS[part]
        fill(ours, shares, arguments.arms)
        print(f"\n{part}: {originals_row(ours)}")
        for share in shares:
            _print(rows_of(ours, share, arguments.arms))
            if part in arguments.latency:
                _print(latency_rows(ours, share, arguments.arms))


def _print(rows: Iterator[str]) -> None:
    print()
    for row in rows:
        print(row, flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

"""What compression is worth: six networks beside their plain int8 versions, jointly and in turn.

For each network: the original in fp32; ONNX Runtime's own static quantization of it, as it comes
and with unsigned activations, which are faster on x86; our quick way (four allocations of channels,
each in fp32, int8 and mixed); a joint search of channel counts and precisions; and a search of
channel counts alone, whose front is then quantized throughout, at as many evaluations. All models
of a network are scored on its test split from their files and timed together in one session. The
chosen model is the fastest that loses at most `--loss` on the val split, which no search has seen;
nothing is chosen on test data. `useful` is the hypervolume of those models alone that lose at most
a tenth of skill: the whole one also pays for models that nobody would run. What was trained and
found is kept in `--cache`.

Run: python -m benchmarks.compress --data ../shared/data --cache runs/compress_benchmark
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

import niwaki
from benchmarks.compress_models import CASES, Case, Loaders, loaders_of, trained
from benchmarks.quickstart_front import scaled_volumes
from niwaki.core.jsonable import fingerprint
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.original import fitted_to
from niwaki.evaluation.compression.settings import CompressionSettings, PruningSettings
from niwaki.evaluation.compression.tuning.fine_tuning import TuningSettings
from niwaki.evaluation.deployment import Deployment, DeploymentSettings, plan_of
from niwaki.export.int8.layers import quantizable_layers
from niwaki.spaces.precision import INT8
from niwaki.study.compression import CompressionRequest
from niwaki.targets.base import Effort
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.tasks.base import SplitName, TaskData

FP32_ORIGINAL = "original fp32"
ORT_INT8 = {"onnxruntime int8": QuantType.QInt8, "onnxruntime uint8": QuantType.QUInt8}
QUICK, JOINT, IN_TURN = "quick", "joint search", "prune then quantize"
ARMS = (QUICK, JOINT, IN_TURN)
_USEFUL = 0.1  # of test skill, which a model may lose at most to be worth running


@dataclass(frozen=True)
class Point:
    """One model, from its file.

    Attributes:
        group: What made it.
        val_skill: Mean skill on the val split, which choices are made by.
        test_skill: Mean skill on the test split.
        latency_ms: Of one input.
        size_bytes: Of the file.
    """

    group: str
    val_skill: float
    test_skill: float
    latency_ms: float
    size_bytes: int


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Gives ONNX Runtime's quantizer what our own takes its ranges from."""

    def __init__(self, feeds: Iterator[dict[str, Any]]) -> None:
        self._feeds = feeds

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch, or None."""
        return next(self._feeds, None)


class Bench:
    """The models of one network.

    Args:
        case: The network.
        arguments: Of the command line.
    """

    def __init__(self, case: Case, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._folder = arguments.cache / f"{case.name}-{arguments.seed}"
        self.loaders: Loaders = loaders_of(
            case, arguments.data, n_train=arguments.train, seed=arguments.seed
        )
        self.module: nn.Module = trained(
            case, self.loaders, arguments.cache / "originals", seed=arguments.seed
        )
        data = infer_from(self.loaders, self.module, seed=arguments.seed)
        self.data: TaskData = fitted_to(data, self.module)
        self.target = OnnxRuntimeCpu()
        self.deployment = Deployment(self.data, self.target, DeploymentSettings())

    def points(self) -> list[Point]:
        """Make all models, score them, and time them together."""
        groups = {FP32_ORIGINAL: [self._original()]}
        for name, activations in ORT_INT8.items():
            groups[name] = [self._plain_int8(activations)]
        for arm in ARMS:
            started = time.perf_counter()
            groups[arm] = self._searched(arm)
            _say(f"{arm}: {len(groups[arm])} models in {time.perf_counter() - started:.0f} s")
        named = [(group, model) for group, models in groups.items() for model in models]
        feeds = [self.deployment.timing_feeds()] * len(named)
        models = [model for _, model in named]
        timed = self.target.measure(models, feeds, effort=Effort.THOROUGH, seed=0)
        return [
            self._point(group, model, latency.latency_ms)
            for (group, model), latency in zip(named, timed, strict=True)
        ]

    def _point(self, group: str, model: onnx.ModelProto, latency_ms: float) -> Point:
        val, test = (
            self.deployment.score(model, split)["mean_skill"]
            for split in (SplitName.VAL, SplitName.TEST)
        )
        return Point(group, val, test, latency_ms, model.ByteSize())

    def _original(self) -> onnx.ModelProto:
        return self.deployment.float_graph(self.module, quantizable=False).model

    def _plain_int8(self, activations: QuantType) -> onnx.ModelProto:
        """Return what ONNX Runtime makes of the original, weights by channel, on equal images."""
        self._folder.mkdir(parents=True, exist_ok=True)
        plain, ready, quantized = (
            self._folder / f"{name}.onnx" for name in ("plain", "ready", "quantized")
        )
        onnx.save(self._original(), plain)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        n_images = DeploymentSettings().n_calibration
        reader = _Reader(self.deployment.feeds(SplitName.CALIBRATION, n_images))
        quantize_static(
            ready,
            quantized,
            reader,
            per_channel=True,
            reduce_range=self.deployment.target.capabilities.reduce_range,
            activation_type=activations,
        )
        return onnx.load(quantized)

    def _searched(self, arm: str) -> list[onnx.ModelProto]:
        models = self._front(arm)
        return [self._quantized(model) for model in models] if arm == IN_TURN else models

    def _front(self, arm: str) -> list[onnx.ModelProto]:
        """Return the models of an arm's front, found now or before."""
        request = self._request(arm)
        key = fingerprint([self._arguments.train, repr(request)])
        to = self._folder / f"{arm.replace(' ', '_')}-{key}"
        if not (to / "done").exists():
            found = niwaki.compress(
                self.module,
                tasks=self.loaders,
                target=self.target,
                folder=to / "run",
                request=request,
            )
            _say(f"{arm}: {found.summary()}")
            shutil.rmtree(to / "models", ignore_errors=True)
            found.front.export(to / "models")
            (to / "done").touch()
        return [onnx.load(path) for path in sorted((to / "models").glob("*/model.onnx"))]

    def _request(self, arm: str) -> CompressionRequest:
        n_finalists, evaluations = self._arguments.finalists, self._arguments.evaluations
        quick = CompressionSettings(
            tuning=TuningSettings(epochs=self._arguments.epochs),
            pruning=PruningSettings(allocation=self._arguments.allocation),
        )
        request = CompressionRequest(
            n_finalists=n_finalists, seed=self._arguments.seed, settings=quick
        )
        if arm == QUICK:
            return request
        searched = replace(quick, tuning=TuningSettings(epochs=self._arguments.search_epochs))
        request = replace(request, searcher=self._arguments.searcher, settings=searched)
        if arm == JOINT:
            return replace(request, evaluations=evaluations)
        # Its finalists are evaluated once more, in int8.
        request = replace(request, evaluations=evaluations - n_finalists)
        return replace(request, settings=replace(searched, only="prune"))

    def _quantized(self, model: onnx.ModelProto) -> onnx.ModelProto:
        plan = plan_of(dict.fromkeys(quantizable_layers(model), INT8), self.target)
        return self.deployment.quantized(self.deployment.calibrated(model), plan)


def volumes(points: Sequence[Point], *, most_lost: float = np.inf) -> dict[str, float]:
    """Return each group's hypervolume of test skill and log latency, scaled over all points.

    Models that lose more than `most_lost` of the original's test skill are left out.
    """
    least = _original(points).test_skill - most_lost
    kept = [point for point in points if point.test_skill >= least]
    costs = {
        group: np.array([[-p.test_skill, np.log(p.latency_ms)] for p in kept if p.group == group])
        for group in dict.fromkeys(point.group for point in kept)
    }
    return scaled_volumes(costs)


def _original(points: Sequence[Point]) -> Point:
    return next(point for point in points if point.group == FP32_ORIGINAL)


def chosen(points: Sequence[Point], group: str, *, loss: float) -> Point:
    """Return the group's fastest model within `loss` of the original on the val split.

    If there is none, the most skilful.
    """
    original = _original(points)
    ours = [point for point in points if point.group == group]
    within = [p for p in ours if p.val_skill >= original.val_skill - loss]
    if within:
        return min(within, key=lambda p: p.latency_ms)
    return max(ours, key=lambda p: p.val_skill)


def print_rows(name: str, points: Sequence[Point], *, loss: float) -> None:
    """Print a row per group: the chosen model, beside the original, and the group's volumes."""
    original = _original(points)
    found, useful = volumes(points), volumes(points, most_lost=_USEFUL)
    for group, volume in found.items():
        best = chosen(points, group, loss=loss)
        print(
            f"| {name} | {group} | {best.latency_ms:.3f} | "
            f"{original.latency_ms / best.latency_ms:.2f}x | {best.size_bytes / 1024:.0f} | "
            f"{best.test_skill:.4f} | {best.test_skill - original.test_skill:+.4f} | "
            f"{volume:.3f} | {useful.get(group, 0.0):.3f} |",
            flush=True,
        )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("compress-cache"))
    parser.add_argument("--networks", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--train", type=int, default=12000, help="images to train on")
    parser.add_argument("--epochs", type=float, default=1.0, help="of fine-tuning, quick way")
    parser.add_argument("--search-epochs", type=float, default=0.3, help="of fine-tuning, searches")
    parser.add_argument("--evaluations", type=int, default=30, help="of each search")
    parser.add_argument("--finalists", type=int, default=8)
    parser.add_argument("--searcher", default="surrogate")
    parser.add_argument("--allocation", default="greedy")
    parser.add_argument("--loss", type=float, default=0.01, help="of mean skill, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    print("| network | models | ms | faster | KiB | skill (test) | change | hypervolume | useful |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in arguments.networks:
        _say(name)
        points = Bench(CASES[name], arguments).points()
        print_rows(name, points, loss=arguments.loss)
        figures[name] = [asdict(point) for point in points]
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

"""From a plain module to what runs on the target, and its scores and latency from there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.quantization.observers import new_observer
from niwaki.compress.quantization.plan import Precision, QuantizationPlan
from niwaki.core.candidate import Candidate
from niwaki.core.errors import DataError, TargetError
from niwaki.core.files import noted
from niwaki.core.jsonable import JSON
from niwaki.core.limits import require_at_least
from niwaki.core.measurement import Measurement
from niwaki.core.randomness import stream
from niwaki.evaluation.values import LATENCY, SIZE, own_name
from niwaki.export.fast_path.fx_graph import write_graph
from niwaki.export.float_graph import float_graph
from niwaki.export.graph.index import answering
from niwaki.export.graph.tied_weights import tied
from niwaki.export.graph.writer import claimed
from niwaki.export.int8.bias_correction import Means, bias_corrected, input_means
from niwaki.export.int8.calibration import activation_ranges
from niwaki.export.int8.equalisation import LEAST_SPREAD, equalised
from niwaki.export.int8.fake_quantization import FakeQuantized
from niwaki.export.int8.module_equalisation import equalise_module
from niwaki.export.int8.quantize import quantize_model
from niwaki.export.int8.realised import Realised, realised_precisions
from niwaki.targets.base import Effort, Feeds, Target
from niwaki.targets.feeds import first_fit
from niwaki.targets.latency import Latency
from niwaki.tasks.base import Batch, SplitName, TaskData
from niwaki.tasks.model_inputs import ModelInput, ModelInputs
from niwaki.tasks.scoring import score

INPUT_NAME = "image"
CALIBRATION_FILE = "target.json"
DATA_FILE = "data.json"


@dataclass(frozen=True)
class DeploymentSettings:
    """How models are calibrated and scored.

    Attributes:
        n_calibration: Images of the calibration split that activation ranges are taken from.
        observer: Which range: see `niwaki.compress.quantization.observers`.
        batch_size: Images per run while scoring.
        equalise: Whether channels between two layers that are very unlike are scaled to like
            ranges before layers are quantized: see `niwaki.export.int8.equalisation`.
        correct_biases: Whether biases of int8 layers make up for the shift of rounded weights: see
            `niwaki.export.int8.bias_correction`. What was trained with its rounding does so
            already.

    Raises:
        ConfigError: On a number below 1, or an unknown observer.
    """

    n_calibration: int = 128
    observer: str = "percentile"
    batch_size: int = 64
    equalise: bool = True
    correct_biases: bool = False

    def __post_init__(self) -> None:
        require_at_least(self, {"n_calibration": 1, "batch_size": 1})
        new_observer(self.observer)  # raises if there is none of that name


@dataclass(frozen=True)
class FloatGraph:
    """What all precisions of one trained network share.

    Attributes:
        model: The float graph, batch-norm folded, equalised if that is asked for.
        ranges: Low and high of its activations on the calibration split, by tensor name; empty if
            none of its layers is to be quantized.
        means: Of what each layer reads, by path of the layer; empty if biases are not corrected.
    """

    model: onnx.ModelProto
    ranges: Mapping[str, tuple[float, float]]
    means: Means = field(default_factory=dict)


@dataclass(frozen=True)
class Deployed:
    """What came of running a network on the target.

    Attributes:
        values: The tasks' values on the search split, `mean_skill`, `latency_ms`, `size_bytes`, and
            the latter two of networks of one task.
        latency: How it was timed.
        realised: Precision that each layer of the plan really runs in.
    """

    values: Mapping[str, float]
    latency: Latency
    realised: Mapping[str, str]


class Deployment:
    """Turns float graphs into what runs on one target, for one set of tasks.

    Args:
        data: Tasks and splits.
        target: Where models run.
        settings: How they are calibrated and scored.
    """

    def __init__(self, data: TaskData, target: Target, settings: DeploymentSettings) -> None:
        self.data, self.target, self._settings = data, target, settings

    @property
    def uncorrected(self) -> "Deployment":
        """The same, biases left as they are: for what was trained with its rounding."""
        settings = replace(self._settings, correct_biases=False)
        return Deployment(self.data, self.target, settings)

    @property
    def output_names(self) -> list[str]:
        """Names of the model's outputs."""
        return list(self.data.output_names)

    @cached_property
    def inputs(self) -> ModelInputs:
        """The model's inputs; one that has no name yet is `image`. None is called as a task is."""
        taken = set(self.output_names)
        given = self.data.model_inputs
        if given is None:
            name = INPUT_NAME if INPUT_NAME not in taken else "input"
            given = ModelInputs((ModelInput(name, self.data.input_shape),))
        return ModelInputs(tuple(replace(each, name=claimed(each.name, taken)) for each in given))

    def float_graph(self, module: nn.Module, *, quantizable: bool = True) -> FloatGraph:
        """Return a trained module as `float_model` writes it, made ready as `prepared` says."""
        return self.prepared(self.float_model(module), quantizable=quantizable)

    def float_model(self, module: nn.Module) -> onnx.ModelProto:
        """Return a trained module in evaluation mode, on the CPU, as a graph.

        Args:
            module: Maps a batch of each input to the outputs of `output_names`.

        Raises:
            ExportError: If it cannot be written.
        """
        return float_graph(
            module,
            self._shapes,
            lambda: [torch.from_numpy(each) for each in self.timing_feeds(n_images=2).values()],
            **self._ends,
        )

    def prepared(self, float_model: onnx.ModelProto, *, quantizable: bool) -> FloatGraph:
        """Return a float graph, with the ranges that are needed if layers are to be quantized."""
        return self.calibrated(float_model) if quantizable else FloatGraph(float_model, {})

    def fake_quantized(self, module: nn.Module, plan: QuantizationPlan) -> FakeQuantized:
        """Return what rounds in torch as the deployed module will, its ranges not yet observed.

        The module is equalised in place, as it would be for its deployment.

        Raises:
            ExportError: If the module cannot be followed.
        """
        if self._settings.equalise:
            equalise_module(module, write_graph(module, self._shapes, **self._ends))
        return FakeQuantized(module, plan, self._shapes, **self._ends)

    @property
    def _shapes(self) -> list[tuple[int, ...]]:
        return [(1, *each.shape) for each in self.inputs]

    @property
    def _ends(self) -> dict[str, list[str]]:
        return {
            "input_types": [each.dtype for each in self.inputs],
            "input_names": list(self.inputs.names),
            "output_names": self.output_names,
        }

    def calibrated(self, float_model: onnx.ModelProto) -> FloatGraph:
        """Return a float graph made ready to be quantized, in the ways of the settings."""
        model = float_model
        if self._settings.equalise:
            model = equalised(float_model, least_spread=LEAST_SPREAD)
        means: Means = {}
        if self._settings.correct_biases:
            means = input_means(model, self._calibration_feeds())
        return FloatGraph(model, self.ranges(model), means)

    def measure(
        self, graph: FloatGraph, plan: QuantizationPlan, *, seed: int, alone: Sequence[str] = ()
    ) -> Deployed:
        """Quantize a graph, score it on the search split, and time it.

        Args:
            graph: Of a trained network.
            plan: Names its layers.
            seed: Of the timing.
            alone: Tasks of which the networks that answer nothing else are timed as well.
        """
        with self.target.computing():
            model = self.quantized(graph, plan)
            scores = self.score(model, SplitName.SEARCH)
            realised = self.realised(model, plan)
            models = [model, *(answering(model, task) for task in alone)]
            feeds = [self.timing_feeds()] * len(models)
        latencies = self.target.measure(models, feeds, effort=Effort.QUICK, seed=seed)
        costs: dict[str, float] = {}
        for task, each, latency in zip(("", *alone), models, latencies, strict=True):
            costs[own_name(task, LATENCY.name)] = latency.latency_ms
            costs[own_name(task, SIZE.name)] = float(each.ByteSize())
        return Deployed({**scores, **costs}, latencies[0], realised)

    def ranges(self, float_model: onnx.ModelProto) -> Mapping[str, tuple[float, float]]:
        """Return the activation ranges of a float graph on the calibration split."""
        return activation_ranges(
            float_model, self._calibration_feeds(), observer=self._settings.observer
        )

    def quantized(self, graph: FloatGraph, plan: QuantizationPlan) -> onnx.ModelProto:
        """Return the graph with the plan's layers in int8, or as a float graph if there are none.

        Args:
            graph: As `calibrated` gives it; biases are corrected if it has means.
            plan: Names its layers.
        """
        if not plan.int8_layers:
            return tied(graph.model)
        model = bias_corrected(graph.model, plan, graph.means) if graph.means else graph.model
        return quantize_model(model, plan, graph.ranges)

    def score(self, model: onnx.ModelProto, split: SplitName) -> dict[str, float]:
        """Return the tasks' values of `model`, run on the target over a whole split."""
        return self.score_on(model, self.data[split].batches(self._settings.batch_size))

    def score_on(self, model: onnx.ModelProto, batches: Iterable[Batch]) -> dict[str, float]:
        """Return the tasks' values of `model`, run on the target over some batches."""
        runner = self.target.open(model)

        def predictions() -> Iterator[tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]]:
            for batch in batches:
                yield runner(self.inputs.feeds(batch.inputs)), batch.targets

        return score(self.data.tasks, predictions(), chance=self.data.chance)

    def realised(self, model: onnx.ModelProto, plan: QuantizationPlan) -> Mapping[str, str]:
        """Return the precision that each layer of the plan really runs in."""
        found = realised_precisions(self.target.optimised(model), model)
        # The exporter of finalists may write an operation in other nodes than the fast path.
        return {layer: str(found.get(layer, Realised.ABSENT)) for layer in plan.precisions}

    def _calibration_feeds(self) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield inputs of all classes, the same each time: the first of a file may be of one."""
        rng = stream(0, "calibration images")
        return self.feeds(SplitName.CALIBRATION, self._settings.n_calibration, rng=rng)

    def timing_feeds(self, *, n_images: int = 1) -> Feeds:
        """Return real inputs to time on: latency depends on values, so none that are blank.

        Raises:
            TargetError: If no calibration inputs are fit to be timed on.
        """
        batches = self.data[SplitName.CALIBRATION].batches(n_images)
        return first_fit(self.inputs.feeds(batch.inputs) for batch in batches)

    def feeds(
        self, split: SplitName, n_images: int, *, rng: np.random.Generator | None = None
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield up to `n_images` items of a split, as inputs of the model, in batches.

        The first ones, or some that `rng` draws.
        """
        left, size = n_images, min(n_images, self._settings.batch_size)
        for batch in self.data[split].batches(size, rng=rng):
            yield self.inputs.feeds(batch.inputs[:left])
            left -= len(batch)
            if left <= 0:
                return


def require_same_data(folder: Path, data: TaskData) -> None:
    """Check that the data are those that this folder began with; take note of them at first.

    Raises:
        DataError: If they have changed: scores before and after would not compare.
        RunFolderError: If what was noted is damaged.
    """
    [known] = noted(folder / DATA_FILE, data.to_json, "fingerprint")
    if known != data.fingerprint:
        raise DataError(
            f"this run began with data of fingerprint {known}, and now it is {data.fingerprint}: "
            "restore the data, or start a run with another name (--name; in Python, `folder`)"
        )


def calibrated_in(folder: Path, target: Target) -> Target:
    """Return the target, calibrated once for everything that is measured in this folder.

    Raises:
        TargetError: If the folder was calibrated for another target.
        RunFolderError: If the calibration cannot be written, or is damaged.
    """

    def calibration() -> dict[str, JSON]:
        return {
            "target_id": target.target_id,
            "nominal_reference_ms": target.calibrate(),
            "machine": target.describe(),
        }

    path = folder / CALIBRATION_FILE
    target_id, reference_ms = noted(path, calibration, "target_id", "nominal_reference_ms")
    if target_id != target.target_id:
        raise TargetError(
            f"this run was measured on '{target_id}', and here is "
            f"'{target.target_id}': latencies do not compare. Continue on the same machine and "
            "versions, or start a run with another name"
        )
    return target.calibrated(float(reference_ms))


def plan_of(precisions: Mapping[str, Any], target: Target) -> QuantizationPlan:
    """Return the plan for a candidate's decisions, in the integers that suit the target.

    Raises:
        TargetError: If a precision is asked for that the target does not run.
    """
    asked = {layer: Precision(str(precision)) for layer, precision in precisions.items()}
    require_precisions(set(asked.values()), target)
    return target.capabilities.plan(asked)


def require_precisions(precisions: Iterable[str], target: Target) -> None:
    """Check that the target runs every one of the precisions.

    Raises:
        TargetError: On the first that it does not.
    """
    for precision in sorted(precisions):
        if not target.capabilities.supports("conv", str(precision)):
            raise TargetError(
                f"target '{target.target_id}' does not run {precision}: "
                "leave it out of `quantization.precisions`"
            )


def measurement_of(
    candidate: Candidate,
    deployed: Deployed,
    plan: QuantizationPlan,
    *,
    counts: Mapping[str, float],
    layers: Mapping[str, Mapping[str, JSON]],
    fidelity: float,
    seed: int,
) -> Measurement:
    """Return the measurement of a network that was run.

    Args:
        candidate: What was built.
        deployed: What came of running it.
        plan: Of its precisions.
        counts: Values that are counted, not measured.
        layers: Counts by path of the layer.
        fidelity: That it was made with.
        seed: That it was made with.
    """
    return Measurement(
        key=candidate.key,
        values={**deployed.values, **counts},
        fidelity=fidelity,
        seed=seed,
        target_id=deployed.latency.target_id,
        details={
            "latency": deployed.latency.to_json(),
            "layers": layer_rows(layers, plan, deployed.realised),
        },
    )


def layer_rows(
    layers: Mapping[str, Mapping[str, JSON]],
    plan: QuantizationPlan,
    realised: Mapping[str, str],
) -> list[JSON]:
    """Return one JSON row per layer: counts, asked and realised precision, bytes of weights."""
    rows: list[JSON] = []
    for path, counts in layers.items():
        asked = plan.precision_of(path)
        rows.append(
            {"path": path, **counts, "asked": str(asked), "realised": realised.get(path, "")}
        )
    return rows

"""Finalists as files: written by torch's own exporter, verified, scored and timed from there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.pruning.model_calls import in_evaluation
from niwaki.compress.quantization.plan import Precision, QuantizationPlan
from niwaki.core.candidate import Candidate
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement
from niwaki.evaluation.base import Export, Provenance
from niwaki.evaluation.deployment import Deployment, FloatGraph, layer_rows
from niwaki.export.bundle import intact_bundle, read_bundle, replace_card, write_bundle
from niwaki.export.card import InputCard, LayerCard, ModelCard, TaskCard
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.graph.output_names import with_outputs_called
from niwaki.export.torch_outputs import torch_outputs
from niwaki.export.verification_data import MAX_ITEMS
from niwaki.export.verify import verify_model
from niwaki.targets.base import Effort
from niwaki.tasks.base import SplitName
from niwaki.tasks.task import Task

_AS_IT_IS: Mapping[str, str] = MappingProxyType({})


class Exporter:
    """Writes the networks of one evaluator.

    Args:
        deployment: Tasks, data and target.
        provenance: Of the study.
        called: What outputs are called in files, by name, where it is another.
    """

    def __init__(
        self, deployment: Deployment, provenance: Provenance, called: Mapping[str, str] = _AS_IT_IS
    ) -> None:
        self._deployment, self._provenance, self._called = deployment, provenance, called

    def write(
        self,
        make_module: Callable[[], nn.Module],
        plan: QuantizationPlan,
        folder: Path,
        *,
        candidate: Candidate,
    ) -> ModelCard:
        """Write a network as a bundle, unless it is there already, intact, and return its card.

        Raises:
            ExportError: If it cannot be written.
            VerificationError: If the file does not compute what the network computes.
        """
        if there := intact_bundle(folder):
            card = there.card
            same = card.config_hash == self._provenance.config_hash
            called = tuple(each.name for each in card.inputs)
            if same and card.candidate == candidate and called == self._deployment.inputs.names:
                return card
        module = in_evaluation(make_module())
        inputs, names = self._inputs(), self._deployment.output_names
        float_model = export_module(
            module,
            [torch.from_numpy(each[:2]) for each in inputs.values()],
            input_names=list(inputs),
            output_names=names,
        )
        check = verify_model(float_model, inputs, torch_module=module)
        check.require(f"the float graph of {candidate.key}")
        graph = FloatGraph(float_model, {})
        if plan.int8_layers:
            graph = self._deployment.calibrated(float_model)
        model = self._deployment.quantized(graph, plan)
        realised = self._deployment.realised(model, plan)
        card = replace(
            self._card(candidate, plan, realised),
            metrics={
                str(split): self._deployment.score(model, split)
                for split in (SplitName.VAL, SplitName.TEST)
            },
            float_verification=check.to_json() if plan.int8_layers else {},
        )
        answers = torch_outputs(module, list(inputs.values()), names)
        bundle = write_bundle(
            folder,
            with_outputs_called(model, self._called),
            card,
            inputs=inputs,
            torch_outputs={self._called.get(name, name): each for name, each in answers.items()},
        )
        return bundle.card

    def _inputs(self) -> dict[str, NDArray[Any]]:
        """Return real inputs that the model was neither trained nor selected on, by name."""
        feeds = list(self._deployment.feeds(SplitName.TEST, MAX_ITEMS))
        return {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}

    def _outputs(self, task: Task) -> tuple[str, ...]:
        return tuple(self._called.get(name, name) for name in task.outputs)

    def _card(
        self, candidate: Candidate, plan: QuantizationPlan, realised: Mapping[str, str]
    ) -> ModelCard:
        data, target = self._deployment.data, self._deployment.target
        preprocessing = data.preprocessing if len(self._deployment.inputs) == 1 else None
        return ModelCard(
            name=f"{self._provenance.study}-{candidate.key[:8]}",
            inputs=tuple(
                InputCard(each.name, each.shape, preprocessing, each.dtype)
                for each in self._deployment.inputs
            ),
            tasks=tuple(
                TaskCard(t.name, str(t.kind), self._outputs(t), t.classes, t.metrics[0].unit)
                for t in data.tasks
            ),
            candidate=candidate,
            objectives=self._provenance.objectives,
            layers={
                path: LayerCard(str(plan.precision_of(path)), realised[path]) for path in realised
            },
            target_id=target.target_id,
            config_hash=self._provenance.config_hash,
            data_fingerprint=data.fingerprint,
        )


def export_of(
    card: ModelCard,
    folder: Path,
    *,
    counts: Mapping[str, float],
    layers: Mapping[str, Mapping[str, JSON]],
    seed: int,
) -> Export:
    """Return the export that a written card tells of.

    Args:
        card: Of the bundle.
        folder: Of the bundle.
        counts: Values that are counted, not measured.
        layers: Counts by path of the layer.
        seed: That the network was made with.
    """
    asked = QuantizationPlan({path: Precision(layer.asked) for path, layer in card.layers.items()})
    realised = {path: layer.realised for path, layer in card.layers.items()}
    latency = {} if card.latency is None else {"latency_ms": card.latency.latency_ms}
    values = {
        **card.metrics[str(SplitName.VAL)],
        **latency,
        **counts,
        "size_bytes": float(card.file.size_bytes),
    }
    measurement = Measurement(
        key=card.candidate.key,
        values=values,
        seed=seed,
        target_id=card.target_id,
        details={
            "layers": layer_rows(layers, asked, realised),
            "test": dict(card.metrics[str(SplitName.TEST)]),
            "latency": None if card.latency is None else card.latency.to_json(),
        },
    )
    return Export(measurement, folder)


def time_exports(exports: Sequence[Export], deployment: Deployment, *, seed: int) -> list[Export]:
    """Time exported models in one session, interleaved, and write latencies into their cards.

    Raises:
        ExportError: If a bundle is damaged, or its card cannot be written.
    """
    if not exports:
        return []
    bundles = [read_bundle(export.folder) for export in exports]
    feeds = [deployment.timing_feeds()] * len(bundles)
    latencies = deployment.target.measure(
        [bundle.model_path for bundle in bundles], feeds, effort=Effort.THOROUGH, seed=seed
    )
    timed = []
    for export, bundle, latency in zip(exports, bundles, latencies, strict=True):
        replace_card(bundle, replace(bundle.card, latency=latency))
        measurement = replace(
            export.measurement,
            values={**export.measurement.values, "latency_ms": latency.latency_ms},
            details={**export.measurement.details, "latency": latency.to_json()},
        )
        timed.append(replace(export, measurement=measurement))
    return timed

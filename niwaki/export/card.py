"""The model card: what a user must know to run a model, and what is known about it."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import onnx

from niwaki._version import __version__
from niwaki.core.candidate import Candidate
from niwaki.core.errors import ExportError, NiwakiError
from niwaki.core.files import DAMAGE, replacing
from niwaki.core.jsonable import JSON
from niwaki.core.objectives import Objective
from niwaki.export.privacy import PREFIX, refuse_local_paths_in_json
from niwaki.export.verification_data import WRITE_AGAIN
from niwaki.targets.latency import Latency
from niwaki.tasks.preprocessing import Preprocessing
from niwaki.tasks.task import TaskKind

SCHEMA_VERSION = 1
CARD_FILE = "model.json"

_WRONG_FIELD = (AttributeError, KeyError, TypeError, ValueError, OverflowError)


@dataclass(frozen=True)
class InputCard:
    """An input of a model.

    Attributes:
        name: Of the ONNX input.
        shape: Of one item, without the batch: (c, h, w).
        preprocessing: From raw data to this input; None if users prepare it themselves.
        dtype: Type of its numbers.
    """

    name: str
    shape: tuple[int, ...]
    preprocessing: Preprocessing | None = None
    dtype: str = "float32"


@dataclass(frozen=True)
class TaskCard:
    """What one output answers, or several of them together.

    Attributes:
        name: Of the task.
        kind: `classification`, `segmentation`, `depth`, `regression`, ...; `custom` for what the
            user's own metric and loss know alone.
        outputs: Names of the ONNX outputs: one, but for custom tasks.
        classes: Names along `class_axis`; empty if the answers are real numbers.
        unit: Of real numbers.
    """

    name: str
    kind: str
    outputs: tuple[str, ...]
    classes: tuple[str, ...] = ()
    unit: str = ""

    @property
    def class_axis(self) -> int:
        """Axis of the output along which scores of classes lie, if there are any."""
        return TaskKind.TAGGING.class_axis if self.kind == TaskKind.TAGGING else 1


@dataclass(frozen=True)
class LayerCard:
    """The precision that one layer was asked to run in, and the one it runs in on the target."""

    asked: str
    realised: str


@dataclass(frozen=True)
class FileCard:
    """The model's file: its hash and size, filled in by `write_bundle`."""

    sha256: str = ""
    size_bytes: int = 0


@dataclass(frozen=True)
class ModelCard:
    """Everything worth knowing about one exported model. Travels as `model.json` beside it.

    Attributes:
        name: Short, for people and file names.
        inputs: Of the model.
        tasks: Each output belongs to one of them, at least.
        candidate: The decisions that made the network.
        objectives: What the search wanted.
        metrics: Values by name, by the split they were scored on: `{"test": {"accuracy": 0.9}}`.
        layers: Asked and realised precision by path of the layer.
        target_id: Where latency was measured and precisions were read; empty if nowhere.
        disabled_optimizers: Optimizers of the runtime that must be left out when deploying.
        latency: Measured on that target; None if not measured.
        versions: Of the software that made the model: see `current_versions`.
        config_hash: Fingerprint of the study's resolved configuration.
        data_fingerprint: Fingerprint of the data.
        file: Hash and size of `model.onnx`.
        verification: What came of verifying the model: see `Verification.to_json`.
        float_verification: The same of the float graph that an int8 model was made from.
        notes: Anything else, for people.
    """

    name: str
    inputs: tuple[InputCard, ...]
    tasks: tuple[TaskCard, ...]
    candidate: Candidate = field(default_factory=lambda: Candidate(()))
    objectives: tuple[Objective, ...] = ()
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    layers: Mapping[str, LayerCard] = field(default_factory=dict)
    target_id: str = ""
    disabled_optimizers: tuple[str, ...] = ()
    latency: Latency | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    config_hash: str = ""
    data_fingerprint: str = ""
    file: FileCard = field(default_factory=FileCard)
    verification: Mapping[str, JSON] = field(default_factory=dict)
    float_verification: Mapping[str, JSON] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def class_axes(self) -> dict[str, int]:
        """Axis along which scores of classes lie, by name of the outputs that have such."""
        return {name: t.class_axis for t in self.tasks if t.classes for name in t.outputs}

    def to_json(self) -> dict[str, JSON]:
        """Return the card as a JSON object.

        Raises:
            ExportError: If any string in it holds a local path.
        """
        data: dict[str, JSON] = {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "inputs": [_input_to_json(one) for one in self.inputs],
            "tasks": [_task_to_json(task) for task in self.tasks],
            "candidate": self.candidate.to_json(),
            "objectives": [objective.to_json() for objective in self.objectives],
            "metrics": {split: dict(values) for split, values in self.metrics.items()},
            "layers": {path: asdict(layer) for path, layer in self.layers.items()},
            "target_id": self.target_id,
            "disabled_optimizers": list(self.disabled_optimizers),
            "latency": self.latency.to_json() if self.latency else None,
            "versions": dict(self.versions),
            "config_hash": self.config_hash,
            "data_fingerprint": self.data_fingerprint,
            "file": asdict(self.file),
            "verification": dict(self.verification),
            "float_verification": dict(self.float_verification),
            "notes": list(self.notes),
        }
        refuse_local_paths_in_json(data, what="the model card")
        return data

    @classmethod
    def from_json(cls, data: object) -> "ModelCard":
        """Read what `to_json` wrote.

        Raises:
            ExportError: If it is no model card, of another schema, or a field is missing or wrong.
        """
        fields = _known_schema(data)
        try:
            return _card(fields)
        except (*_WRONG_FIELD, NiwakiError) as error:
            raise ExportError(f"the model card is damaged, at {error}: {WRITE_AGAIN}") from error

    def save(self, path: Path) -> None:
        """Write the card, whole or not at all.

        Raises:
            ExportError: If it holds a local path, or a number that is not finite.
            OSError: If the disk is full or the folder cannot be written.
        """
        self._require_finite_metrics()
        try:
            text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise ExportError(f"the model card cannot be written as JSON: {error}") from error
        with replacing(path) as file:
            file.write(f"{text}\n".encode())

    def _require_finite_metrics(self) -> None:
        for split, values in self.metrics.items():
            for name, value in values.items():
                if not math.isfinite(value):
                    raise ExportError(
                        f"'{name}' is {value} on the split '{split}': a model card holds finite "
                        "numbers alone. Let the metric give one of every split, also where a class "
                        "is not there"
                    )

    @classmethod
    def load(cls, path: Path) -> "ModelCard":
        """Read a card.

        Raises:
            ExportError: If the file is missing or damaged, or of another schema.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, *DAMAGE) as error:
            raise ExportError(
                f"model card '{path}' cannot be read ({error}): {WRITE_AGAIN}"
            ) from error
        try:
            return cls.from_json(data)
        except ExportError as error:
            raise ExportError(f"'{path}': {error}") from error


def current_versions(model: onnx.ModelProto) -> dict[str, str]:
    """Return the versions of niwaki, of what it builds on, and of a model's format."""
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    return {
        "niwaki": __version__,
        **{name: _version(name) for name in ("torch", "onnx", "onnxruntime")},
        "opset": str(opset),
        "ir": str(model.ir_version),
    }


def write_metadata(model: onnx.ModelProto, card: ModelCard) -> None:
    """Write a few short facts of the card into the model itself, in place."""
    facts = {
        "name": card.name,
        "candidate": card.candidate.key,
        "config": card.config_hash,
        "data": card.data_fingerprint,
        "target": card.target_id,
        "version": __version__,
        "tasks": ", ".join(task.name for task in card.tasks),
    }
    kept = [prop for prop in model.metadata_props if not prop.key.startswith(PREFIX)]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    for key, value in facts.items():
        if value:
            model.metadata_props.add(key=PREFIX + key, value=value)


def _known_schema(data: object) -> Mapping[str, Any]:
    if not isinstance(data, Mapping) or "schema_version" not in data:
        raise ExportError(f"this is no model card, having no 'schema_version': {WRITE_AGAIN}")
    found = data["schema_version"]
    if found == SCHEMA_VERSION:
        return data
    newer = isinstance(found, int) and found > SCHEMA_VERSION
    remedy = "update niwaki" if newer else WRITE_AGAIN
    raise ExportError(
        f"the model card has schema {found}, but niwaki {__version__} reads {SCHEMA_VERSION}: "
        f"{remedy}"
    )


def _card(data: Mapping[str, Any]) -> ModelCard:
    return ModelCard(
        name=str(data["name"]),
        inputs=tuple(_input_from_json(one) for one in data["inputs"]),
        tasks=tuple(_task_from_json(task) for task in data["tasks"]),
        candidate=Candidate.from_json(data["candidate"]),
        objectives=tuple(map(Objective.from_json, data["objectives"])),
        metrics={split: dict(values) for split, values in data["metrics"].items()},
        layers={path: LayerCard(**layer) for path, layer in data["layers"].items()},
        target_id=str(data["target_id"]),
        disabled_optimizers=tuple(data["disabled_optimizers"]),
        latency=None if data["latency"] is None else Latency.from_json(data["latency"]),
        versions=dict(data["versions"]),
        config_hash=str(data["config_hash"]),
        data_fingerprint=str(data["data_fingerprint"]),
        file=FileCard(str(data["file"]["sha256"]), int(data["file"]["size_bytes"])),
        verification=dict(data["verification"]),
        float_verification=dict(data["float_verification"]),
        notes=tuple(data["notes"]),
    )


def _task_to_json(card: TaskCard) -> dict[str, JSON]:
    """Return `output` for one, which most programs look for, and `outputs` for several."""
    several = len(card.outputs) != 1
    return {
        "name": card.name,
        "kind": card.kind,
        **({"outputs": list(card.outputs)} if several else {"output": card.outputs[0]}),
        "classes": list(card.classes),
        "unit": card.unit,
    }


def _task_from_json(data: Mapping[str, Any]) -> TaskCard:
    outputs = data["outputs"] if "outputs" in data else [data["output"]]
    return TaskCard(
        name=str(data["name"]),
        kind=str(data["kind"]),
        outputs=tuple(map(str, outputs)),
        classes=tuple(data["classes"]),
        unit=str(data["unit"]),
    )


def _input_to_json(card: InputCard) -> dict[str, JSON]:
    preprocessing = card.preprocessing.to_json() if card.preprocessing else None
    return {
        "name": card.name,
        "shape": list(card.shape),
        "dtype": card.dtype,
        "preprocessing": preprocessing,
    }


def _input_from_json(data: Mapping[str, Any]) -> InputCard:
    given = data["preprocessing"]
    return InputCard(
        name=str(data["name"]),
        shape=tuple(int(size) for size in data["shape"]),
        preprocessing=None if given is None else Preprocessing.from_json(given),
        dtype=str(data.get("dtype", "float32")),  # older cards have none
    )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""

"""The ranges of a float graph's tensors, observed on real inputs."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from niwaki.compress.quantization.observers import Observer, new_observer
from niwaki.compress.quantization.plan import QuantizationPlan
from niwaki.core.errors import DataError
from niwaki.export.graph.index import GraphIndex
from niwaki.export.int8.layers import find_layers
from niwaki.export.int8.regions import int8_regions
from niwaki.export.int8.shared_ranges import ranges_needed
from niwaki.targets.sessions import ERRORS_ONLY

Feeds = Mapping[str, NDArray[Any]]


def activation_ranges(
    model: onnx.ModelProto,
    batches: Iterable[Feeds],
    *,
    observer: str = "percentile",
    plan: QuantizationPlan | None = None,
    n_threads: int = 1,
) -> dict[str, tuple[float, float]]:
    """Return the range of every tensor that Q/DQ insertion may need, by tensor name.

    One batch is in memory at a time, with the tensors that are observed; of earlier batches only
    histograms remain.

    Args:
        model: Float, as `build_graph` or `export_module` gives it.
        batches: Inputs by name; real ones, of the kind that will be met in use.
        observer: Which range: a name in `niwaki.compress.quantization.observers`.
        plan: The plan that the ranges are for; without one they serve every plan.
        n_threads: Threads of the runtime.

    Raises:
        ConfigError: If there is no such observer.
        SpaceError: If the plan names a layer that the model does not have.
        DataError: If there is no batch, a batch lacks an input, or a value is not finite.
    """
    index = GraphIndex(model.graph)
    needed = _needed(index, plan)
    observers = {tensor: new_observer(observer) for tensor in sorted(needed)}
    computed = [tensor for tensor in observers if tensor not in index.inputs]
    session = observing_session(model, computed, n_threads)
    n_batches = 0
    for n_batches, batch in enumerate(batches, start=1):  # noqa: B007  (counted for the check below)
        feeds = ordered_feeds(index, batch)
        values = dict(zip(computed, session.run(computed, feeds), strict=True)) if computed else {}
        _update(observers, {**feeds, **values})
    if n_batches == 0:
        raise DataError("there is no batch to calibrate on: give at least one")
    return {tensor: watcher.range() for tensor, watcher in observers.items()}


def _needed(index: GraphIndex, plan: QuantizationPlan | None) -> set[str]:
    layers = [layer.path for layer in find_layers(index)]
    if plan is None:
        return ranges_needed(index, int8_regions(index, layers))
    plan.check_layers(layers)
    return ranges_needed(index, int8_regions(index, plan.int8_layers))


def observing_session(
    model: onnx.ModelProto, tensors: list[str], n_threads: int
) -> onnxruntime.InferenceSession:
    """Return a session of `model` that gives `tensors` beside its outputs."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    outputs = {info.name for info in watched.graph.output}
    watched.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in tensors
        if name not in outputs
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def ordered_feeds(index: GraphIndex, batch: Feeds) -> dict[str, NDArray[Any]]:
    """Return the inputs of a graph from a batch, in their types.

    Raises:
        DataError: If the batch lacks one.
    """
    missing = [name for name in index.inputs if name not in batch]
    if missing:
        raise DataError(
            f"a calibration batch lacks input '{missing[0]}': it has {', '.join(batch) or 'none'}"
        )
    return {name: np.ascontiguousarray(batch[name], kind) for name, kind in index.inputs.items()}


def _update(observers: Mapping[str, Observer], values: Feeds) -> None:
    for tensor, watcher in observers.items():
        try:
            watcher.update(values[tensor])
        except DataError as error:
            raise DataError(f"tensor '{tensor}' cannot be calibrated: {error}") from error

"""Bias correction: rounded weights shift the mean of a layer's output; its bias takes it back.

References:
    Nagel, van Baalen, Blankevoort and Welling, ICCV 2019, "Data-free quantization through weight
    equalization and bias correction", section 4.2, equations 13 to 17. The mean input of each layer
    is observed on calibration data, not derived from batch norm; padding is left out of account.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray

from niwaki.compress.quantization.arithmetic import quantize_weights
from niwaki.compress.quantization.plan import QuantizationPlan
from niwaki.core.errors import DataError, ExportError
from niwaki.export.graph.index import GraphIndex, leave_out_unneeded
from niwaki.export.graph.rewritten import with_constants
from niwaki.export.int8.calibration import Feeds, observing_session, ordered_feeds
from niwaki.export.int8.layers import Layer, find_layers

# The mean of each channel that a layer reads, by path of the layer: (C_in,) float64.
Means = Mapping[str, NDArray[np.float64]]


def input_means(model: onnx.ModelProto, batches: Iterable[Feeds], *, n_threads: int = 1) -> Means:
    """Return the mean of each input channel of every layer that can run in int8.

    Args:
        model: Float, as `build_graph` or `export_module` gives it.
        batches: Inputs by name, float32; one batch is in memory at a time.
        n_threads: Threads of the runtime.

    Raises:
        DataError: If there is no batch, or a batch lacks an input.
    """
    index = GraphIndex(model.graph)
    layers = find_layers(index)
    tensors = sorted({layer.input for layer in layers} - set(index.inputs))
    session = observing_session(model, tensors, n_threads)
    axes = {layer.input: _channel_axis(index, layer) for layer in layers}
    sums: dict[str, NDArray[np.float64]] = {}
    n_summed = dict.fromkeys(axes, 0)
    for batch in batches:
        feeds = ordered_feeds(index, batch)
        values = dict(zip(tensors, session.run(tensors, feeds), strict=True)) if tensors else {}
        for tensor, axis in axes.items():
            value = {**feeds, **values}[tensor]
            rows = np.moveaxis(value, axis, -1).reshape(-1, value.shape[axis])  # (n, C)
            sums[tensor] = sums.get(tensor, 0.0) + rows.sum(axis=0, dtype=np.float64)
            n_summed[tensor] += len(rows)
    if not sums and layers:
        raise DataError("there is no batch to take means of: give at least one")
    return {layer.path: sums[layer.input] / n_summed[layer.input] for layer in layers}


def bias_corrected(model: onnx.ModelProto, plan: QuantizationPlan, means: Means) -> onnx.ModelProto:
    """Return a float graph whose biases make up for what rounding the plan's weights will shift.

    It is meant to be quantized by the same plan: only then are its mean outputs right. A layer
    without a bias gets one; MatMul, whose bias is an addition behind it, is left as it is.

    Args:
        model: Float, as `build_graph` or `export_module` gives it.
        plan: Says which layers will run in int8.
        means: As `input_means` gives them for this model.

    Raises:
        SpaceError: If the plan names a layer that the model does not have.
        ExportError: If the means of a layer are missing.
    """
    index = GraphIndex(model.graph)
    layers = {layer.path: layer for layer in find_layers(index)}
    plan.check_layers(layers)
    biases: dict[str, NDArray[np.float64]] = {}
    named: dict[int, str] = {}
    for path in plan.int8_layers:
        layer = layers[path]
        if index.nodes[layer.nodes[0]].op_type == "MatMul":
            continue
        if path not in means:
            raise ExportError(f"layer '{path}' has no input means: take them of this very model")
        name = f"{path}.corrected_bias"
        old = index.values(layer.bias).astype(np.float64) if layer.bias else 0.0
        biases[name] = old - output_shift(index, layer, means[path], limit=plan.weight_limit)
        named[layer.nodes[0]] = name
    corrected = with_constants(model, biases)
    for position, name in named.items():
        node = corrected.graph.node[position]
        node.input[:] = [*node.input[:2], name]
    leave_out_unneeded(corrected.graph)
    return corrected


def output_shift(
    index: GraphIndex, layer: Layer, means: NDArray[np.float64], *, limit: int
) -> NDArray[np.float64]:
    """Return (C_out,) how far rounding a layer's weights moves the mean of its output.

    Args:
        index: Of the float graph.
        layer: With constant weights.
        means: (C_in,) of its input.
        limit: Largest integer of a weight, as `QuantizationPlan.weight_limit`.
    """
    weight = index.values(layer.weight)
    rounded = quantize_weights(
        weight, None, axis=layer.weight_axis, input_scale=np.float32(1.0), limit=limit
    )
    shape = [1] * weight.ndim
    shape[layer.weight_axis] = -1
    error = rounded.weight * rounded.weight_scale.reshape(shape).astype(np.float64) - weight
    by_output = np.moveaxis(error, layer.weight_axis, 0)  # (C_out, C_in / groups, ...)
    summed = by_output.reshape(*by_output.shape[:2], -1).sum(axis=2)  # (C_out, C_in / groups)
    n_out, n_in = summed.shape
    grouped = summed.reshape(len(means) // n_in, -1, n_in)  # (groups, C_out / groups, n_in)
    shift: NDArray[np.float64] = (grouped @ means.reshape(-1, n_in, 1)).reshape(n_out)
    return shift


def _channel_axis(index: GraphIndex, layer: Layer) -> int:
    return 1 if index.nodes[layer.nodes[0]].op_type == "Conv" else -1

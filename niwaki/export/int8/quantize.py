"""Q/DQ insertion: a float graph and a plan in, a graph that the runtime runs in int8 out.

onnxruntime makes an integer kernel of a layer that reads DequantizeLinear and writes into
QuantizeLinear, so that is what is written: one Q/DQ pair per tensor, shared by all its readers,
none between a layer and its ReLU; int8 weights and int32 biases with their DequantizeLinear.

A float layer between two integer tensors needs a guard. At session load the runtime's
WeightBiasQuantization quantizes the weights of any Conv, ConvTranspose or Gemm that reads
DequantizeLinear and writes into QuantizeLinear, also through Relu and Clip: the layer that was
to stay float runs in int8. It looks through nothing else. So a LeakyRelu of slope 1, which changes
no value, is put behind such a layer. The runtime fuses it into the convolution (or the Gemm) after
that pass is through, so it costs nothing: with three of six 32-channel convolutions float, the
guarded graph took 0.550 ms and the plain one with that pass disabled 0.542 ms, and all three were
float; unguarded, all six were int8 (onnxruntime 1.32, one thread).

References:
    onnxruntime issues 22969 and 25673, on layers that do not stay float.
"""

from collections.abc import Mapping

import onnx

from niwaki.compress.quantization.arithmetic import Affine
from niwaki.compress.quantization.plan import ActivationType, QuantizationPlan
from niwaki.core.errors import ExportError
from niwaki.export.graph.index import GraphIndex
from niwaki.export.graph.tied_weights import tied
from niwaki.export.int8.float_guards import guarded
from niwaki.export.int8.layers import find_layers
from niwaki.export.int8.qdq_writer import QdqWriter
from niwaki.export.int8.regions import MEAN, Regions, int8_regions
from niwaki.export.int8.shared_ranges import SharedRanges

_FINEST_OF_MEAN = 128  # of its steps in one of what it is of: the runtime takes 256 and more


def quantize_model(
    model: onnx.ModelProto,
    plan: QuantizationPlan,
    ranges: Mapping[str, tuple[float, float]],
) -> onnx.ModelProto:
    """Return `model` with the layers of `plan` in int8 and all others in float.

    Args:
        model: Float, as `build_graph` or `export_module` gives it.
        plan: Names layers of `model`; what it does not name stays float.
        ranges: Smallest and largest value by tensor, as `activation_ranges` gives them.

    Raises:
        SpaceError: If the plan names a layer that the model does not have.
        ExportError: If a range that is needed is missing or not finite.
    """
    index = GraphIndex(model.graph)
    plan.check_layers(layer.path for layer in find_layers(index))
    regions = int8_regions(index, plan.int8_layers)
    parameters = scales(index, regions, ranges, plan.activation)
    writer = QdqWriter(index, regions, parameters, plan.weight_limit)
    graph = guarded(writer.graph(model.graph))
    quantized = onnx.ModelProto()
    quantized.CopyFrom(model)
    quantized.graph.CopyFrom(graph)
    return tied(quantized)


def scales(
    index: GraphIndex,
    regions: Regions,
    ranges: Mapping[str, tuple[float, float]],
    activation: ActivationType,
) -> dict[str, tuple[str, Affine]]:
    """Return the name and the numbers of the scale of each quantized tensor.

    Raises:
        ExportError: If a range that is needed is missing or not finite.
    """
    shared = SharedRanges(index, regions)
    known = {
        name: _affine(sorted(shared.sources(name)), ranges, activation).within(*shared.ends(name))
        for name in shared.names
    }
    for operation in regions.operations:
        if operation.op == MEAN:
            given, mean = map(shared.scale_of, (*operation.inputs, *operation.outputs))
            known[mean] = _of_mean(known[mean], known[given], activation)
    names = {tensor: shared.scale_of(tensor) for tensor in regions.quantized}
    return {tensor: (name, known[name]) for tensor, name in names.items()}


def _of_mean(mean: Affine, given: Affine, activation: ActivationType) -> Affine:
    """Return the scale of a mean over an image, in steps for which the runtime has a kernel.

    It refuses steps that are some billion times those of what the mean is of, as where next to
    nothing is left of a signal, or less than 1/256 of them over the number of pixels, as where the
    mean was taken away before. A mean is within the range of what it is of, so its steps are never
    wider, and it is not known better than to a small part of these.
    """
    if mean.scale > given.scale:
        return given
    wider = float(given.scale) / _FINEST_OF_MEAN / float(mean.scale)
    if wider <= 1.0:
        return mean
    return Affine.of_range(wider * mean.low, wider * mean.high, activation)


def _affine(
    sources: list[str], ranges: Mapping[str, tuple[float, float]], activation: ActivationType
) -> Affine:
    missing = [source for source in sources if source not in ranges]
    if missing:
        raise ExportError(
            f"the range of tensor '{missing[0]}' is needed for this plan but was not observed: "
            "take the ranges of this model, by activation_ranges with this plan or with none"
        )
    low = min(ranges[source][0] for source in sources)
    high = max(ranges[source][1] for source in sources)
    try:
        return Affine.of_range(low, high, activation)
    except ValueError as error:
        raise ExportError(f"tensor '{sources[0]}' cannot be quantized: {error}") from error

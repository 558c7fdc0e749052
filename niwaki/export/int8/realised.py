"""The precision in which each layer really runs, read from the runtime's optimised graph.

The runtime renames, fuses and reorders what it is given, so layers are found again by whatever
name is left of them: first by the node's name and the names of its constants, then by the name of
the tensor that the fused node gives. A kernel that is left over while a layer is still missing is
an error: better no answer than a wrong one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import onnx

from niwaki.core.errors import ExportError
from niwaki.export.graph.index import GraphIndex


class Realised(StrEnum):
    """The precision in which the runtime executes a layer."""

    INT8 = "int8"
    FP32 = "fp32"
    ABSENT = "absent"


_FLOAT_KERNELS = frozenset(
    {"Conv", "FusedConv", "NhwcFusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}
)
_INTEGER_KERNELS = frozenset(
    {
        "ConvInteger",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QGemm",
        "QLinearConv",
        "QLinearMatMul",
    }
)
_LAYER_OPS = ("Conv", "Gemm", "MatMul")
# What the runtime puts around a name when it replaces a node.
_DECORATION = re.compile(
    r"^fused |(_nchwc|/MatMulAddFusion|_gemm|/duplicated|_s8_2_u8|_pre_q|_token_\d+)+$"
)
# A normalisation that nothing could be fused with becomes a convolution of this name.
_NORM, _AS_CONV = "BatchNormalization", "_bn"
_MAX_FUSED = 6


@dataclass(frozen=True)
class _Traces:
    """Names by which a layer may be found again.

    Attributes:
        own: Names that nothing else has: of the node, of its constants.
        given: Tensors that a kernel fused from this layer may give.
    """

    own: frozenset[str]
    given: frozenset[str]


def realised_precisions(
    optimised: onnx.ModelProto | Path, model: onnx.ModelProto
) -> Mapping[str, Realised]:
    """Return the precision in which each layer of `model` runs.

    Args:
        optimised: The graph that the runtime wrote (`SessionOptions.optimized_model_filepath`)
            when it loaded `model`, or the path of that file.
        model: What was loaded: float, or quantized by `quantize_model`.

    Returns:
        The precision by layer path, for every layer of `model` that could run in int8. A layer is
        absent if the runtime dropped it, such as a branch that nobody reads.

    Raises:
        ExportError: If a layer cannot be found while a kernel is left that could be it.
    """
    loaded = onnx.load(str(optimised)) if isinstance(optimised, Path) else optimised
    layers = _layers(GraphIndex(model.graph))
    norms = {node.name + _AS_CONV for node in model.graph.node if node.op_type == _NORM}
    found_kernels = _kernels(GraphIndex(loaded.graph))
    kernels = {i: kernel for i, kernel in found_kernels.items() if not kernel.names & norms}
    found = _matched({path: traces.own for path, traces in layers.items()}, kernels)
    rest = {path: traces.given for path, traces in layers.items() if path not in found}
    left = {i: kernel for i, kernel in kernels.items() if i not in found.values()}
    found |= _matched(rest, left)
    _check_complete(layers, kernels, found)
    ops = {path: kernels[i].op for path, i in found.items()}
    return {path: _precision(ops.get(path)) for path in layers}


@dataclass(frozen=True)
class _Kernel:
    op: str
    names: frozenset[str]


def _precision(op: str | None) -> Realised:
    if op is None:
        return Realised.ABSENT
    return Realised.INT8 if op in _INTEGER_KERNELS else Realised.FP32


def _plain(name: str) -> str:
    """Return the name that the runtime decorated."""
    return _DECORATION.sub("", _DECORATION.sub("", name))


def _kernels(index: GraphIndex) -> dict[int, _Kernel]:
    """Return the kernels that multiply by constant weights, by position."""
    kernels = {}
    for i, node in enumerate(index.nodes):
        if node.op_type not in _FLOAT_KERNELS | _INTEGER_KERNELS:
            continue
        constants = {name for name in node.input if _comes_from_constants(index, name)}
        if constants:
            names = {node.name, *node.output, *constants}
            kernels[i] = _Kernel(node.op_type, frozenset(map(_plain, names)))
    return kernels


def _comes_from_constants(index: GraphIndex, tensor: str) -> bool:
    """Whether a tensor is a constant, or is made of constants by one node."""
    if not tensor:
        return False
    maker = index.producer.get(tensor)
    if maker is None:
        return index.is_constant(tensor)
    return all(index.is_constant(name) for name in index.nodes[maker].input if name)


def _layers(index: GraphIndex) -> dict[str, _Traces]:
    """Return the layers of a float or quantized graph, and what they may be found by."""
    return {
        node.name: _Traces(_own_names(index, node), frozenset(_fused_outputs(index, node)))
        for node in index.nodes
        if node.op_type in _LAYER_OPS and _comes_from_constants(index, node.input[1])
    }


def _own_names(index: GraphIndex, node: onnx.NodeProto) -> frozenset[str]:
    # An output of the model may have the name of a layer that does not give it, and the runtime
    # names kernels after what they give.
    is_own = node.name not in index.producer or node.name in _fused_outputs(index, node)
    names = {node.name} if is_own else set()
    for name in node.input[1:]:
        maker = index.producer.get(name)
        # The integers themselves, not their scales: equal scales may become one constant.
        constant = name if maker is None else index.nodes[maker].input[0]
        if len(index.consumers(constant)) == 1:
            names |= {name, constant}
    return frozenset(names - {""})


def _fused_outputs(index: GraphIndex, node: onnx.NodeProto) -> list[str]:
    """Return the outputs of a layer and of what alone reads it, as far as may be fused."""
    given = [node.output[0]]
    for _ in range(_MAX_FUSED):
        reader = index.only_consumer(given[-1])
        if reader is None or index.nodes[reader].op_type in (*_LAYER_OPS, "Concat"):
            break
        given.append(index.nodes[reader].output[0])
    return given


def _matched(names: Mapping[str, frozenset[str]], kernels: Mapping[int, _Kernel]) -> dict[str, int]:
    """Return the kernel of each layer that shares a name with exactly one kernel."""
    found = {}
    for path, known in names.items():
        sharing = [i for i, kernel in kernels.items() if known & kernel.names]
        if len(sharing) == 1:
            found[path] = sharing[0]
    return found


def _check_complete(
    layers: Mapping[str, _Traces], kernels: Mapping[int, _Kernel], found: Mapping[str, int]
) -> None:
    missing = [path for path in layers if path not in found]
    left = [kernel for i, kernel in kernels.items() if i not in found.values()]
    doubled = len(set(found.values())) < len(found)
    if doubled or (missing and left):
        kernel = f"; kernel left over: {left[0].op} {sorted(left[0].names)}" if left else ""
        raise ExportError(
            f"layer '{missing[0] if missing else ''}' cannot be found in the optimised graph"
            f"{kernel}. Its precision is unknown: please report the model"
        )

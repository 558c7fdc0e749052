"""Files whose channels lie last, as TensorFlow's do, with fewer transposes around convolutions.

Such files bring the channels to the front before each convolution, and back behind it. In float the
runtime moves these transposes along until they meet and vanish; in int8 they would keep it from
joining a convolution with its norm and its activation, and each would be rounded to and from. So
they go before the file is read, by the runtime's own optimiser.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import onnx

from niwaki.targets.sessions import Optimisation, SessionSettings, open_session

_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_LEFT_OUT = (
    "CommonSubexpressionElimination",
    "ConstantFolding",
    "ConstantSharing",
    "DoubleQDQPairsRemover",
    "EnsureUniqueDQForNodeUnit",
    "FreeDimensionOverrideTransformer",
    "GatherSliceToSplitFusion",
    "GatherToSliceFusion",
    "GeluFusionL1",
    "LayerNormFusionL1",
    "Level1_RuleBasedTransformer",
    "MatMulAddFusion",
    "NotWhereFusion",
    "PreShapeNodeElimination",
    "PropagateCastOps",
    "QDQPropagationTransformer",
    "ReshapeFusion",
    "SimplifiedLayerNormFusion",
    "WeightBiasQuantization",
    "WhereDummyDq",
)
"""What else the runtime does at the level of this optimiser: norms would be lost, and layers."""
_MOVING = SessionSettings(optimisation=Optimisation.BASIC, disabled_optimizers=_LEFT_OUT)


def rearranged(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model that computes the same with fewer transposes, or the model if none can go.

    Args:
        model: In float32.

    Raises:
        TargetError: If the runtime cannot load it.
    """
    with TemporaryDirectory() as folder:
        place = Path(folder) / "model.onnx"
        open_session(model, _MOVING, optimised_path=place)
        found = onnx.load(place)
    return found if _n_transposes(found.graph) < _n_transposes(model.graph) else model


def has_layouts(graph: onnx.GraphProto) -> bool:
    """Whether a convolution takes what was transposed on the way, not of an input."""
    makers = {name: node for node in graph.node for name in node.output}
    sources = [makers.get(n.input[0]) for n in graph.node if n.op_type in _CONVOLUTIONS]
    return any(
        source.op_type == "Transpose" and source.input[0] in makers for source in sources if source
    )


def _n_transposes(graph: onnx.GraphProto) -> int:
    return sum(node.op_type == "Transpose" for node in graph.node)

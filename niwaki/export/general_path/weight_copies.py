"""Which constants of a graph are copies of parameters, transposed or not.

`F.linear(x, self.qkv.weight)` multiplies by the transpose of its weight. torch's exporter computes
that, and the constant has no name of the parameter's any more.
"""

from collections import defaultdict
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from niwaki.export.graph.index import WEIGHTED, GraphIndex

_SUFFIX = ".weight"


def weight_copies(graph: onnx.GraphProto, module: nn.Module) -> Mapping[str, str]:
    """Return the first names of matrices called `weight`, by the constants that are copies of them.

    Of matrices with equal values, each is found once, in their order.

    Args:
        graph: As torch exported it; constants that its products read are looked at.
        module: That was exported.
    """
    index = GraphIndex(graph)
    own = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    read = dict.fromkeys(node.input[1] for node in index.nodes if node.op_type in WEIGHTED)
    shapes = {name: tuple(index.constants[name].dims) for name in read if index.is_constant(name)}
    wanted = [name for name, shape in shapes.items() if len(shape) == 2 and name not in own]
    asked = {shapes[name] for name in wanted}
    by_values: dict[bytes, list[str]] = defaultdict(list)
    for name, parameter in module.named_parameters():
        if name.endswith(_SUFFIX) and parameter.ndim == 2:
            values = parameter.detach().float().cpu().numpy()
            for each in (values, values.T):
                if each.shape in asked:
                    by_values[_digest(each)].append(name)
    found: dict[str, str] = {}
    for name in wanted:
        alike = by_values[_digest(index.values(name))]
        if alike:
            found[name] = next((each for each in alike if each not in found.values()), alike[0])
    return found


def _digest(values: NDArray[Any]) -> bytes:
    return blake2b(repr(values.shape).encode() + np.ascontiguousarray(values).tobytes()).digest()

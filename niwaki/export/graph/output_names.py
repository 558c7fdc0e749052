"""Outputs of a finished graph, called in another way."""

from collections.abc import Mapping

import onnx

from niwaki.export.graph.branches import rename_read
from niwaki.export.graph.writer import claimed


def with_outputs_called(model: onnx.ModelProto, names: Mapping[str, str]) -> onnx.ModelProto:
    """Return a model whose outputs have other names; a tensor inside that has one gets another.

    Args:
        model: Not touched.
        names: New names by old ones; outputs that are not among them keep theirs.

    Raises:
        ValueError: If an input, or another output, is called so.
    """
    found = onnx.ModelProto()
    found.CopyFrom(model)
    graph = found.graph
    inner = {name for node in graph.node for name in node.output}
    inner |= {tensor.name for tensor in graph.initializer}
    ends = {info.name for info in (*graph.input, *graph.output)} - names.keys()
    if twice := sorted(ends.intersection(names.values())):
        raise ValueError(f"'{twice[0]}' is an input, or another output, of the model")
    taken = inner | ends | set(names.values())
    moved = {name: claimed(name, taken) for name in names.values() if name in inner - names.keys()}
    renamed = {**moved, **names}
    for node in graph.node:
        rename_read(node, renamed)
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for named in (*graph.output, *graph.initializer, *graph.value_info):
        named.name = renamed.get(named.name, named.name)
    return found

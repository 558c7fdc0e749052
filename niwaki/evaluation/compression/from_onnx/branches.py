"""Branches that a graph always takes, in the place of the If that would choose.

Exporters write an If where a size decides, such as one that is squeezed only if it is 1. The
runtime tells which branch is taken; where it is the same for any batch, nothing is left to choose.
"""

from collections.abc import Iterator

import onnx
from onnx import helper

from niwaki.evaluation.compression.from_onnx.file import OnnxFile
from niwaki.evaluation.compression.from_onnx.known import Known
from niwaki.export.graph.branches import rename_read
from niwaki.export.graph.writer import claimed


def with_branches_taken(file: OnnxFile, known: Known) -> OnnxFile | None:
    """Return the same file with what is always taken written out; None if there is nothing.

    Branches may have an If of their own, which is left as it is.

    Args:
        file: In which they are chosen.
        known: Of its graph.
    """
    taken = {node.output[0]: branch for node in known.needed() if (branch := _always(known, node))}
    if not taken:
        return None
    model = onnx.ModelProto()
    model.CopyFrom(file.given)
    graph = model.graph
    names = {name for node in graph.node for name in (*node.input, *node.output)}
    names.update(each.name for each in (*graph.input, *graph.initializer))
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        which = taken.get(node.output[0], "") if node.output else ""
        nodes.extend(_written_out(node, which, graph, names) if which else [node])
    del graph.node[:]
    graph.node.extend(nodes)
    return OnnxFile(file.path, file.typed, model)


def _always(known: Known, node: onnx.NodeProto) -> str:
    """Return the name of the branch that an If takes for any batch; empty if there is none."""
    if node.op_type != "If" or node.input[0] in known.of_input:
        return ""
    first, second = (bool(values.item()) for values in known.values(node.input[0]))
    return ("then_branch" if first else "else_branch") if first == second else ""


def _written_out(
    node: onnx.NodeProto, branch: str, graph: onnx.GraphProto, names: set[str]
) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a branch, with names of their own; its weights go to the graph."""
    [inner] = [each.g for each in node.attribute if each.name == branch]
    made = [name for part in inner.node for name in part.output if name]
    made += [tensor.name for tensor in inner.initializer]
    own = {name: claimed(f"{node.output[0]}.{name}", names) for name in made}
    for tensor in inner.initializer:
        graph.initializer.add().CopyFrom(tensor)
        graph.initializer[-1].name = own[tensor.name]
    for part in inner.node:
        written = onnx.NodeProto()
        written.CopyFrom(part)
        rename_read(written, own)
        written.output[:] = [own.get(name, name) for name in part.output]
        yield written
    for info, name in zip(inner.output, node.output, strict=True):
        if name:
            yield helper.make_node("Identity", [own.get(info.name, info.name)], [name])

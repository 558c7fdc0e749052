"""Branches: graphs inside of a node, such as If, that read tensors of the graph around them."""

from collections.abc import Iterator, Mapping

import onnx


def branches(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs that a node holds itself."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def read_by(node: onnx.NodeProto) -> list[str]:
    """Return the tensors around a node that it reads, its inputs first, then those of branches."""
    read = list(node.input)
    for branch in branches(node):
        made = set(_made(branch))
        read += [name for inner in branch.node for name in read_by(inner) if name not in made]
    return read


def rename_read(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Let a node and its branches read tensors around it by other names, in place."""
    node.input[:] = [names.get(name, name) for name in node.input]
    for branch in branches(node):
        made = set(_made(branch))
        outer = {old: new for old, new in names.items() if old not in made}
        for inner in branch.node:
            rename_read(inner, outer)


def name_branches(node: onnx.NodeProto) -> None:
    """Give what is inside of branches names under the node's own, without notes, in place."""
    for branch in branches(node):
        names = {name: f"{node.name}.{name}" for name in _made(branch) if name}
        for inner in branch.node:
            rename_read(inner, names)
            inner.output[:] = [names.get(name, name) for name in inner.output]
            inner.name = f"{node.name}.{inner.name}"
            _clear(inner)
            for attribute in inner.attribute:
                attribute.ClearField("doc_string")
            name_branches(inner)
        for named in (*branch.input, *branch.output, *branch.initializer, *branch.value_info):
            named.name = names.get(named.name, named.name)
            _clear(named)
        branch.name = node.name


def _made(branch: onnx.GraphProto) -> Iterator[str]:
    for named in (*branch.input, *branch.initializer):
        yield named.name
    for node in branch.node:
        yield from node.output


def _clear(part: onnx.NodeProto | onnx.ValueInfoProto | onnx.TensorProto) -> None:
    part.ClearField("doc_string")
    part.ClearField("metadata_props")

"""Nodes of a graph, and of the graphs inside of them: branches, and bodies of loops."""

from collections.abc import Iterator

import onnx

from niwaki.export.graph.branches import branches


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph, and of graphs in their attributes."""
    for node in graph.node:
        yield node
        for inner in branches(node):
            yield from nodes_of(inner)


def reads(node: onnx.NodeProto) -> set[str]:
    """Return the names of the values that a node may use, also inside of branches and bodies."""
    inner = (name for graph in branches(node) for each in nodes_of(graph) for name in each.input)
    return {name for name in (*node.input, *inner) if name}

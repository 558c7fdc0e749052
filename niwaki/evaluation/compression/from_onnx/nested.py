"""Nodes of a graph, and of the graphs inside of them: branches, and bodies of loops."""

from collections.abc import Iterator

import onnx


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph, and of graphs in their attributes."""
    for node in graph.node:
        yield node
        for inner in inner_graphs(node):
            yield from nodes_of(inner)


def reads(node: onnx.NodeProto) -> set[str]:
    """Return the names of the values that a node may use, also inside of branches and bodies."""
    inner = (
        name for graph in inner_graphs(node) for each in nodes_of(graph) for name in each.input
    )
    return {name for name in (*node.input, *inner) if name}


def inner_graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs that a node may run: branches, and bodies of loops."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs

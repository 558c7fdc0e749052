"""An exported graph, named by the paths of its layers and by nothing else.

torch's exporter numbers nodes and tensors, and notes beside each of them where in which source file
it comes from. The names are read from those notes; then the notes go.
"""

import ast
import itertools
import re
from collections import Counter
from collections.abc import Mapping

import onnx

from niwaki.export.graph.branches import name_branches, read_by, rename_read
from niwaki.export.graph.index import RECURRENT, WEIGHTED, GraphIndex
from niwaki.export.graph.module_names import ModuleNames
from niwaki.export.graph.writer import claimed

_SCOPES = "pkg.torch.onnx.name_scopes"
_CLASSES = "pkg.torch.onnx.class_hierarchy"
_LEAVES, _CONTAINERS = "torch.nn.modules.", ".container."
_NUMBER = re.compile(r"(_\d+)+$")


def named_by_layers(
    graph: onnx.GraphProto, names: ModuleNames, ends: Mapping[str, str]
) -> onnx.GraphProto:
    """Return a graph with nodes and tensors named by layer paths, and without notes.

    Args:
        graph: As torch exported it.
        names: Of the module's parts.
        ends: The names that the graph's inputs and outputs shall have, by those they have now.
    """
    index = GraphIndex(graph)
    node_names = _node_names(index, names)
    kept = _kept_names(index, names, frozenset(ends.values()))
    taken = {*ends.values(), *kept.values()}
    renamed = {**ends, **kept, **_tensor_names(index, node_names, taken)}
    renamed |= _constant_names(index, node_names, frozenset(kept), taken)
    nodes = [_node(node, name, renamed) for node, name in zip(index.nodes, node_names, strict=True)]
    read = {name for node in nodes for name in read_by(node)}
    constants = [_constant(tensor, renamed) for tensor in graph.initializer]
    infos = [_info(info, renamed) for info in graph.value_info if info.name in renamed]
    return onnx.helper.make_graph(
        nodes,
        graph.name,
        [_info(info, ends) for info in graph.input],
        [_info(info, ends) for info in graph.output],
        [tensor for tensor in constants if tensor.name in read],
        value_info=[info for info in infos if info.name not in {c.name for c in constants}],
    )


def recurrent_layer(path: str, layer: int, n_layers: int) -> str:
    """Return the path of one layer of a recurrent module, told as its weights are: `rnn.l1`."""
    return path if n_layers == 1 else f"{path}.l{layer}"


def _kept_names(index: GraphIndex, names: ModuleNames, ends: frozenset[str]) -> dict[str, str]:
    """Return the names of constants that are parameters, where no input or output has them."""
    found = {name: names.parameters[name] for name in index.constants if name in names.parameters}
    n_found = Counter(found.values())
    # One that is there twice keeps both its names.
    chosen = {name: first if n_found[first] == 1 else name for name, first in found.items()}
    return {name: kept for name, kept in chosen.items() if kept not in ends}


def _node_names(index: GraphIndex, names: ModuleNames) -> list[str]:
    """Return a name for each node; what surrounds a layer, such as its padding, comes second."""
    n_met: Counter[str] = Counter()
    paths = []
    for node in index.nodes:
        path = _path(index, node, names)
        if node.op_type in RECURRENT:
            n_layers = _n_layers(path, names)
            n_met[path] += 1
            path = recurrent_layer(path, (n_met[path] - 1) % n_layers, n_layers)
        paths.append(path)
    taken: set[str] = set()
    chosen: dict[int, str] = {}
    for number in sorted(range(len(paths)), key=lambda i: not _is_layer(index, index.nodes[i])):
        chosen[number] = claimed(paths[number], taken)
    return [chosen[number] for number in range(len(paths))]


def _is_layer(index: GraphIndex, node: onnx.NodeProto) -> bool:
    if node.op_type in RECURRENT:
        return True
    return node.op_type in WEIGHTED and len(node.input) > 1 and index.is_constant(node.input[1])


def _n_layers(path: str, names: ModuleNames) -> int:
    """Return how many layers a recurrent module has; 1 where it is none of torch's."""
    numbers = itertools.count()
    return max(1, next(n for n in numbers if f"{path}.weight_ih_l{n}" not in names.parameters))


def _path(index: GraphIndex, node: onnx.NodeProto, names: ModuleNames) -> str:
    """Return the path of a layer that owns weights, or of an operation in its module."""
    scopes, classes = _noted(node, _SCOPES), _noted(node, _CLASSES)
    noted = scopes[-2] if len(scopes) > 1 else ""
    scope = names.modules.get(noted, noted)
    if node.op_type in WEIGHTED and len(node.input) > 1:
        # With batch norm folded in, the notes speak of the norm, but the weight is still its own.
        owners = _owners(node.input[1], names)
        if owners:
            return scope if scope in owners else owners[0]
    operation = _NUMBER.sub("", scopes[-1]) if scopes else node.op_type.lower()
    if not scope:  # the whole module, whose path is empty
        return operation
    if node.op_type in WEIGHTED and index.is_constant(node.input[1]):
        return scope
    if classes[-2].startswith(_LEAVES) and _CONTAINERS not in classes[-2]:
        return scope
    return f"{scope}.{operation}"


def _owners(weight: str, names: ModuleNames) -> tuple[str, ...]:
    """Return the modules whose `weight` a constant is, or a copy of it."""
    own = names.parameters.get(weight, "") if weight.endswith(".weight") else ""
    return names.owners.get(own or names.copies.get(weight, ""), ())


def _noted(node: onnx.NodeProto, key: str) -> list[str]:
    noted = next((entry.value for entry in node.metadata_props if entry.key == key), "[]")
    return [str(item) for item in ast.literal_eval(noted)]


def _tensor_names(index: GraphIndex, node_names: list[str], taken: set[str]) -> dict[str, str]:
    """Name each tensor after the node that gives it; inputs and outputs keep their names."""
    renamed = {}
    for node, name in zip(index.nodes, node_names, strict=True):
        for i, tensor in enumerate(node.output):
            if tensor and tensor not in index.outputs:
                renamed[tensor] = claimed(name if len(node.output) == 1 else f"{name}.{i}", taken)
    return renamed


def _constant_names(
    index: GraphIndex, node_names: list[str], kept: frozenset[str], taken: set[str]
) -> dict[str, str]:
    """Name a constant after the layer it is the weight or bias of, or after its first reader."""
    renamed: dict[str, str] = {}
    for node, name in zip(index.nodes, node_names, strict=True):
        roles = ("input", "weight", "bias") if node.op_type in WEIGHTED else ()
        for i, constant in enumerate(read_by(node)):
            if not index.is_constant(constant) or constant in renamed or constant in kept:
                continue
            role = roles[i] if i < len(roles) else f"constant_{i}"
            renamed[constant] = claimed(f"{name}.{role}", taken)
    return renamed


def _node(node: onnx.NodeProto, name: str, renamed: Mapping[str, str]) -> onnx.NodeProto:
    plain = onnx.NodeProto(op_type=node.op_type, name=name)
    plain.input.extend(node.input)
    plain.output.extend(renamed.get(tensor, tensor) for tensor in node.output)
    plain.attribute.extend(sorted(node.attribute, key=lambda attribute: attribute.name))
    for attribute in plain.attribute:
        attribute.ClearField("doc_string")
    name_branches(plain)
    rename_read(plain, renamed)
    return plain


def _constant(tensor: onnx.TensorProto, renamed: Mapping[str, str]) -> onnx.TensorProto:
    plain = onnx.TensorProto()
    plain.CopyFrom(tensor)
    plain.name = renamed.get(tensor.name, tensor.name)
    plain.ClearField("doc_string")
    del plain.metadata_props[:]
    return plain


def _info(info: onnx.ValueInfoProto, renamed: Mapping[str, str]) -> onnx.ValueInfoProto:
    plain = onnx.ValueInfoProto(name=renamed.get(info.name, info.name))
    plain.type.CopyFrom(info.type)
    return plain

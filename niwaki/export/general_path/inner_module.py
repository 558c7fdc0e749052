"""Models put inside of another, so that torch's exporter does not take their parts for its own.

It makes a graph module of what it exports, whose attributes, such as `graph` and `code`, no part of
the outermost module may be called; and of that module's buffers it takes one that was empty, and is
assigned in the forward pass, for an input. Parts of an inner module may be called anything.
"""

from collections.abc import Mapping
from typing import Any

import onnx
from torch import nn

from niwaki.export.graph.branches import branches

_INNER = "niwaki_inner"
_PREFIX = f"{_INNER}."


def as_inner(module: nn.Module) -> nn.Module:
    """Return a module with nothing but `module` in it, called as that is."""

    def forward(*args: Any, **kwargs: Any) -> Any:
        return module(*args, **kwargs)

    outer = nn.Module()
    outer.add_module(_INNER, module)
    # torch's exporter looks at the parameters of the function that it exports.
    forward.__wrapped__ = module.forward  # type: ignore[attr-defined]
    outer.forward = forward
    return outer.train(module.training)


def with_names_of_the_model(graph: onnx.GraphProto) -> None:
    """Give parameters in an exported graph, and notes beside its nodes, the inner module's names.

    A tensor that a node gives may have such a name, too: it gets another.
    """
    ends = {info.name for info in (*graph.input, *graph.output)}
    owned = [tensor.name for tensor in graph.initializer if tensor.name.startswith(_PREFIX)]
    names = {name: name.removeprefix(_PREFIX) for name in owned}
    names = {name: own for name, own in names.items() if own not in ends}
    _rename(graph, names | {own: f"{own}:given" for own in names.values()})


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for named in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        named.name = names.get(named.name, named.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for note in node.metadata_props:
            note.value = note.value.replace(f"'{_PREFIX}", "'").replace(f"'{_INNER}'", "''")
        for branch in branches(node):
            _rename(branch, names)

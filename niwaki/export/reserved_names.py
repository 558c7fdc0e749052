"""Parts of a model whose names torch's exporter has for itself: `graph`, `code` and `meta`.

It makes a graph module of what it exports, puts the model's own parts there by their names, and
fails where the graph module has an attribute of that name. While a model is exported, these parts
have other names, under which its own code finds them all the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import onnx
from torch import fx, nn

_MARK = "__of_the_model"


@contextmanager
def reserved_names_free(module: nn.Module) -> Iterator[None]:
    """Let the parts of a module have no name that a graph module has, inside the block."""
    kind = type(module)
    own: list[dict[str, Any]] = [module._parameters, module._buffers, module._modules]
    taken = {name for parts in own for name in parts if _is_reserved(name)}
    if not taken:
        yield
        return
    _rename(own, {name: f"{name}{_MARK}" for name in taken})
    found = {name: _under_another(f"{name}{_MARK}") for name in taken}
    module.__class__ = type(kind.__name__, (kind,), found)
    try:
        yield
    finally:
        module.__class__ = kind
        _rename(own, {f"{name}{_MARK}": name for name in taken})


def _is_reserved(name: str) -> bool:
    return name == "meta" or hasattr(fx.GraphModule, name)


def _under_another(name: str) -> property:
    def get(self: nn.Module) -> Any:
        return getattr(self, name)

    return property(get)


def _rename(own: Sequence[dict[str, Any]], names: Mapping[str, str]) -> None:
    for parts in own:
        renamed = {names.get(name, name): part for name, part in parts.items()}
        parts.clear()
        parts.update(renamed)


def with_names_of_the_model(graph: onnx.GraphProto) -> None:
    """Give constants of an exported graph, and notes beside its nodes, the model's names."""
    for tensor in graph.initializer:
        tensor.name = tensor.name.replace(_MARK, "")
    for node in graph.node:
        node.input[:] = [name.replace(_MARK, "") for name in node.input]
        for note in node.metadata_props:
            note.value = note.value.replace(_MARK, "")

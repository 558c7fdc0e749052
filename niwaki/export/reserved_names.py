"""Parts of a model whose names torch's exporter has for itself: `graph`, `code` and `meta`.

It makes a graph module of what it exports, puts the model's own parts there by their names, and
fails where the graph module has an attribute of that name. While a model is exported, these parts
have other names, under which its own code finds them all the same.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import onnx
from torch import fx, nn

from niwaki.export.branches import branches

_MARK = "__of_the_model"


@contextmanager
def reserved_names_free(module: nn.Module) -> Iterator[None]:
    """Let the parts of a module have no name that a graph module has, inside the block."""
    kind = type(module)
    parts = (module._parameters, module._buffers, module._modules)
    marked = {name: f"{name}{_MARK}" for own in parts for name in own if _is_reserved(name)}
    if not marked:
        yield
        return
    _rename(module, marked)
    module.__class__ = type(kind.__name__, (kind,), _reached_by_own_names(kind, marked))
    try:
        yield
    finally:
        module.__class__ = kind
        _rename(module, {mark: name for name, mark in marked.items()})


def _is_reserved(name: str) -> bool:
    return name == "meta" or hasattr(fx.GraphModule, name)


def _reached_by_own_names(kind: type[nn.Module], marked: Mapping[str, str]) -> dict[str, Any]:
    """Return what a class needs for its code to read and assign parts by the names it gave them."""

    def assign(self: nn.Module, name: str, value: Any) -> None:
        kind.__setattr__(self, marked.get(name, name), value)

    return {name: _under_another(mark) for name, mark in marked.items()} | {"__setattr__": assign}


def _under_another(name: str) -> property:
    def get(self: nn.Module) -> Any:
        return getattr(self, name)

    return property(get)


def _rename(module: nn.Module, names: Mapping[str, str]) -> None:
    own: list[dict[str, Any]] = [module._parameters, module._buffers, module._modules]
    for parts in own:
        renamed = {names.get(name, name): part for name, part in parts.items()}
        parts.clear()
        parts.update(renamed)
    unsaved = {names.get(name, name) for name in module._non_persistent_buffers_set}
    module._non_persistent_buffers_set.clear()
    module._non_persistent_buffers_set.update(unsaved)


def with_names_of_the_model(graph: onnx.GraphProto) -> None:
    """Give constants of an exported graph, and notes beside its nodes, the model's names."""
    for tensor in graph.initializer:
        tensor.name = tensor.name.replace(_MARK, "")
    for node in graph.node:
        node.input[:] = [name.replace(_MARK, "") for name in node.input]
        for note in node.metadata_props:
            note.value = note.value.replace(_MARK, "")
        for branch in branches(node):
            with_names_of_the_model(branch)

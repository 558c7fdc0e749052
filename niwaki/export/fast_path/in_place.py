"""Calls that change a tensor in place, read as calls that give a new one.

After `nn.ReLU(inplace=True)`, `x += y` or `x.add_(y)`, whoever reads `x` reads what it was changed
to, by whatever name. In a graph nothing changes, so these readers get the call's result instead.
"""

import operator
from collections.abc import Collection, Iterator, Mapping
from inspect import signature
from typing import Any

import torch
from torch import fx, nn

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.operators import FUNCTIONS, VIEWS, converter_of
from niwaki.export.fast_path.operators.indexing import assigned
from niwaki.export.fast_path.stand_ins import holds_tensors
from niwaki.export.graph.writer import TensorType

# `@=` is not among them: torch has no product in place, and Python makes a new tensor.
OPERATORS_IN_PLACE = (
    *(operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv),
    *(operator.imod, operator.ipow, operator.iand, operator.ior, operator.ixor),
    *(operator.ilshift, operator.irshift),
)

_PART = "part of another tensor"
_FILLING = {"zero_": torch.zeros_like, "fill_": torch.full_like}


def read_changes(module: nn.Module, graph: fx.Graph, values: dict[fx.Node, object]) -> None:
    """Let readers of what was changed in place read the result of the call that changed it.

    Args:
        module: That was traced.
        graph: Its calls; changed in place.
        values: What is known of what each gives; what is added to the graph is added.

    Raises:
        ExportError: If a view of what is changed, or what it is a view of, is read later, or a
            layer computes with it: names the call. If it is a buffer.
    """
    _write_back(module, graph, values)
    tensors = {node for node, value in values.items() if isinstance(value, TensorType)}
    numbers = {node for node, value in values.items() if not holds_tensors(value)}
    buffers = {name for name, _ in module.named_buffers()}
    layers = {str(node.target) for node in graph.nodes if node.op == "call_module"}
    position = {node: i for i, node in enumerate(graph.nodes)}
    memory = _Memory()
    for node in graph.nodes:
        if node in numbers:
            continue
        changed = changed_by(module, node)
        is_changed = changed in tensors
        memory.add(node, _lenders(module, node, changed if is_changed else None))
        if changed is None or not is_changed:
            continue
        if _is_attribute(changed) and str(changed.target) in buffers:
            raise ExportError(
                f"{type(module).__name__} changes its buffer '{changed.target}' when it is called. "
                "Use export_module, or change a copy"
            )
        own = (changed, node, _assigned_part(node))
        sharing = [other for other in memory.sharing_with(changed) if other not in own]
        owners = {str(n.target).rpartition(".")[0] for n in (*sharing, changed) if _is_attribute(n)}
        readers = [f"the layer '{owner}', whose parameter it is," for owner in owners & layers]
        for other in sharing:
            if _is_read_after(node, other, position):
                readers.append(f"'{other.name}', which may share its memory,")
        if readers:
            raise ExportError(
                f"'{changed.name}' is changed in place by '{node.name}', and {readers[0]} is read "
                "later. Use export_module, or change a copy"
            )
        for reader in list(changed.users):
            if position[reader] > position[node]:
                reader.replace_input_with(changed, node)


def _write_back(module: nn.Module, graph: fx.Graph, values: dict[fx.Node, object]) -> None:
    """Read `x[:3].zero_()` as `x[:3] = zeros`: what changes a part of a tensor changes the tensor.

    The call gives a new part instead, which is assigned to where the part was read.
    """
    places: dict[fx.Node, tuple[Any, Any]] = {}  # of parts: the tensor, and which of it
    for node in list(graph.nodes):
        anew = _giving_anew(node)
        part = None if anew is None else changed_by(module, node)
        if part is None or anew is None:
            continue
        is_read = part.target is operator.getitem and _is_plain(part.args[1], values)
        given: Any = places.get(part, part.args if is_read else (None, None))
        whole, index = given
        if not isinstance(values.get(whole), TensorType):
            continue
        node.op, node.target = anew
        for reader in set(_behind(node)) & set(part.users):
            reader.replace_input_with(part, node)
        with graph.inserting_after(node):
            back = graph.call_function(assigned, (whole, index, node))
        back.meta, values[back] = dict(node.meta), values[whole]
        places[node] = whole, index
        mark_as_part(node)


def mark_as_part(node: fx.Node) -> None:
    """Note that a new tensor is assigned to the part of one that it was before: a view of it."""
    node.meta[_PART] = True


def _behind(node: fx.Node) -> Iterator[fx.Node]:
    while (node := node.next).op != "root":
        yield node


def _is_plain(index: object, values: Mapping[fx.Node, object]) -> bool:
    """Whether an index gives a view: numbers and slices, and no tensors or lists."""
    match index:
        case tuple():
            return all(_is_plain(each, values) for each in index)
        case slice():
            bounds = (index.start, index.stop, index.step)
            return all(each is None or _is_plain(each, values) for each in bounds)
        case fx.Node():
            return isinstance(values.get(index), int)
    return isinstance(index, int) or index is Ellipsis


def _giving_anew(node: fx.Node) -> tuple[str, Any] | None:
    """Return how to call what a call computes without changing its operand, if that is known."""
    if node.target in OPERATORS_IN_PLACE:
        return "call_function", out_of_place(node.target)
    if node.op != "call_method":
        return None
    name = str(node.target)
    if name in _FILLING:
        return "call_function", _FILLING[name]
    return ("call_method", name[:-1]) if name[:-1] in FUNCTIONS else None


def out_of_place(function: Any) -> Any:
    """Return the operator that gives a new tensor, of one that changes its operand."""
    return getattr(operator, f"__{function.__name__[1:]}__")


def leave_out_unread(module: nn.Module, graph: fx.Graph) -> None:
    """Erase calls whose results nobody reads, such as an auxiliary head in evaluation mode.

    What is not known stays: it may do more than give a result.
    """
    for node in reversed(list(graph.nodes)):
        is_known = node.op == "get_attr" or converter_of(module, node) is not None
        if is_known and not node.users:
            graph.erase_node(node)


class _Memory:
    """Which calls may give tensors that share memory."""

    def __init__(self) -> None:
        self._groups: dict[fx.Node, list[fx.Node]] = {}
        self._attributes: dict[str, fx.Node] = {}

    def add(self, node: fx.Node, lenders: Collection[fx.Node]) -> None:
        """Take note of a call, and of what it may give (a view of)."""
        self._groups.setdefault(node, [node])
        if _is_attribute(node):
            self._join(node, self._attributes.setdefault(str(node.target), node))
        for read in lenders:
            if read in self._groups:
                self._join(node, read)

    def sharing_with(self, node: fx.Node) -> list[fx.Node]:
        return self._groups[node]

    def _join(self, first: fx.Node, second: fx.Node) -> None:
        ours, theirs = self._groups[first], self._groups[second]
        if ours is theirs:
            return
        ours.extend(theirs)
        self._groups.update(dict.fromkeys(theirs, ours))


def _assigned_part(node: fx.Node) -> fx.Node | None:
    """Return what a call assigns, if that is the part itself, changed."""
    value = node.args[2] if node.target is assigned else None
    return value if isinstance(value, fx.Node) and _PART in value.meta else None


def _is_attribute(node: fx.Node) -> bool:
    return node.op == "get_attr"


def _is_read_after(node: fx.Node, other: fx.Node, position: "dict[fx.Node, int]") -> bool:
    return any(position[reader] > position[node] for reader in other.users)


def _lenders(module: nn.Module, node: fx.Node, changed: fx.Node | None) -> Collection[fx.Node]:
    """Return what a call may give (a view of): anything that it reads, if it is not known."""
    if node.target is assigned:
        return [used for used in (changed, _assigned_part(node)) if used is not None]
    converter = converter_of(module, node)
    if converter is None or (converter in VIEWS and changed is None):
        return node.all_input_nodes
    return () if changed is None else (changed,)


def changed_by(module: nn.Module, node: fx.Node) -> fx.Node | None:
    """Return what a call changes in place; None if nothing."""
    first = node.args[0] if node.args else node.kwargs.get("input")
    changed: object = None
    match node.op:
        case "call_module":
            is_changed = getattr(module.get_submodule(str(node.target)), "inplace", False)
            changed = first if is_changed else None
        case "call_method":
            changed = first if _ends_as_in_place(str(node.target)) else None
        case "call_function":
            changed = first if _function_changes(node) else node.kwargs.get("out")
    return changed if isinstance(changed, fx.Node) else None


def _function_changes(node: fx.Node) -> bool:
    function = node.target
    assert callable(function)
    if getattr(function, "__module__", "") == operator.add.__module__:
        return (
            function in OPERATORS_IN_PLACE
        )  # those of other names end in an underscore for Python's sake
    if function is assigned or _ends_as_in_place(getattr(function, "__name__", "")):
        return True
    try:
        bound = signature(function).bind(*node.args, **node.kwargs)
    except (TypeError, ValueError):  # built-in functions have no signature, nor an `inplace`
        return False
    return bool(bound.arguments.get("inplace", False))


def _ends_as_in_place(name: str) -> bool:
    return name.endswith("_") and not name.endswith("__")

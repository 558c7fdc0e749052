"""Calls that change a tensor in place, read as calls that give a new one.

After `nn.ReLU(inplace=True)`, `x += y` or `x.add_(y)`, whoever reads `x` reads what it was changed
to, by whatever name. In a graph nothing changes, so these readers get the call's result instead.
"""

import operator
from collections.abc import Collection
from inspect import signature

from torch import fx, nn

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.operators import VIEWS, converter_of
from niwaki.export.fast_path.operators.indexing import assigned

# `@=` is not among them: torch has no product in place, and Python makes a new tensor.
OPERATORS_IN_PLACE = (
    *(operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv),
    *(operator.imod, operator.ipow, operator.iand, operator.ior, operator.ixor),
    *(operator.ilshift, operator.irshift),
)


def read_changes(
    module: nn.Module,
    graph: fx.Graph,
    *,
    tensors: Collection[fx.Node],
    numbers: Collection[fx.Node],
) -> None:
    """Let readers of what was changed in place read the result of the call that changed it.

    Args:
        module: That was traced.
        graph: Its calls; changed in place.
        tensors: The calls that give one tensor: nothing else is changed in place.
        numbers: The calls that give no tensor, and share no memory with one.

    Raises:
        ExportError: If a view of what is changed, or what it is a view of, is read later, or a
            layer computes with it: names the call. If it is a buffer.
    """
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
        sharing = [other for other in memory.sharing_with(changed) if other not in (changed, node)]
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


def _is_attribute(node: fx.Node) -> bool:
    return node.op == "get_attr"


def _is_read_after(node: fx.Node, other: fx.Node, position: "dict[fx.Node, int]") -> bool:
    return any(position[reader] > position[node] for reader in other.users)


def _lenders(module: nn.Module, node: fx.Node, changed: fx.Node | None) -> Collection[fx.Node]:
    """Return what a call may give (a view of): anything that it reads, if it is not known."""
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

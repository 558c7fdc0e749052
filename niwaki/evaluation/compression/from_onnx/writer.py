"""The torch module that a file becomes: its layers, its weights, and the calls among them."""

import math
import re
from collections.abc import Callable
from functools import cache
from keyword import iskeyword
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import fx, nn

from niwaki.tasks.model_inputs import FLOAT, ModelInputs

_WEIGHT = re.compile(r"(?P<owner>[A-Za-z_]\w*(\.\w+)*)\.(?P<name>[A-Za-z_]\w*)")
VALUE = "onnx_value"  # where a node of a graph notes which value of the file it computes
_CONSTANTS = "constants"
_SCOPES = "namespace"  # what torch's exporter calls them in a node's metadata
_LAYERS = frozenset({"Linear", "LSTM", "GRU", "RNN"})  # of torch, with one product or recurrence


class ModuleWriter:
    """A graph of torch calls in the making.

    Layers are called as they were in torch wherever the file tells: after their weight,
    `encoder.0.weight`, or after the scopes that exporters note, such as in a node's name,
    `/encoder/encoder.0/Conv`.

    Args:
        inputs: Of the file.
    """

    def __init__(self, inputs: ModelInputs) -> None:
        self.root, self.graph = nn.Module(), fx.Graph()
        self.values: dict[str, fx.Node] = {}
        self._leaves: set[str] = set()
        self._shared: dict[object, str] = {}
        self._attributes: dict[str, str] = {}
        self._once: dict[object, fx.Node] = {}
        given = [self.graph.placeholder(f"input_{i}") for i in range(len(inputs))]
        self._first = given[0]
        for each, node in zip(inputs, given, strict=True):
            whole = "bool" if each.dtype == "bool" else "long"
            is_float = each.dtype == FLOAT
            self.values[each.name] = node if is_float else self.graph.call_method(whole, (node,))

    def once(self, what: object, call: Callable[[], fx.Node]) -> fx.Node:
        """Make a call for the first who asks for this; return it to all."""
        if what not in self._once:
            self._once[what] = call()
        return self._once[what]

    def batch_size(self) -> fx.Node:
        """Return the number of items."""
        return self.once("batch", lambda: self.graph.call_method("size", (self._first, 0)))

    def module(
        self, make: Callable[[], nn.Module], node: onnx.NodeProto, weight: str, shared: object
    ) -> str:
        """Add a module, or find the one that was added for the same; return its path."""
        if shared is not None and shared in self._shared:
            return self._shared[shared]
        named = _WEIGHT.fullmatch(weight)
        path = self._free(named["owner"] if named else path_of(node))
        *folders, name = path.split(".")
        self._folder(folders).add_module(name, make())
        self._leaves.add(path)
        if shared is not None:
            self._shared[shared] = path
        return path

    def attribute(self, name: str, values: NDArray[Any], *, trains: bool) -> fx.Node:
        """Return a tensor of the module; a parameter if it can be trained.

        Args:
            name: In the file.
            values: What it is; those that are not all finite, such as masks, stay as they are.
            trains: Whether it is a weight.
        """
        if name not in self._attributes:
            named = _WEIGHT.fullmatch(name)
            path = self._free(name if named else f"{_CONSTANTS}.{_plain(name)}")
            *folders, own = path.split(".")
            tensor = torch.from_numpy(np.array(values))
            owner = self._folder(folders)
            if trains and tensor.is_floating_point() and math.isfinite(float(tensor.abs().sum())):
                owner.register_parameter(own, nn.Parameter(tensor))
            else:
                owner.register_buffer(own, tensor)
            self._leaves.add(path)
            self._attributes[name] = path
        return self.graph.get_attr(self._attributes[name])

    def finished(self, outputs: dict[str, fx.Node]) -> fx.GraphModule:
        """Return the module; one output alone is a tensor, several are a mapping by name."""
        answer = outputs if len(outputs) > 1 else next(iter(outputs.values()))
        self.graph.output(answer)
        for name, node in self.values.items():
            node.meta.setdefault(VALUE, name)
        module = fx.GraphModule(self.root, self.graph, "OnnxModel")
        module.graph.eliminate_dead_code()
        module.delete_all_unused_submodules()
        module.graph.lint()
        module.recompile()
        module.eval()
        return module

    def _folder(self, path: list[str]) -> nn.Module:
        folder = self.root
        for name in path:
            if name not in folder._modules:
                folder.add_module(name, nn.Module())
            folder = folder.get_submodule(name)
        return folder

    def _free(self, path: str) -> str:
        """Return a path at which nothing is yet, the same or one like it."""
        names = [f"{n}_" if n in _taken() or iskeyword(n) else n for n in path.split(".")]
        blocked = any(".".join(names[:n]) in self._leaves for n in range(1, len(names)))
        names = ["_".join(names)] if blocked else names
        whole, number = ".".join(names), 1
        while whole in self._leaves or _is_there(self.root, whole):
            number += 1
            whole = f"{'.'.join(names)}_{number}"
        return whole


@cache
def _taken() -> frozenset[str]:
    """Return the names of what modules have already."""
    return frozenset(dir(fx.GraphModule(nn.Module(), fx.Graph())))


def path_of(node: onnx.NodeProto) -> str:
    """Return a path for what a node computes, by the scopes that the file has kept of torch."""
    noted = {each.key: each.value for each in node.metadata_props}.get(_SCOPES, "")
    scopes = [scope.partition(": ") for scope in noted.split("/") if scope]
    if len(scopes) > 1 and scopes[-2][0]:
        (outer, _, kind), (inner, *_) = scopes[-2:]
        is_layer = kind.rpartition(".")[2] in _LAYERS
        return ".".join(map(_plain, outer.split("."))) + ("" if is_layer else f".{_plain(inner)}")
    return _path_by_name(node)


def _path_by_name(node: onnx.NodeProto) -> str:
    """Return a path by a name such as `/encoder/encoder.0/Conv`."""
    scopes = [scope for scope in node.name.split("/") if scope]
    if len(scopes) > 1 and scopes[-1].startswith(node.op_type):
        scopes.pop()
    found: list[str] = []
    before = ""
    for scope in scopes or [node.op_type]:
        inner = scope.removeprefix(f"{before}.") if before else scope
        found += [_plain(name) for name in inner.split(".") if name]
        before = scope
    return ".".join(found)


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name) or "_"


def _is_there(root: nn.Module, path: str) -> bool:
    *folders, name = path.split(".")
    for folder in folders:
        if folder not in root._modules:
            return False
        root = root.get_submodule(folder)
    return any(name in kept for kept in (root._modules, root._parameters, root._buffers))

"""One node of a file, as its converter sees it; and the table of converters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import fx, nn

from niwaki.core.errors import ConfigError
from niwaki.evaluation.compression.from_onnx.known import BATCHES, Dim, Known
from niwaki.evaluation.compression.from_onnx.writer import ModuleWriter

Operand: TypeAlias = fx.Node | int | float | bool
Converter: TypeAlias = "Callable[[Call], fx.Node | Sequence[fx.Node]]"
C = TypeVar("C", bound=Converter)

OPERATORS: dict[str, Converter] = {}
"""By type of the node; each returns what its outputs are in torch."""


def operator_named(*names: str) -> Callable[[C], C]:
    """Register the converter of these operators."""

    def register(converter: C) -> C:
        OPERATORS.update(dict.fromkeys(names, converter))
        return converter

    return register


@dataclass(frozen=True, eq=False)
class Call:
    """A node whose answer depends on the input.

    Attributes:
        node: As it is in the file.
        known: Of its graph.
        writer: Of the module.
    """

    node: onnx.NodeProto
    known: Known
    writer: ModuleWriter

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return the value of an attribute; text as `str`."""
        for each in self.node.attribute:
            if each.name == name:
                value = onnx.helper.get_attribute_value(each)
                return value.decode() if isinstance(value, bytes) else value
        return default

    def has(self, index: int) -> bool:
        """Whether there is an input of this number."""
        return index < len(self.node.input) and bool(self.node.input[index])

    def is_data(self, index: int) -> bool:
        """Whether an input is computed from the input of the model."""
        return self.has(index) and self.node.input[index] in self.known.of_input

    def data(self, index: int = 0) -> fx.Node:
        """Return an input that is computed from that of the model."""
        if not self.is_data(index):
            raise self.refusal(f"its input {index} is a constant")
        return self.writer.values[self.node.input[index]]

    def shape(self, index: int = 0) -> tuple[Dim, ...]:
        """Return the sizes of an input."""
        return self.known.shape(self.node.input[index])

    def result_shape(self, index: int = 0) -> tuple[Dim, ...]:
        """Return the sizes of an output."""
        return self.known.shape(self.node.output[index])

    def rank(self, index: int = 0) -> int:
        """Return the number of axes of an input."""
        return len(self.shape(index))

    def axis(self, default: int) -> int:
        """Return the axis that the node works on, from the front."""
        return int(self.attribute("axis", default)) % max(self.rank(), 1)

    def is_float(self, index: int = 0) -> bool:
        """Whether an input is of real numbers."""
        return self.known.dtype(self.node.input[index]).kind == "f"

    def constant(self, index: int) -> NDArray[Any]:
        """Return an input that is the same whatever the inputs of the model are, and how many.

        Raises:
            ConfigError: If it is not.
        """
        self.require_given(index)
        name = self.node.input[index]
        first, second = self.known.values(name)
        if first.shape != second.shape or not np.array_equal(first, second, equal_nan=True):
            raise self.refusal(f"its input '{name}' goes by the size of the batch")
        return first

    def require_given(self, *indexes: int) -> None:
        """Check that inputs are not computed from the input of the model, such as sizes.

        Raises:
            ConfigError: If one is.
        """
        for index in indexes:
            if self.is_data(index):
                name = self.node.input[index]
                raise self.refusal(f"its input '{name}' is computed from the model's input")

    def optional(self, index: int) -> NDArray[Any] | None:
        """Return a constant input; None if there is none."""
        return self.constant(index) if self.has(index) else None

    def integers(self, name: str, index: int) -> list[int] | None:
        """Return integers that older files have as an attribute, and newer ones as an input."""
        if self.has(index):
            return [int(each) for each in np.atleast_1d(self.constant(index))]
        found = self.attribute(name)
        return None if found is None else [int(each) for each in np.atleast_1d(found)]

    def operand(self, index: int) -> Operand:
        """Return an input for arithmetic: constants of one value are numbers."""
        name = self.node.input[index]
        if name not in self.known.of_input:
            first, second = self.known.values(name)
            if first.size == 1 and np.array_equal(first, second, equal_nan=True):
                number: Operand = first.item()
                return number
        return self.tensor(index)

    def tensor(self, index: int) -> fx.Node:
        """Return an input as a tensor: of a weight, the parameter."""
        name = self.node.input[index]
        if name in self.known.of_input:
            return self.writer.values[name]
        first, second = self.known.values(name)
        trains = name in self.known.of_weights
        if first.shape == second.shape and np.array_equal(first, second, equal_nan=True):
            return self.writer.attribute(name, first, trains=trains)
        return self._for_each_item(name, first, second, trains=trains)

    def _for_each_item(
        self, name: str, first: NDArray[Any], second: NDArray[Any], *, trains: bool
    ) -> fx.Node:
        """Return a constant that is repeated for each item of the batch."""
        dims = self.known.shape(name)
        axes = [axis for axis, dim in enumerate(dims) if dim == BATCHES]
        if len(axes) == 1 and all(dim[0] == dim[1] for dim in dims if dim != BATCHES):
            one = first.take([0], axes[0])
            if np.array_equal(np.broadcast_to(one, second.shape), second, equal_nan=True):
                sizes: list[Any] = [-1] * len(dims)
                sizes[axes[0]] = self.writer.batch_size()
                kept = self.writer.attribute(name, one, trains=trains)
                return self.writer.graph.call_method("expand", (kept, *sizes))
        raise self.refusal(f"its input '{name}' goes by the size of the batch")

    def function(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> fx.Node:
        """Call a torch function."""
        return self.writer.graph.call_function(function, args, kwargs)

    def method(self, name: str, *args: Any, **kwargs: Any) -> fx.Node:
        """Call a method of a tensor."""
        return self.writer.graph.call_method(name, args, kwargs)

    def layer(
        self,
        make: Callable[[], nn.Module],
        *inputs: fx.Node,
        weight: int = -1,
        also: object = None,
    ) -> fx.Node:
        """Call a module; nodes that share their weights, and all else that makes it, share it.

        Args:
            make: Makes it.
            inputs: Of the call.
            weight: Number of the input that the layer is named after; by default, the node names
                it.
            also: What `make` goes by that is in no input or attribute of the node, to compare.
        """
        named = self.node.input[weight] if weight >= 0 else ""
        kept = [name for name in self.node.input if name and name not in self.known.of_input]
        shared: object = None
        if named:
            said = [each.SerializeToString() for each in self.node.attribute]
            shared = (self.node.op_type, *kept, *sorted(said), also)
        path = self.writer.module(make, self.node, named, shared)
        return self.writer.graph.call_module(path, inputs)

    def parameter(self, index: int) -> nn.Parameter:
        """Return a constant input as a parameter of a layer."""
        return nn.Parameter(as_torch(self.constant(index)))

    def refusal(self, reason: str) -> ConfigError:
        """Return the error that this node cannot be read."""
        return ConfigError(
            f"node '{self.node.name or self.node.output[0]}' ({self.node.op_type}) cannot be read: "
            f"{reason}"
        )

    def require(self, name: str, *allowed: Any) -> None:
        """Check that an attribute is one of a few values, the first of which is meant if absent."""
        value = self.attribute(name, allowed[0])
        if value not in allowed:
            raise self.refusal(f"'{name}' is {value!r}")


def as_torch(values: NDArray[Any]) -> torch.Tensor:
    """Return a copy of an array as a tensor."""
    return torch.from_numpy(np.array(values))

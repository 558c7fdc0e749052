"""Which operations run in int8 and which tensors are written as integers, for a given plan.

Between int8 layers lie operations that have no weights. They run in int8 where that keeps values
in integers from one int8 layer to the next, and in float where integers would have to be made for
them alone. So a float layer reads the float tensor whenever a float operation made it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import onnx

from niwaki.export.graph.index import GraphIndex
from niwaki.export.int8.layers import Layer, find_layers, trailing_activation

# They pick values and compute none, so their output keeps the integers of their input.
MOVING = (
    "Flatten",
    "MaxPool",
    "Reshape",
    "Resize",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
)
# The runtime has an integer kernel for each, for inputs and outputs with scales of their own.
_UNARY = ("AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid", "Softmax")
_BINARY = ("Add", "Mul")
JOINING = "Concat"
MEAN = "GlobalAveragePool"


@dataclass(frozen=True)
class Operation:
    """An operation without weights that can run in int8.

    Attributes:
        op: ONNX operator.
        nodes: Positions of its node, and of the activation behind it if there is one.
        inputs: The tensors it reads.
        outputs: The tensors it gives.
    """

    op: str
    nodes: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def moving(self) -> bool:
        """Whether it picks values and computes none."""
        return self.op in MOVING


@dataclass
class Regions:
    """What runs in int8.

    Attributes:
        layers: The layers that run in int8.
        operations: The operations without weights that run in int8.
    """

    layers: list[Layer]
    operations: list[Operation] = field(default_factory=list)

    @cached_property
    def produced(self) -> set[str]:
        """The tensors that integer kernels make: everyone reads them as integers."""
        made = {layer.output for layer in self.layers if layer.gives_integers}
        return made | {name for op in self.operations for name in op.outputs}

    @cached_property
    def quantized(self) -> set[str]:
        """The tensors that are written as integers; those not `produced` stay float besides."""
        read = {layer.input for layer in self.layers}
        return self.produced | read | {name for op in self.operations for name in op.inputs}

    @property
    def _units(self) -> list[Layer | Operation]:
        return [*self.layers, *self.operations]

    @cached_property
    def nodes(self) -> set[int]:
        """The positions of all nodes that run in int8."""
        return {i for unit in self._units for i in unit.nodes}


def int8_regions(index: GraphIndex, int8_layers: Iterable[str]) -> Regions:
    """Decide what runs in int8, given the layers that shall.

    Args:
        index: Of a float graph.
        int8_layers: Paths of layers of that graph.
    """
    asked = set(int8_layers)
    layers = [layer for layer in find_layers(index) if layer.path in asked]
    operations = find_operations(index)
    # An operation may have been wanted only by one that then stayed float: until nothing changes.
    while True:
        chosen = _grown(layers, operations)
        if len(chosen) == len(operations):
            return Regions(layers, chosen)
        operations = chosen


def find_operations(index: GraphIndex) -> list[Operation]:
    """Return all operations without weights that can run in int8, in the order of the graph."""
    return [op for i in range(len(index.nodes)) if (op := _operation(index, i)) is not None]


def _operation(index: GraphIndex, i: int) -> Operation | None:
    node = index.nodes[i]
    inputs, outputs = tuple(index.data_inputs(i)), tuple(node.output)
    if node.op_type == "Resize" and _mode(node) != "nearest":
        return None
    if node.op_type in (*MOVING, *_UNARY):
        computed = (node.input[0],) == inputs
        return Operation(node.op_type, (i,), inputs, outputs) if computed else None
    if node.op_type not in (*_BINARY, JOINING) or len(inputs) != len(node.input):
        return None
    activation = None if node.op_type == JOINING else trailing_activation(index, outputs[0])
    if activation is None:
        return Operation(node.op_type, (i,), inputs, outputs)
    return Operation(node.op_type, (i, activation), inputs, tuple(index.nodes[activation].output))


def _mode(resize: onnx.NodeProto) -> str:
    """Return how a Resize picks values; the runtime's integer one only picks the nearest."""
    return next((a.s.decode() for a in resize.attribute if a.name == "mode"), "nearest")


def _wanted(layers: list[Layer], operations: list[Operation]) -> set[str]:
    """Return the tensors that some int8 layer reads, perhaps through such operations."""
    wanted = {layer.input for layer in layers}
    for operation in reversed(operations):
        if wanted.intersection(operation.outputs):
            wanted.update(operation.inputs)
    return wanted


def _grown(layers: list[Layer], operations: list[Operation]) -> list[Operation]:
    """Follow the integers forward, and return the operations that should stay in them."""
    wanted = _wanted(layers, operations)
    made = {layer.output for layer in layers if layer.gives_integers}
    read = {layer.input for layer in layers}
    chosen: list[Operation] = []
    for operation in operations:
        if _pays(operation, wanted, made, read):
            chosen.append(operation)
            made.update(operation.outputs)
    return chosen


def _pays(operation: Operation, wanted: set[str], made: set[str], read: set[str]) -> bool:
    """Whether an operation should run in int8.

    Args:
        operation: That can.
        wanted: Tensors that an int8 layer reads, perhaps through such operations.
        made: Tensors that integer kernels make.
        read: Tensors that int8 layers read: they are written as integers anyhow.
    """
    from_integers = made.intersection(operation.inputs)
    into_integers = wanted.intersection(operation.outputs)
    if operation.op == "MaxPool":
        # It leaves fewer values to turn to float, and exactly the same ones.
        return bool(from_integers)
    if operation.op == "Resize":
        # It multiplies values: cheaper to turn them to integers before.
        return bool(into_integers)
    if operation.op in _BINARY:
        known = all(name in made or name in read for name in operation.inputs)
        return bool(into_integers and from_integers and known)
    return bool(into_integers and from_integers)

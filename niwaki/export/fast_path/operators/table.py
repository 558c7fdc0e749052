"""The table of operator converters: what the fast path can write, looked up by what is called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from niwaki.core.errors import ExportError
from niwaki.export.graph.writer import GraphWriter, Shape, Tensor


@dataclass(frozen=True)
class Call:
    """One call of the traced module, and the graph it is written to.

    Attributes:
        writer: The graph being written.
        path: Qualified path of the called layer, or of the operation in its module.
        shapes: Shape of each tensor that the call returns, in tuples or not.
        norm: The batch norm that is to be folded into the layer, if one is.
    """

    writer: GraphWriter
    path: str
    shapes: tuple[Shape, ...]
    norm: nn.Module | None = None

    @property
    def shape(self) -> Shape:
        """Shape of the one tensor that the call returns."""
        (shape,) = self.shapes
        return shape

    def unsupported(self, reason: str) -> ExportError:
        """Return the error to raise when this call cannot be written."""
        return ExportError(
            f"layer '{self.path}' cannot be written by the fast path: {reason}. "
            "Use export_module, or replace the operation"
        )


# What the call returns: tensors in tuples as torch returns them.
Converter = Callable[..., Tensor | Sequence[Tensor | Sequence[Tensor]]]
C = TypeVar("C", bound=Converter)

# Modules by class; functions by themselves; tensor methods by name.
MODULES: dict[type[nn.Module], Converter] = {}
FUNCTIONS: dict[Callable[..., Any] | str, Converter] = {}
# Converters of what may return its input, or a view of it.
VIEWS: set[Converter] = set()


def module_converter(*kinds: type[nn.Module]) -> Callable[[C], C]:
    """Register `convert(call, module, *inputs)` for module classes."""

    def register(converter: C) -> C:
        MODULES.update(dict.fromkeys(kinds, converter))
        return converter

    return register


def function_converter(*targets: Callable[..., Any] | str) -> Callable[[C], C]:
    """Register `convert(call, *args, **kwargs)` for functions, and for tensor methods by name.

    The converter takes the arguments that the torch function takes, by the same names.
    """

    def register(converter: C) -> C:
        FUNCTIONS.update(dict.fromkeys(targets, converter))
        return converter

    return register


def gives_views(converter: C) -> C:
    """Mark the converter of what may return its input, or a view of it."""
    VIEWS.add(converter)
    return converter


def converter_of(module: nn.Module, node: fx.Node) -> Converter | None:
    """Return the converter of a call that was traced; None if there is none."""
    if node.op == "call_module":
        return MODULES.get(type(module.get_submodule(str(node.target))))
    if node.op in ("call_function", "call_method"):
        return FUNCTIONS.get(node.target)
    return None


def to_numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    """Return a parameter as float32."""
    values: NDArray[np.float32] = tensor.detach().cpu().to(torch.float32).numpy()
    return values


def as_tensor(call: Call, value: object, like: Tensor) -> Tensor:
    """Return `value` as a tensor: itself, or a constant scalar.

    Args:
        call: For the constant's name.
        value: A tensor of the graph or a number.
        like: Decides nothing but the error: the tensor that `value` is combined with.

    Raises:
        ExportError: If it is neither, such as a number that grows with the batch.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, int | float):
        return Tensor(call.writer.scalar(f"{call.path}.value", float(value)), ())
    raise call.unsupported(f"'{like.name}' is combined with a value that is {value!r}")

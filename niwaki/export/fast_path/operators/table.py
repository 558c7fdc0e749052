"""The table of operator converters: what the fast path can write, looked up by what is called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import helper
from torch import fx, nn

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.folding import Affine
from niwaki.export.graph.writer import FLOAT, GraphWriter, Shape, Tensor, TensorType


@dataclass(frozen=True)
class Call:
    """One call of the traced module, and the graph it is written to.

    Attributes:
        writer: The graph being written.
        path: Qualified path of the called layer, or of the operation in its module.
        results: Each tensor that the call returns, in tuples or not.
        behind: What is to be folded into the layer, if anything is.
    """

    writer: GraphWriter
    path: str
    results: tuple[TensorType, ...]
    behind: Affine | None = None

    @property
    def shapes(self) -> list[Shape]:
        """Shape of each tensor that the call returns."""
        return [result.dims for result in self.results]

    @property
    def shape(self) -> Shape:
        """Shape of the one tensor that the call returns."""
        (result,) = self.results
        return result.dims

    @property
    def dtype(self) -> str:
        """Type of the one tensor that the call returns."""
        (result,) = self.results
        return result.dtype

    def unsupported(self, reason: str) -> ExportError:
        """Return the error to raise when this call cannot be written."""
        return ExportError(
            f"layer '{self.path}' cannot be written by the fast path: {reason}. "
            "Use export_module, or replace the operation"
        )


_REALS = (FLOAT, "float64", "float16", "bfloat16")

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


def alike(dtype: str, other: str) -> bool:
    """Whether numbers of two types are the same in a graph, which holds reals in float32 alone."""
    return held_as(dtype) == held_as(other)


def held_as(dtype: str) -> str:
    """Return the type in which a graph holds numbers of a type."""
    return FLOAT if dtype in _REALS else dtype


def to_numpy(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a parameter as a graph holds it: reals in float32."""
    plain = tensor.detach().cpu()
    values: NDArray[Any] = (plain.float() if plain.is_floating_point() else plain).numpy()
    return values


def spread(value: int | Sequence[int], n_axes: int) -> list[int]:
    """Return one number for each axis, where torch takes one for all."""
    sizes = [value] if isinstance(value, int) else [int(each) for each in value]
    return sizes * n_axes if len(sizes) == 1 else sizes


def values_of(call: Call, constant: Tensor | None) -> torch.Tensor | None:
    """Return the values of a constant of the graph, if there is one."""
    if constant is None:
        return None
    return torch.from_numpy(call.writer.values(constant.name).copy())


def as_tensor(call: Call, value: object, dtype: str) -> Tensor:
    """Return a tensor of the graph, or a number as a constant, in a type.

    Raises:
        ExportError: If it is neither, such as a number that grows with the batch.
    """
    if isinstance(value, Tensor):
        return in_type(call, value, dtype)
    if isinstance(value, int | float):
        held = held_as(dtype)
        return Tensor(call.writer.scalar(f"{call.path}.value", value, held), (), held)
    raise call.unsupported(f"a tensor is combined with a value that is {value!r}")


def in_type(call: Call, x: Tensor, dtype: str) -> Tensor:
    """Return a tensor in a type, with Cast if it is in another."""
    if alike(x.dtype, dtype):
        return x
    held = held_as(dtype)
    to = helper.np_dtype_to_tensor_dtype(np.dtype(held))
    return call.writer.node("Cast", [x], x.shape, name=f"{call.path}.{held}", to=to)

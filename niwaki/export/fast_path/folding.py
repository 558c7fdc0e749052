"""What may be folded into the layer before it: batch norms, constant factors and summands."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, fx, nn

from niwaki.export.graph.writer import TensorType

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
LAYERS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
_FUNCTIONS: tuple[Any, ...] = (
    *(F.conv1d, F.conv2d, F.conv3d, F.linear),
    *(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
)
_LINEAR: tuple[Any, ...] = (nn.Linear, F.linear)
_PRODUCTS: tuple[Any, ...] = (operator.mul, operator.imul, torch.mul, "mul", "mul_")
_SUMS: tuple[Any, ...] = (operator.add, operator.iadd, torch.add, "add", "add_")
_DIFFERENCES: tuple[Any, ...] = (operator.sub, operator.isub, torch.sub, "sub", "sub_")
_BY_CONSTANTS = (*_PRODUCTS, *_SUMS, *_DIFFERENCES)
# They change how a parameter is laid out, and none of its numbers.
_LAYOUTS = ("view", "reshape", "unsqueeze")


@dataclass(frozen=True)
class Affine:
    """A scale and a shift for each channel that a layer gives: scale * x + shift.

    Attributes:
        scale: (C_out,), or () where all are alike.
        shift: (C_out,), or () where all are alike; None where there is none.
    """

    scale: Tensor
    shift: Tensor | None

    def then(self, after: "Affine") -> "Affine":
        """Return both, one after the other."""
        shift = None if self.shift is None else self.shift * after.scale
        if after.shift is not None:
            shift = after.shift if shift is None else shift + after.shift
        return Affine(self.scale * after.scale, shift)

    def folded(
        self, weight: Tensor, bias: Tensor | None, *, groups: int | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the weight and bias of a layer that does both.

        Args:
            weight: (C_out, C_in / groups, ...), or of a transposed convolution (C_in, C_out /
                groups, ...).
            bias: (C_out,), if the layer has one.
            groups: Of a transposed convolution; None for all other layers.
        """
        moved = None if bias is None else bias * self.scale
        if self.shift is not None:
            n_outputs = weight.shape[0] if groups is None else weight.shape[1] * groups
            shift = self.shift.expand(n_outputs)
            moved = shift if moved is None else moved + shift
        return weight * _along_outputs(self.scale, weight, groups), moved


def _along_outputs(scale: Tensor, weight: Tensor, groups: int | None) -> Tensor:
    spatial: Sequence[int] = [1] * (weight.ndim - 2)
    if not scale.ndim:
        return scale
    if groups is None:
        return scale.reshape(-1, 1, *spatial)
    per_group = scale.reshape(groups, 1, -1).expand(-1, weight.shape[0] // groups, -1)
    return per_group.reshape(weight.shape[0], -1, *spatial)


Read = Callable[[Tensor], Tensor]
"""How parameters are taken: as they are, so that gradients reach them, or in another type."""


def in_double(values: Tensor) -> Tensor:
    """Return numbers in float64, on the CPU, without gradients."""
    return values.detach().double().cpu()


def affine_of(root: nn.Module, calls: Sequence[fx.Node], read: Read = lambda x: x) -> Affine | None:
    """Return what calls do one after the other; None if there are none, or one does more.

    Args:
        root: The traced module.
        calls: Of batch norms with statistics of their own, and of products and sums with constants.
        read: How parameters and buffers are taken.
    """
    total: Affine | None = None
    for call in calls:
        found = _batch_norm(root, call, read) or _by_constant(root, call, read)
        if found is None:
            return None
        total = found if total is None else total.then(found)
    return total


def foldable(
    root: nn.Module,
    nodes: Sequence[fx.Node],
    values: Mapping[fx.Node, object],
    constants: Mapping[fx.Node, object],
) -> dict[fx.Node, tuple[fx.Node, ...]]:
    """Return the calls to fold, in their order, by the layer that they are folded into.

    Args:
        root: The traced module.
        nodes: Its calls.
        values: What is known of what each gives.
        constants: What calls give that read no input.
    """
    found: dict[fx.Node, tuple[fx.Node, ...]] = {}
    layer_of: dict[fx.Node, fx.Node] = {}
    for node in nodes:
        source = _scaled(node, constants)
        if source is None or len(source.users) != 1 or node.op in ("placeholder", "output"):
            continue
        layer = layer_of.get(source, source)
        if not _takes_scales(root, layer, values, constants) or affine_of(root, [node]) is None:
            continue
        if _is_by_channel(root, node, layer, values, constants):
            found[layer] = (*found.get(layer, ()), node)
            layer_of[node] = layer
    return found


def _scaled(node: fx.Node, constants: Mapping[fx.Node, object]) -> fx.Node | None:
    """Return what a norm, or a product or sum with a constant, is of."""
    for given in node.args:
        if isinstance(given, fx.Node) and given not in constants:
            return given
    return None


def _kind(root: nn.Module, node: fx.Node) -> Any:
    return type(root.get_submodule(str(node.target))) if node.op == "call_module" else node.target


def _takes_scales(
    root: nn.Module,
    layer: fx.Node,
    values: Mapping[fx.Node, object],
    constants: Mapping[fx.Node, object],
) -> bool:
    """Whether a call is of a layer with constant weights."""
    if _kind(root, layer) not in (*LAYERS, *_FUNCTIONS) or not layer.args:
        return False
    others = [used for used in layer.all_input_nodes if used is not layer.args[0]]
    is_tensor = isinstance(values.get(layer), TensorType)
    return is_tensor and all(used in constants for used in others)


def _is_by_channel(
    root: nn.Module,
    node: fx.Node,
    layer: fx.Node,
    values: Mapping[fx.Node, object],
    constants: Mapping[fx.Node, object],
) -> bool:
    """Whether a norm, factor or summand is one for each channel that the layer gives.

    A linear layer on images works along their rows, and a batch norm across their channels.
    """
    given, is_linear = values[layer], _kind(root, layer) in _LINEAR
    assert isinstance(given, TensorType)
    if values[node] != given:
        return False
    if _kind(root, node) not in _BY_CONSTANTS:
        return not is_linear or len(given.dims) == 2
    channels = -1 if is_linear else 1 - len(given.dims)
    given_too = [constants[each] for each in node.args if each in constants]  # type: ignore[index]
    return all(_varies_along(each, channels) for each in given_too)


def _varies_along(constant: object, axis: int) -> bool:
    """Whether a tensor has one number for each place of an axis, counted from the last, or one."""
    if not isinstance(constant, Tensor) or not constant.is_floating_point():
        return False
    places = range(-constant.ndim, 0)
    return all(n == 1 or at == axis for at, n in zip(places, constant.shape, strict=True))


def _by_constant(root: nn.Module, node: fx.Node, read: Read) -> Affine | None:
    """Return what a product or sum with a number, or with a parameter, does."""
    if node.target not in _BY_CONSTANTS or len(node.args) != 2 or node.kwargs:
        return None
    is_difference = node.target in _DIFFERENCES
    found = _constant(root, node.args[1:] if is_difference else node.args, read)
    if found is None:
        return None
    if node.target in _PRODUCTS:
        return Affine(found, None)
    return Affine(found.new_ones(()), -found if is_difference else found)


def _constant(root: nn.Module, arguments: Sequence[Any], read: Read) -> Tensor | None:
    """Return the first number or parameter among arguments, () or (C,)."""
    for given in arguments:
        if isinstance(given, int | float) and not isinstance(given, bool):
            return read(torch.tensor(float(given)))
        while isinstance(given, fx.Node) and given.op == "call_method":
            if given.target not in _LAYOUTS:
                break
            given = given.args[0]
        if (parameter := _attribute(root, given)) is not None and parameter.is_floating_point():
            return read(parameter).reshape(-1)
    return None


def _batch_norm(root: nn.Module, node: fx.Node, read: Read) -> Affine | None:
    """Return what a batch norm does; None if a call is of none, or of one of its batch's own."""
    if node.op == "call_module":
        module: Any = root.get_submodule(str(node.target))
        if type(module) not in _NORMS:
            return None
        tensors: tuple[Tensor | None, ...] = (
            *(module.running_mean, module.running_var),
            *(module.weight, module.bias),
        )
        eps = module.eps
    elif node.target is F.batch_norm:
        given = signature(F.batch_norm).bind(*node.args, **node.kwargs)
        given.apply_defaults()
        _, *parts, training, _, eps = given.arguments.values()
        tensors = tuple(_attribute(root, part) for part in parts)
        lost = any(a is None and b is not None for a, b in zip(tensors, parts, strict=True))
        if training or lost:
            return None
    else:
        return None
    mean, variance, weight, bias = (None if each is None else read(each) for each in tensors)
    if mean is None or variance is None:
        return None
    scale = torch.rsqrt(variance + eps)
    scale = scale if weight is None else scale * weight
    return Affine(scale, -mean * scale if bias is None else bias - mean * scale)


def _attribute(root: nn.Module, value: object) -> Tensor | None:
    """Return the parameter or buffer that is read; None if it is anything else."""
    if not isinstance(value, fx.Node) or value.op != "get_attr":
        return None
    owner, _, name = str(value.target).rpartition(".")
    found = getattr(root.get_submodule(owner), name)
    return found if isinstance(found, Tensor) else None

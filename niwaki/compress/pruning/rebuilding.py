"""From a model and a plan to a smaller model."""

from collections import defaultdict
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from niwaki.compress.pruning.copying import copied, own_tensors
from niwaki.compress.pruning.layer_attributes import refresh_sizes
from niwaki.compress.pruning.model_calls import let_forget
from niwaki.compress.pruning.plan import AttributeChange, Cut, PruningPlan
from niwaki.core.errors import SpaceError
from niwaki.core.registry import nearest

M = TypeVar("M", bound=nn.Module)


def apply_plan(module: M, plan: PruningPlan) -> M:
    """Return a smaller copy of a model; the model given is not touched, whatever happens.

    Tied parameters stay tied, frozen ones stay frozen, all keep their class and what was noted on
    them (`no_decay`), and the mode (training or evaluation) of every module stays.

    Args:
        module: The model that the plan was made for, or another checkpoint of it.
        plan: What to remove.

    Returns:
        A model of the same class with smaller parameters. Gradients and optimiser states are gone.

    Raises:
        SpaceError: If the plan does not fit the model.
    """
    check_fits(module, plan)
    cut_tensors = _cut_tensors(module, plan.cuts)
    smaller = copied(module, replaced=cut_tensors)
    for change in plan.attributes:
        _set_attribute(smaller, change)
    changed = {id(tensor) for tensor in cut_tensors.values()}
    for child in smaller.modules():
        if any(id(tensor) in changed for tensor in own_tensors(child)):
            refresh_sizes(child)
    let_forget(smaller)
    return smaller


def check_fits(module: nn.Module, plan: PruningPlan) -> None:
    """Check that the plan speaks of this model.

    Raises:
        SpaceError: On the first parameter, size or attribute that the model does not have.
    """
    tensors = _tensors(module)
    for cut in plan.cuts:
        if cut.tensor not in tensors:
            raise SpaceError(
                f"the pruning plan cuts '{cut.tensor}', which the model does not have"
                f"{nearest(cut.tensor, list(tensors))} It must be the model that was analysed"
            )
        shape = tensors[cut.tensor].shape
        if cut.dim >= len(shape) or shape[cut.dim] != cut.size:
            raise SpaceError(
                f"the pruning plan was made for '{cut.tensor}' with {cut.size} indices along "
                f"dimension {cut.dim}, but its shape is {tuple(shape)}: it must be the model that "
                "was analysed, before it was pruned"
            )
        if len(cut.removed) >= cut.size:
            raise SpaceError(f"the pruning plan would leave nothing of '{cut.tensor}'")
    for change in plan.attributes:
        found = _read_attribute(module, change.name)
        if found != change.before:
            raise SpaceError(
                f"the pruning plan was made for a model where {change.name} is {change.before}, "
                f"but here it is {found}"
            )


def kept_indices(cut: Cut) -> Tensor:
    """Return the ascending indices that stay."""
    return torch.from_numpy(np.delete(np.arange(cut.size), cut.removed))


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _cut_tensors(module: nn.Module, cuts: tuple[Cut, ...]) -> dict[int, Tensor]:
    """Return the smaller tensors by identity of what they replace."""
    by_tensor: dict[str, list[Cut]] = defaultdict(list)
    for cut in cuts:
        by_tensor[cut.tensor].append(cut)
    tensors = _tensors(module)
    smaller: dict[int, Tensor] = {}
    for name, mine in by_tensor.items():
        old = tensors[name]
        data = old.detach()
        for cut in mine:
            data = data.index_select(cut.dim, kept_indices(cut).to(data.device))
        form = _memory_format(old)
        data = data.contiguous(memory_format=form) if form else data.contiguous()
        smaller[id(old)] = _parameter(data, old) if isinstance(old, nn.Parameter) else data
    return smaller


def _parameter(data: Tensor, like: nn.Parameter) -> nn.Parameter:
    """Return a parameter of the same class; other tensors may pass for parameters, too."""
    kind: type[nn.Parameter] = type(like) if nn.Parameter in type(like).__mro__ else nn.Parameter
    smaller = data.as_subclass(kind)
    smaller.requires_grad_(like.requires_grad)
    return smaller


def _memory_format(tensor: Tensor) -> torch.memory_format | None:
    if tensor.ndim == 4 and not tensor.is_contiguous():
        return torch.channels_last
    return None


def _parts(name: str) -> tuple[str, str, tuple[int, ...]]:
    """Return the module, its attribute, and the way into that: `m:sizes[1][0]` goes by 1 and 0."""
    path, _, attribute = name.partition(":")
    attribute, *positions = attribute.split("[")
    return path, attribute, tuple(int(position.rstrip("]")) for position in positions)


def _read_attribute(module: nn.Module, name: str) -> object:
    path, attribute, positions = _parts(name)
    try:
        value = vars(module.get_submodule(path))[attribute]
        for position in positions:
            value = value[position]
        return value
    except (AttributeError, KeyError, IndexError, TypeError):
        return None


def _set_attribute(module: nn.Module, change: AttributeChange) -> None:
    path, attribute, positions = _parts(change.name)
    child = module.get_submodule(path)
    child.__dict__[attribute] = _changed(child.__dict__[attribute], positions, change.after)


def _changed(value: Any, positions: tuple[int, ...], after: int) -> Any:
    """Return nested tuples and lists with another number in one place."""
    if not positions:
        return after
    items = list(value)
    items[positions[0]] = _changed(items[positions[0]], positions[1:], after)
    return type(value)(items)

"""Copies of models, also of those that hold what cannot be copied."""

import copy
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn

_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)
M = TypeVar("M", bound=nn.Module)


def copied(module: M, *, replaced: Mapping[int, Tensor] | None = None) -> M:
    """Return a deep copy that shares nothing with `module` that can be copied.

    `copy.deepcopy` refuses tensors that were computed under autograd, which some models keep as
    caches; those are copied without their history. It loses what was noted on parameters, such as
    `weight.no_decay = True`; that is kept, but for tensors. Attributes that cannot be copied at
    all, such as locks and open files, are shared. Gradients are not copied.

    Args:
        module: Any model.
        replaced: What the copy has in place of tensors, by their id: these are not copied.
    """
    memo: dict[int, Any] = {}
    for child in module.modules():
        for value in vars(child).values():
            if type(value) is OrderedDict and not value:
                memo[id(value)] = OrderedDict()  # for hooks: most of what a copy would take
            for tensor in _computed(value):
                memo[id(tensor)] = tensor.detach().clone()
    for parameter in module.parameters():
        if parameter.is_leaf and parameter.grad is not None:
            memo[id(parameter.grad)] = None
    memo |= replaced or {}
    known = dict(memo)
    with torch.no_grad():  # scripted modules copy their parameters by a function of torch
        try:
            found = copy.deepcopy(module, known)
        except Exception:  # of the model's attributes, which may raise anything
            shared = _not_to_be_copied(module, memo)
            if not shared:
                raise
            known = {**memo, **shared}
            found = copy.deepcopy(module, known)
    for old, new in zip(module.modules(), found.modules(), strict=True):
        if isinstance(old, torch.jit.ScriptModule):
            for name, parameter in new.named_parameters(recurse=False):
                parameter.requires_grad_(getattr(old, name).requires_grad)
            continue
        if isinstance(old, fx.GraphModule):  # whose copies lack them
            hooks = {name: table for name, table in vars(old).items() if name in _HOOKS}
            vars(new).update(copy.deepcopy(hooks, known))
        for before, after in zip(own_tensors(old), own_tensors(new), strict=True):
            _note_again(before, after, known)
    return found


def own_tensors(module: nn.Module) -> list[Tensor]:
    """Return the parameters and buffers of a module, without those of the modules inside of it."""
    return [*module.parameters(recurse=False), *module.buffers(recurse=False)]


def _note_again(before: Tensor, after: Tensor, memo: dict[int, Any]) -> None:
    """Give a copy of a tensor the attributes that it lacks, but for tensors: sizes may differ."""
    for name, value in vars(before).items():
        if name not in vars(after) and not isinstance(value, Tensor):
            is_copied = _is_copied(value, memo)
            setattr(after, name, copy.deepcopy(value, memo) if is_copied else value)


def _computed(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [] if value.is_leaf else [value]
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in _computed(item)]
    if isinstance(value, tuple | list):
        return [tensor for item in value for tensor in _computed(item)]
    return []


def _not_to_be_copied(module: nn.Module, memo: Mapping[int, Any]) -> dict[int, Any]:
    """Return the attributes of modules that do not bear being copied, by id."""
    shared: dict[int, Any] = {}
    own = {id(part) for child in module.modules() for part in (child, *child.parameters())}
    for child in module.modules():
        for name, value in vars(child).items():
            if name in ("_parameters", "_buffers", "_modules") or id(value) in own:
                continue
            if not isinstance(value, torch.nn.Module) and not _is_copied(value, memo):
                shared[id(value)] = value
    return shared


def _is_copied(value: object, memo: Mapping[int, Any]) -> bool:
    try:
        copy.deepcopy(value, dict(memo))
    except Exception:  # of anybody's class, which may raise anything
        return False
    return True

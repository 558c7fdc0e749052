"""Copies of models, also of those that hold results of earlier passes."""

import copy
from typing import Any, TypeVar

from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


def copied(module: M) -> M:
    """Return a deep copy that shares nothing with `module`.

    `copy.deepcopy` refuses tensors that were computed under autograd, which some models keep as
    caches; those are copied without their history. Gradients are not copied.
    """
    memo: dict[int, Any] = {}
    for child in module.modules():
        for value in vars(child).values():
            for tensor in _computed(value):
                memo[id(tensor)] = tensor.detach().clone()
    for parameter in module.parameters():
        if parameter.grad is not None:
            memo[id(parameter.grad)] = None
    return copy.deepcopy(module, memo)


def _computed(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [] if value.is_leaf else [value]
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in _computed(item)]
    if isinstance(value, tuple | list):
        return [tensor for item in value for tensor in _computed(item)]
    return []

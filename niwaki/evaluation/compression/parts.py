"""Which parts of a model can be exported where the whole cannot."""

from typing import Any

import torch
from torch import nn

from niwaki.core.errors import ExportError
from niwaki.export.fx_graph import build_graph


def exportable_parts(module: nn.Module, inputs: torch.Tensor) -> tuple[str, ...]:
    """Return the paths of the largest parts of a model that can be written by themselves.

    Args:
        module: In evaluation mode.
        inputs: That it takes.
    """
    shapes = _shapes(module, inputs)
    found: list[str] = []
    for path, part in module.named_modules():  # outer ones first
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if path in shapes and not inside and _has_weights(part) and _is_written(part, shapes[path]):
            found.append(path)
    return tuple(found)


def _shapes(module: nn.Module, inputs: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each part gets, for those that get one tensor."""
    shapes: dict[str, tuple[int, ...]] = {}

    def noting(path: str) -> Any:
        def note(_: nn.Module, given: tuple[Any, ...]) -> None:
            if len(given) == 1 and isinstance(given[0], torch.Tensor):
                shapes[path] = tuple(given[0].shape)

        return note

    parts = [(path, part) for path, part in module.named_modules() if path]
    handles = [part.register_forward_pre_hook(noting(path)) for path, part in parts]
    try:
        with torch.no_grad():
            module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return shapes


def _has_weights(part: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in part.parameters())


def _is_written(part: nn.Module, shape: tuple[int, ...]) -> bool:
    try:
        build_graph(nn.Sequential(part).eval(), [shape])
    except ExportError:
        return False
    return True

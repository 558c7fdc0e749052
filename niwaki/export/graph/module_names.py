"""Names of a module's parts where one has several: the first counts, as on the fast path."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import nn

Part = TypeVar("Part")


@dataclass(frozen=True)
class ModuleNames:
    """What the parts of a module are called.

    A block may be in a list three times, and two layers may have one weight.

    Attributes:
        modules: First path of each module, by each of its paths.
        parameters: First name of each parameter and buffer, by each of its names.
        owners: First paths of the modules that have a parameter or buffer, by its first name.
        copies: First names of parameters, by constants of a graph that are copies of them,
            transposed or not.
    """

    modules: Mapping[str, str]
    parameters: Mapping[str, str]
    owners: Mapping[str, tuple[str, ...]]
    copies: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, module: nn.Module) -> "ModuleNames":
        """Return the names of a module's parts."""
        parameters = _first_names(_tensors(module))
        owners: dict[str, list[str]] = {}
        for path, child in module.named_modules():
            for name, _ in _tensors(child, path, recurse=False):
                owners.setdefault(parameters[name], []).append(path)
        return cls(
            _first_names(module.named_modules(remove_duplicate=False)),
            parameters,
            {name: tuple(paths) for name, paths in owners.items()},
        )


def _tensors(
    module: nn.Module, path: str = "", *, recurse: bool = True
) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters(path, recurse, remove_duplicate=False)
    yield from module.named_buffers(path, recurse, remove_duplicate=False)


def _first_names(named: Iterable[tuple[str, Part]]) -> dict[str, str]:
    first: dict[int, str] = {}
    return {name: first.setdefault(id(part), name) for name, part in named}

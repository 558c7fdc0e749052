"""What every criterion can do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from niwaki.compress.pruning.groups import ChannelGroup, ChannelGroups, Member

Scores = NDArray[np.float64]


class Criterion(ABC):
    """Says how much each unit of a channel group matters; the lowest go first."""

    @abstractmethod
    def score(self, module: nn.Module, group: ChannelGroup) -> Scores:
        """Return (n_units,) finite scores, larger where a unit matters more.

        Scores compare within a group. Between groups they compare after `normalised`.

        Args:
            module: The model that the group was found in, or another checkpoint of it.
            group: One of its groups.
        """


def score_groups(
    criterion: Criterion, module: nn.Module, groups: ChannelGroups
) -> Mapping[str, Scores]:
    """Return the scores of all groups, by name."""
    return {group.name: criterion.score(module, group) for group in groups.groups}


def unit_slices(
    module: nn.Module, member: Member, *, of: Mapping[str, Tensor] | None = None
) -> Tensor:
    """Return (n_units, n) float64 values of a parameter, one row for each unit.

    Args:
        module: The model.
        member: A parameter or buffer of a group.
        of: Tensors to slice in place of the parameters themselves, by the same names.
    """
    tensor = named_tensor(module, member.owner) if of is None else of[member.owner]
    return unit_rows(tensor, member).double().cpu()


def unit_rows(tensor: Tensor, member: Member) -> Tensor:
    """Return (n_units, n) values of a tensor, one row for each unit, as they are.

    Args:
        tensor: Of the member's parameter or buffer, or of its shape.
        member: Of a group.
    """
    # Nothing but the units' own is copied: a tensor may have members in as many groups as there
    # are layers before it.
    values = tensor.detach().movedim(member.dim, 0)
    index = torch.from_numpy(np.ascontiguousarray(member.indices)).to(values.device)
    return values[index.reshape(-1)].reshape(len(index), -1)


def named_tensor(module: nn.Module, name: str) -> Tensor:
    """Return a parameter or buffer by its name, without a walk through the whole module."""
    path, _, own_name = name.rpartition(".")
    tensor: Tensor = getattr(module.get_submodule(path), own_name)
    return tensor

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
    tensors = of if of is not None else named_tensors_of(module)
    values = tensors[member.owner].detach().double().cpu().movedim(member.dim, 0)
    index = torch.from_numpy(np.ascontiguousarray(member.indices))
    return values[index.reshape(-1)].reshape(len(index), -1)


def named_tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}

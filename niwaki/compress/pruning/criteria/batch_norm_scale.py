"""Scale of the normalisation behind a channel."""

import numpy as np
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from niwaki.compress.pruning.criteria.base import Criterion, Scores, unit_slices
from niwaki.compress.pruning.criteria.l1 import L1
from niwaki.compress.pruning.groups import ChannelGroup

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


class BatchNormScale(Criterion):
    """Absolute scale of a unit in the normalisations of its group, averaged over them.

    Args:
        otherwise: For groups without a normalisation; `L1` if None. Scores of the two compare only
            after they were normalised group by group.

    References:
        Liu et al., ICCV 2017, "Learning efficient convolutional networks through network slimming".
    """

    def __init__(self, otherwise: Criterion | None = None) -> None:
        self._otherwise = otherwise or L1()

    def score(self, module: nn.Module, group: ChannelGroup) -> Scores:
        scales = [
            unit_slices(module, member).abs().mean(1).numpy()
            for member in group.tensors
            if member.owner.endswith("weight")
            and isinstance(module.get_submodule(member.owner.rpartition(".")[0]), _NORMS)
        ]
        if not scales:
            return self._otherwise.score(module, group)
        scores: Scores = np.mean(scales, axis=0)
        return scores

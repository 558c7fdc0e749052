"""L2 norm of what computes a channel."""

import numpy as np
from torch import nn

from niwaki.compress.pruning.criteria.base import Criterion, Scores, unit_slices
from niwaki.compress.pruning.groups import ChannelGroup


class L2(Criterion):
    """Root mean square weight of a unit, averaged over the layers that compute it.

    References:
        He et al., IJCAI 2018, "Soft filter pruning for accelerating deep convolutional neural
        networks", equation 2 with p = 2; here a mean, as in `L1`.
    """

    def score(self, module: nn.Module, group: ChannelGroup) -> Scores:
        squares = [unit_slices(module, m).square().mean(1).sqrt() for m in group.writers]
        scores: Scores = np.mean([each.numpy() for each in squares], axis=0)
        return scores

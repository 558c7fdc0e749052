"""L1 norm of what computes a channel."""

import numpy as np
from torch import nn

from niwaki.compress.pruning.criteria.base import Criterion, Scores, unit_slices
from niwaki.compress.pruning.groups import ChannelGroup


class L1(Criterion):
    """Mean absolute weight of a unit, averaged over the layers that compute it.

    References:
        Li et al., ICLR 2017, "Pruning filters for efficient ConvNets", section 3.1; here a mean, so
        that layers of a group weigh the same whatever their size.
    """

    def score(self, module: nn.Module, group: ChannelGroup) -> Scores:
        means = [unit_slices(module, m).abs().mean(1).numpy() for m in group.writers]
        scores: Scores = np.mean(means, axis=0)
        return scores

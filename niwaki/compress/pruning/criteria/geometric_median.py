"""Distance from the geometric median (FPGM)."""

import torch
from torch import nn

from niwaki.compress.pruning.criteria.base import Criterion, Scores, unit_slices
from niwaki.compress.pruning.groups import ChannelGroup


class GeometricMedian(Criterion):
    """Sum of the distances to all other units of the group: the most replaceable go first.

    References:
        He et al., CVPR 2019, "Filter pruning via geometric median for deep convolutional neural
        networks acceleration", equation 6; here over the concatenated weights of all layers that
        compute the channel, divided by the number of units and the root of the number of weights.
    """

    def score(self, module: nn.Module, group: ChannelGroup) -> Scores:
        slices = [unit_slices(module, member) for member in group.writers]
        rows = torch.cat(slices, dim=1)
        distances = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
        scores: Scores = (distances.mean(1) / rows.shape[1] ** 0.5).numpy()
        return scores

"""First-order change of a loss."""

from torch import nn

from niwaki.compress.pruning.criteria.base import Criterion, Scores
from niwaki.compress.pruning.criteria.gradients import GradientStatistics
from niwaki.compress.pruning.groups import ChannelGroup


class Taylor(Criterion):
    """Mean squared derivative of the loss with respect to a gate on the channel.

    Args:
        gradients: Of the loss that matters; that of one task gives the importance for that task.

    References:
        Molchanov et al., CVPR 2019, "Importance estimation for neural network pruning", equation 8,
        with gates as in section 3.3; here through the weights that read the channel.
    """

    def __init__(self, gradients: GradientStatistics) -> None:
        self._gradients = gradients

    def score(self, module: nn.Module, group: ChannelGroup) -> Scores:
        del module
        return self._gradients.gate_square[group.name]

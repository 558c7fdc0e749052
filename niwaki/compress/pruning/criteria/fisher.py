"""Second-order change of a loss, by the Fisher information of gates."""

from torch import nn

from niwaki.compress.pruning.criteria.base import Criterion, Scores
from niwaki.compress.pruning.criteria.gradients import GradientStatistics
from niwaki.compress.pruning.groups import ChannelGroup


class Fisher(Criterion):
    """Rise of the loss when a channel is switched off: half the Fisher information, less the slope.

    At a trained optimum the slope is zero and the ranking is that of the squares alone; on data
    that the model was not trained on it is not, and a channel that hurts scores below zero.

    Args:
        gradients: Over batches of few examples; of one each to follow the paper.

    References:
        Theis et al., 2018, "Faster gaze prediction with dense networks and Fisher pruning",
        equations 5 to 7, with the first-order term that they drop.
    """

    def __init__(self, gradients: GradientStatistics) -> None:
        self._gradients = gradients

    def score(self, module: nn.Module, group: ChannelGroup) -> Scores:
        del module
        square = self._gradients.gate_square[group.name]
        scores: Scores = 0.5 * square - self._gradients.gate_mean[group.name]
        return scores

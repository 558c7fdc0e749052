"""Second-order change of a loss, by the Fisher information of gates."""

from torch import nn

from niwaki.compress.pruning.criteria.base import Criterion, Scores
from niwaki.compress.pruning.criteria.gradients import GradientStatistics
from niwaki.compress.pruning.groups import ChannelGroup


class Fisher(Criterion):
    """Rise of the loss when a channel is switched off: half the Fisher information of its gate.

    Args:
        gradients: Over batches of one example each: a mean over more averages the information away.

    References:
        Theis et al., 2018, "Faster gaze prediction with dense networks and Fisher pruning",
        equations 5 to 7. The first-order term is dropped, as there: it is zero at a trained
        optimum, and what some examples say of it is mostly noise, as large as the second.
    """

    def __init__(self, gradients: GradientStatistics) -> None:
        self._gradients = gradients

    def score(self, module: nn.Module, group: ChannelGroup) -> Scores:
        del module
        scores: Scores = 0.5 * self._gradients.gate_square[group.name]
        return scores

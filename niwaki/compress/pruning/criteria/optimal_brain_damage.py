"""Second-order change of a loss, by the diagonal of its Hessian."""

import numpy as np
from torch import nn

from niwaki.compress.pruning.criteria.base import Criterion, Scores, unit_slices
from niwaki.compress.pruning.criteria.gradients import GradientStatistics, gate_members
from niwaki.compress.pruning.groups import ChannelGroup


class OptimalBrainDamage(Criterion):
    """Half the sum of squared weights times the diagonal of the Hessian.

    The diagonal is taken for the mean squared gradient, as it is in expectation for a loss that is
    a log-likelihood.

    Args:
        gradients: Of the loss that matters.

    References:
        LeCun et al., NIPS 1989, "Optimal brain damage", equation 5; the diagonal as in the
        empirical Fisher information.
    """

    def __init__(self, gradients: GradientStatistics) -> None:
        self._gradients = gradients

    def score(self, module: nn.Module, group: ChannelGroup) -> Scores:
        total: Scores = np.zeros(group.n_units)
        squares = self._gradients.weight_square
        for member in gate_members(group):
            if member.owner in squares:
                weights = unit_slices(module, member).square()
                total += 0.5 * (weights * unit_slices(module, member, of=squares)).sum(1).numpy()
        return total

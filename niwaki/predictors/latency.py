"""Predictors of latencies and sizes: from few measurements of whole networks."""

from collections.abc import Sequence

from niwaki.predictors.base import Predictor
from niwaki.predictors.composed.calibrated import Calibrated, CalibratedSettings
from niwaki.predictors.composed.on_columns import OnColumns
from niwaki.predictors.composed.stacking import Stacking, StackingSettings
from niwaki.predictors.composed.transfer import Transferred
from niwaki.predictors.composed.transformed import Transformed, TransformedSettings
from niwaki.predictors.linear.bayesian_ridge import BayesianRidge
from niwaki.predictors.trees.ensemble import TreeEnsemble, TreeEnsembleSettings


def latency_predictor(n_decisions: int, n_costs: int, *, seed: int = 0) -> Calibrated:
    """Return an unfitted predictor of positive values that layers add up to, such as latencies.

    Logarithms are learned by a stack of three: a ridge on costs alone, which needs the fewest
    measurements; one on decisions and costs, which finds out what single decisions do beyond them;
    and trees on costs, for whatever is not smooth, such as the step from one kernel to another.
    Never a sum of layers that were timed alone: what layers cost depends on their neighbours.

    Args:
        n_decisions: The first features, as `Space.encode` gives them.
        n_costs: The features that follow, as `cost_features` gives them.
        seed: Of trees and folds.
    """
    costs = range(n_decisions, n_decisions + n_costs)
    trees = TreeEnsemble(TreeEnsembleSettings(seed=seed))
    stack = Stacking(
        StackingSettings(seed=seed),
        [OnColumns(BayesianRidge(), costs), BayesianRidge(), OnColumns(trees, costs)],
    )
    return _calibrated(stack, seed)


def transferred_latency_predictor(
    source: Predictor, *, costs: Sequence[int] = (), seed: int = 0
) -> Calibrated:
    """Return an unfitted predictor of latencies on a new device, for a few tens of measurements.

    Args:
        source: Predicts latencies of known devices from the same features; the more devices it has
            as columns, the likelier one of them is like the new one.
        costs: Which features are costs, if any: then what the source says is weighed against a
            ridge on these alone, so that a source unlike the new device does not do harm.
        seed: Of the folds.
    """
    moved = Transferred(source, logarithms=True)
    if not costs:
        return _calibrated(moved, seed)
    alone = OnColumns(BayesianRidge(), costs)
    return _calibrated(Stacking(StackingSettings(seed=seed), [moved, alone]), seed)


def _calibrated(inner: Predictor, seed: int) -> Calibrated:
    learned = Transformed(inner, TransformedSettings(transforms=("log",), seed=seed))
    return Calibrated(learned, CalibratedSettings(seed=seed))

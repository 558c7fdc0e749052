"""Criteria: how much each unit of each channel group matters."""

from niwaki.compress.pruning.criteria.base import Criterion, score_groups
from niwaki.compress.pruning.criteria.batch_norm_scale import BatchNormScale
from niwaki.compress.pruning.criteria.fisher import Fisher
from niwaki.compress.pruning.criteria.geometric_median import GeometricMedian
from niwaki.compress.pruning.criteria.gradients import GradientStatistics, collect_gradients
from niwaki.compress.pruning.criteria.l1 import L1
from niwaki.compress.pruning.criteria.l2 import L2
from niwaki.compress.pruning.criteria.optimal_brain_damage import OptimalBrainDamage
from niwaki.compress.pruning.criteria.taylor import Taylor

__all__ = [
    "L1",
    "L2",
    "BatchNormScale",
    "Criterion",
    "Fisher",
    "GeometricMedian",
    "GradientStatistics",
    "OptimalBrainDamage",
    "Taylor",
    "collect_gradients",
    "score_groups",
]

"""Channel pruning: groups of channels by provenance, plans, masks, criteria and costs."""

from niwaki.compress.pruning.analysis import AnalysisSettings, analyse
from niwaki.compress.pruning.channel_counts import ChannelGrain, allowed_counts
from niwaki.compress.pruning.compensation import InputMoments, compensated, input_moments
from niwaki.compress.pruning.costs import CostModel
from niwaki.compress.pruning.groups import ChannelGroup, ChannelGroups, Member, Refusal
from niwaki.compress.pruning.masking import masked
from niwaki.compress.pruning.plan import PruningPlan
from niwaki.compress.pruning.ranking import (
    Normalisation,
    best_units,
    global_counts,
    normalised,
    uniform_counts,
)
from niwaki.compress.pruning.rebuilding import apply_plan

__all__ = [
    "AnalysisSettings",
    "ChannelGrain",
    "ChannelGroup",
    "ChannelGroups",
    "CostModel",
    "InputMoments",
    "Member",
    "Normalisation",
    "PruningPlan",
    "Refusal",
    "allowed_counts",
    "analyse",
    "apply_plan",
    "best_units",
    "compensated",
    "global_counts",
    "input_moments",
    "masked",
    "normalised",
    "uniform_counts",
]

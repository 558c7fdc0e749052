"""Channel pruning: groups of channels by provenance, plans, masks, criteria and costs."""

from niwaki.compress.pruning.analysis import AnalysisSettings, analyse
from niwaki.compress.pruning.costs import CostModel
from niwaki.compress.pruning.groups import ChannelGroup, ChannelGroups, Member, Refusal
from niwaki.compress.pruning.masking import masked
from niwaki.compress.pruning.plan import PruningPlan
from niwaki.compress.pruning.rebuilding import apply_plan

__all__ = [
    "AnalysisSettings",
    "ChannelGroup",
    "ChannelGroups",
    "CostModel",
    "Member",
    "PruningPlan",
    "Refusal",
    "analyse",
    "apply_plan",
    "masked",
]

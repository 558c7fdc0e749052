"""How much of each channel group goes: as published (PAGCP), or to a budget."""

from niwaki.compress.allocation.base import Allocation, Counts, Ladder, Oracle, Price, Verdict
from niwaki.compress.allocation.greedy import GreedyAllocator, GreedySettings
from niwaki.compress.allocation.pagcp import Pagcp, PagcpSettings, reference_losses
from niwaki.compress.allocation.tolerances import local_tolerances

__all__ = [
    "Allocation",
    "Counts",
    "GreedyAllocator",
    "GreedySettings",
    "Ladder",
    "Oracle",
    "Pagcp",
    "PagcpSettings",
    "Price",
    "Verdict",
    "local_tolerances",
    "reference_losses",
]

"""A comparison in a sentence."""

import math

from niwaki.core.numerals import numeral
from niwaki.study.comparison.comparison import Comparison
from niwaki.study.comparison.figures import SHARES, needed_for


def headline(comparison: Comparison) -> str:
    """Return in a sentence who found most, and who needed least for most of that."""
    shares = {g.name: g.figures["share"].median for g in comparison.groups}
    known = {name: share for name, share in shares.items() if not math.isnan(share)}
    if not known:
        return "No run has a model that counts so far."
    most = max(known.values())
    first = [name for name, share in known.items() if share == most]
    who = " and ".join(f"'{name}'" for name in first)
    several = any(len(g.runs) > 1 for g in comparison.groups if g.name in first)
    median = " (median of its runs)" if several and len(first) == 1 else ""
    found = f"{who} found {most:.1%} of the hypervolume that all found together{median}"
    return f"{found}{_soonest(comparison)}."


def _soonest(comparison: Comparison) -> str:
    """Return who came first to the largest share that anyone came to, in a few words."""
    for share in () if comparison.exported else sorted(SHARES, reverse=True):
        needed = {g.name: g.figures[needed_for(share)].median for g in comparison.groups}
        reached = {name: n for name, n in needed.items() if math.isfinite(n)}
        if reached:
            least = min(reached.values())
            first = [f"'{name}'" for name, n in reached.items() if n == least]
            return f"; {share:.0%} took {' and '.join(first)} {numeral(least)} evaluations"
    return ""

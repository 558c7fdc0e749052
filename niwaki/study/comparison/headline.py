"""A comparison in a sentence."""

import math
from collections.abc import Sequence

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
    doubt = "" if comparison.alike else "If values mean the same in runs that were not set alike, "
    return f"{doubt}{found}{_soonest(comparison, first)}."


def _soonest(comparison: Comparison, named: Sequence[str]) -> str:
    """Return who came first to the largest share that anyone came to, in a few words.

    Args:
        comparison: Of runs.
        named: Who found most, and was named already.
    """
    for share in () if comparison.exported else sorted(SHARES, reverse=True):
        needed = {g.name: g.figures[needed_for(share)].median for g in comparison.groups}
        reached = {name: n for name, n in needed.items() if math.isfinite(n)}
        if reached:
            least = min(reached.values())
            first = [name for name, n in reached.items() if n == least]
            who = "it" if first == named and len(first) == 1 else " and ".join(map(repr, first))
            return f"; {share:.0%} took {who} {numeral(least)} evaluations"
    return ""

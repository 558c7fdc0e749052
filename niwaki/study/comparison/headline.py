"""A comparison in a sentence."""

import math
from collections.abc import Sequence

from niwaki.core.numerals import numeral
from niwaki.study.comparison.comparison import Comparison
from niwaki.study.comparison.figures import SHARES, needed_for
from niwaki.study.comparison.notes import MAX_NAMED, named
from niwaki.study.comparison.scale import ROUNDING


def headline(comparison: Comparison) -> str:
    """Return in a sentence who found most, and who needed least for most of that."""
    shares = {g.name: g.figures["share"].median for g in comparison.groups}
    known = {name: share for name, share in shares.items() if not math.isnan(share)}
    if not known:
        return "No run has a model that counts so far."
    most = max(known.values())
    first = [name for name, share in known.items() if share >= most - ROUNDING]
    who = _listed(first) if len(first) == 1 else f"{_listed(first)} each"
    several = any(len(g.runs) > 1 for g in comparison.groups if g.name in first)
    median = " (median of its runs)" if several and len(first) == 1 else ""
    found = f"{who} found {most:.1%} of the hypervolume that all found together{median}"
    doubt = "" if comparison.alike else "If values mean the same in runs that were not set alike, "
    return f"{doubt}{found}{_soonest(comparison, first)}."


def _soonest(comparison: Comparison, found_most: Sequence[str]) -> str:
    """Return who came first to the largest share that anyone came to, in a few words.

    Args:
        comparison: Of runs.
        found_most: Who did, and was named already.
    """
    for share in () if comparison.exported else sorted(SHARES, reverse=True):
        needed = {g.name: g.figures[needed_for(share)].median for g in comparison.groups}
        reached = {name: n for name, n in needed.items() if math.isfinite(n)}
        if reached:
            least = min(reached.values())
            first = [name for name, n in reached.items() if n == least]
            one = len(first) == 1
            who = _listed(first)
            if first == found_most:
                who = "it" if one else "each of them"
            elif not one:
                who = f"{who} each"
            return (
                f"; {share:.0%} took {who} {numeral(least)} evaluation{'' if least == 1 else 's'}"
            )
    return ""


def _listed(names: Sequence[str]) -> str:
    *others, last = (f"'{name}'" for name in names)
    if len(names) > MAX_NAMED:
        return named(names)
    return f"{', '.join(others)} and {last}" if others else last

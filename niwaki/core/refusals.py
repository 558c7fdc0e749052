"""Candidates that are turned away before anything is paid for them."""

from collections.abc import Mapping, Sequence

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound
from niwaki.core.measurement import Measurement, Status
from niwaki.core.numerals import numeral

INFEASIBLE_IN_A_ROW = 10_000  # after which nobody goes on looking


def refusal(
    candidate: Candidate, counts: Mapping[str, float], bounds: Sequence[Bound]
) -> Measurement | None:
    """Return what a candidate is turned away with, or None if its counts break no bound.

    Args:
        candidate: To be measured, or not.
        counts: Its values that cost nothing.
        bounds: On these, and on others.
    """
    broken = [bound for bound in bounds if bound.violation(counts) > 0.0]
    if not broken:
        return None
    reasons = [
        f"{bound.name} is {numeral(counts[bound.name], digits=6)}, wanted {bound}"
        for bound in broken
    ]
    plain = {name: float(count) for name, count in counts.items()}  # numpy's are no JSON
    return Measurement(candidate.key, plain, Status.INFEASIBLE, "; ".join(reasons))

"""How far a search is from its constraints."""

from collections.abc import Sequence

from niwaki.core.constraints import Bound
from niwaki.core.measurement import Trial
from niwaki.core.numerals import numeral


def nearest_miss(trials: Sequence[Trial], bounds: Sequence[Bound]) -> str:
    """Return what the trial nearest to all bounds breaks: `gain is 81, wanted gain >= 1000`.

    Args:
        trials: Those that have no values are left out.
        bounds: Of which every trial breaks one.

    Returns:
        An empty string if no trial has any value that is bounded, or one keeps to all bounds.
    """
    names = {bound.name for bound in bounds}
    rows = [t.measurement.values for t in trials if names & set(t.measurement.values)]
    if not rows:
        return ""
    nearest = min(rows, key=lambda values: sum(bound.violation(values) for bound in bounds))
    return "; ".join(
        f"{bound.name} is {numeral(nearest[bound.name], digits=6)}, wanted {bound}"
        for bound in bounds
        if bound.violation(nearest) > 0.0
    )

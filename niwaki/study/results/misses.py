"""How far a search is from its constraints."""

from collections.abc import Mapping, Sequence

from niwaki.core.constraints import Bound
from niwaki.core.measurement import Trial
from niwaki.core.numerals import numeral

LOOSEN = "loosen that constraint, and start again under another name"
"""What to do about a constraint of a study that nothing keeps to: its settings stay."""


def nearest_miss(trials: Sequence[Trial], bounds: Sequence[Bound]) -> str:
    """Return what the trial nearest to all bounds breaks: `gain is 81, wanted gain >= 1000`.

    Those that have more of the values that are bounded are nearer.

    Args:
        trials: Those that have none of these values are left out.
        bounds: Of which every trial breaks one, or lacks its value.

    Returns:
        An empty string if no trial has any value that is bounded, or one keeps to all bounds.
    """
    names = {bound.name for bound in bounds}
    rows = [t.measurement.values for t in trials if names & set(t.measurement.values)]
    if not rows:
        return ""

    def distance(values: Mapping[str, float]) -> tuple[int, float]:
        missing = names - set(values)
        return len(missing), sum(bound.violation(values) for bound in bounds)

    nearest = min(rows, key=distance)
    broken = [bound for bound in bounds if bound.violation(nearest) > 0.0]
    # What a cheap count turned away has no other values, and that is not why.
    missed = broken or [bound for bound in bounds if bound.name not in nearest]
    return "; ".join(f"{_found(nearest, bound.name)}, wanted {bound}" for bound in missed)


def _found(values: Mapping[str, float], name: str) -> str:
    if name not in values:
        return f"{name} was not measured"
    return f"{name} is {numeral(values[name], digits=6)}"

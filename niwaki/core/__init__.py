"""The shared nouns: candidates, objectives, measurements, fronts, errors, random streams."""

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound, Constraint
from niwaki.core.errors import NiwakiError
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import Direction, Objective

__all__ = [
    "Bound",
    "Candidate",
    "Constraint",
    "Direction",
    "Measurement",
    "NiwakiError",
    "Objective",
    "Status",
    "Trial",
]

"""How much a study may spend."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """When to stop, over all workers and all sessions together.

    Attributes:
        evaluations: Evaluations that are paid for; those turned away by a cheap count are not.
        seconds: Study time, pauses between sessions left out; infinite if there is no limit.
    """

    evaluations: int = 100
    seconds: float = math.inf

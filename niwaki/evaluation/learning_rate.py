"""The curve that learning rates follow."""

import math


def one_cycle(progress: float, *, warmup: float) -> float:
    """Return the factor of the peak learning rate: a linear rise, then a cosine to zero.

    Args:
        progress: Share of the steps that are done, in [0, 1].
        warmup: Share of the steps in which it rises, below 1.
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (progress - warmup) / (1.0 - warmup)))

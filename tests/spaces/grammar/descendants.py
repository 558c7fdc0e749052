"""The law that every mutation keeps, on any grammar."""

import numpy as np

from niwaki.spaces.grammar import GrammarSpace


def check_descendants(space: GrammarSpace) -> None:
    """Mutate a sample sixty times on end: each child is valid, and not its parent."""
    rng = np.random.default_rng(0)
    candidate = space.sample(rng)
    for _ in range(60):
        child = space.mutate(candidate, rng)
        assert child != candidate
        assert space.check(child) == ""
        candidate = child

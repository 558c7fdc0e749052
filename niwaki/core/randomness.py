"""Random streams by name: every consumer gets its own, all spawned from the study's seed."""

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator that belongs to `seed` and `names`.

    The same arguments give the same stream in every process and under every hash seed; streams with
    different names are independent. Naming a stream by what it is for (`stream(seed, "ask", 17)`)
    lets a resumed search draw exactly what the uninterrupted one would have drawn.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, *(_word(name) for name in names)]))


def derived_seed(seed: int, *names: str | int) -> int:
    """Return a 31-bit seed for libraries that want an integer."""
    return int(stream(seed, *names, "seed").integers(2**31 - 1))


def _word(name: str | int) -> int:
    plain = str(name) if isinstance(name, str) else int(name)  # numpy's scalars print otherwise
    digest = hashlib.blake2b(repr(plain).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")

"""What a user's own code draws at random: the same in every process, and after every restart."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Let code draw the same from Python's, numpy's and torch's global generators each time.

    Loaders that shuffle then give one order, and splits that are drawn on the spot are the same.
    The generators, of torch's also those of GPUs that are in use, are put back afterwards.

    Args:
        seed: Of all of them, below 2^32.
    """
    torch = sys.modules.get("torch")  # code that draws from it has imported it; we need not
    python, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002
    tensors = torch.get_rng_state() if torch else None
    # A seed for GPUs that are not in use is kept for when they are, and cannot be put back.
    gpus = torch.cuda if torch and torch.cuda.is_initialized() else None
    on_gpus = gpus.get_rng_state_all() if gpus else []
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if torch:
        torch.default_generator.manual_seed(seed)
    if gpus:
        gpus.manual_seed_all(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)  # noqa: NPY002
        if torch:
            torch.set_rng_state(tensors)
        if gpus:
            gpus.set_rng_state_all(on_gpus)

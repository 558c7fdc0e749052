"""Small source files."""

from pathlib import Path
from typing import Any

import numpy as np


def digits_file(path: Path, n: int = 400, *, seed: int = 0, **changes: Any) -> str:
    """Write n different 6 x 6 images labelled 0 to 9 in turn, and return the path."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, Any] = {
        "X": rng.integers(256, size=(n, 6, 6), dtype=np.uint8),
        "y": np.arange(n) % 10,
    }
    np.savez(path, **{**arrays, **changes})
    return str(path)


def photographs_file(path: Path, n: int = 800, n_classes: int = 5) -> str:
    """Write n different 4 x 4 colour images, and return the path."""
    rng = np.random.default_rng(n)
    images = rng.integers(256, size=(n, 4, 4, 3), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(n) % n_classes)
    return str(path)

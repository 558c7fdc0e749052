"""The real digits: scikit-learn's 1,797 handwritten ones, and their outlines at any size."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.randomness import stream
from niwaki.tasks.base import SplitName
from niwaki.tasks.carving import carve

Floats = NDArray[np.float32]

POOL_FRACTIONS = {
    SplitName.SEARCH: 0.12,
    SplitName.VAL: 0.12,
    SplitName.TEST: 0.16,
    SplitName.CALIBRATION: 0.05,
}
"""Share of the source digits that each split's scenes are made from; train has the rest."""

_SOURCE_SIZE = 8
_BORDER = 2  # source pixels of nothing around a digit, so that what lies outside it reads as 0
_FINER = 4  # samples of the outline per source pixel
_OUTLINE = 0.43  # ink at which the pen is said to have touched, where 1 is full ink


@dataclass(frozen=True, eq=False)
class Glyphs:
    """Digits as smooth fields of ink, which have an outline at any magnification.

    Attributes:
        fields: (n, side, side) float32, ink from 0 to about 1, `_FINER` samples a source pixel.
        labels: (n,) int64, 0 to 9.
    """

    fields: Floats
    labels: NDArray[np.int64]

    def ink(self, which: NDArray[np.int64], at: tuple[Floats, Floats]) -> Floats:
        """Read the fields, linearly between samples.

        Args:
            which: (n,) indices of digits.
            at: y and x of the pixels, each (n, p), in digit heights from the digit's centre.

        Returns:
            (n, p) float32, 0 far from the digit.
        """
        side = self.fields.shape[1]
        scale, centre = np.float32(_SOURCE_SIZE * _FINER), np.float32((side - 1) / 2)
        y, x = (np.clip(c * scale + centre, 0.0, np.float32(side - 1.001)) for c in at)
        row, column = y.astype(np.int32), x.astype(np.int32)
        y -= row
        x -= column
        first = row * side + column + (which * side * side).astype(np.int32)[:, None]
        flat = self.fields.reshape(-1)
        upper = flat[first] * (1 - x) + flat[first + 1] * x
        lower = flat[first + side] * (1 - x) + flat[first + side + 1] * x
        return np.asarray(upper * (1 - y) + lower * y)


def coverage(ink: Floats, height: Floats) -> Floats:
    """Return how much of each pixel a digit covers, with smooth edges about a pixel wide.

    Args:
        ink: (n, p), as `Glyphs.ink` reads it.
        height: (n,) height of the digits, in pixels.

    Returns:
        (n, p) float32 in [0, 1].
    """
    # Ink goes from none to full in about 1.3 source pixels.
    sharpness = (1.3 / _SOURCE_SIZE) * height[:, None]
    edge = 0.5 + (ink - np.float32(_OUTLINE)) * sharpness
    return np.asarray(np.clip(edge, 0.0, 1.0), dtype=np.float32)


def shadow(ink: Floats) -> Floats:
    """Return (n, p) a soft blot a little wider than the digit, in [0, 1]."""
    return np.asarray(np.clip(ink * np.float32(2.0), 0.0, 1.0))


def load_glyphs() -> Glyphs:
    """Read the digits that scikit-learn carries, in its order."""
    from sklearn.datasets import load_digits  # takes seconds: only when scenes must be made

    digits = load_digits()
    ink = np.pad(digits.images / 16.0, ((0, 0), (_BORDER, _BORDER), (_BORDER, _BORDER)))
    finer = _cubic(ink.shape[1], _FINER)
    fields = np.maximum(finer @ ink @ finer.T, 0.0).astype(np.float32)
    return Glyphs(fields, digits.target.astype(np.int64))


def pools(labels: NDArray[np.int64], seed: int) -> dict[SplitName, NDArray[np.int64]]:
    """Divide the source digits among the splits, before any scene is made.

    Returns:
        Sorted indices of digits by split, without overlap, each class in proportion.
    """
    rng = stream(seed, "digit_scenes", "pools")
    return carve(len(labels), POOL_FRACTIONS, rng=rng, labels=labels)


def _cubic(n: int, finer: int) -> NDArray[np.float64]:
    """Return the (n * finer, n) matrix of cubic convolution, pixel centres aligned.

    References:
        Keys, IEEE TASSP 1981, "Cubic convolution interpolation for digital image processing",
        equation 4 with a = -1/2.
    """
    position = (np.arange(n * finer) + 0.5) / finer - 0.5
    distance = np.abs(position[:, None] - np.arange(n)[None, :])
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1.0
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4.0 * distance + 2.0
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))

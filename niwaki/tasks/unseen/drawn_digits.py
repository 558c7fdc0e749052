"""Digits of MNIST's size without a file: scikit-learn's, drawn with smooth outlines."""

import numpy as np

from niwaki.tasks.digit_scenes.glyphs import coverage, load_glyphs
from niwaki.tasks.unseen.source_images import SourceImages

DRAWN = "scikit-learn"
"""What settings say for these digits in place of a path."""

_SIDE = 28
_DIGIT_HEIGHT = 20  # as in MNIST: 20 pixels of digit in an image of 28


def drawn_digits() -> SourceImages:
    """Return scikit-learn's 1,797 handwritten digits as (n, 1, 28, 28) images."""
    glyphs = load_glyphs()
    centred = ((np.arange(_SIDE) + 0.5 - _SIDE / 2) / _DIGIT_HEIGHT).astype(np.float32)
    n, n_pixels = len(glyphs.labels), _SIDE * _SIDE
    y = np.broadcast_to(np.repeat(centred, _SIDE), (n, n_pixels))
    x = np.broadcast_to(np.tile(centred, _SIDE), (n, n_pixels))
    ink = glyphs.ink(np.arange(n), (y, x))
    cover = coverage(ink, np.full(n, _DIGIT_HEIGHT, np.float32))
    images = np.round(cover * 255).astype(np.uint8).reshape(n, 1, _SIDE, _SIDE)
    return SourceImages(images, glyphs.labels)

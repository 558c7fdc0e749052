"""From plans to pixels: walls first, then digits from far to near, then haze, light and noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.tasks.digit_scenes.glyphs import Glyphs, coverage, shadow
from niwaki.tasks.digit_scenes.layout import MAX_DIGITS, Layout

Floats = NDArray[np.float32]

_CHUNK = 64  # scenes painted at once: few enough for the processor's cache
_OCTAVES = ((4, 0.5), (8, 0.3), (16, 0.2))  # cells of the texture along an edge, and their weight
_CONTRAST = np.float32(1.6)
_HAZE_COLOUR = np.array([0.55, 0.6, 0.66], dtype=np.float32)
_HAZE = np.float32(0.55)  # share of haze at distance 1: the weak cue that survives any size
_SHADOW = np.float32(0.5)  # light that a digit takes from what lies behind it, at its edge
_NOISE_STD = np.float32(0.03)


@dataclass(frozen=True, eq=False)
class Painted:
    """n scenes with their labels.

    Attributes:
        images: (n, 3, size, size) uint8 RGB.
        segmentation: (n, size, size) uint8: 0 is the wall, 1 + d is digit d.
        depth: (n, 1, size, size) float16, distances in [0, 1].
    """

    images: NDArray[np.uint8]
    segmentation: NDArray[np.uint8]
    depth: NDArray[np.float16]


def paint(layout: Layout, glyphs: Glyphs, size: int, rng: np.random.Generator) -> Painted:
    """Paint the scenes of a plan on `size` x `size` pixels."""
    n = len(layout)
    painted = Painted(
        images=np.empty((n, 3, size, size), np.uint8),
        segmentation=np.empty((n, size, size), np.uint8),
        depth=np.empty((n, 1, size, size), np.float16),
    )
    for start in range(0, n, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, n))
        canvas = _Canvas(layout, rows, size, rng)
        for slot in reversed(range(MAX_DIGITS)):
            canvas.add_digits(slot, glyphs)
        painted.images[rows] = canvas.photograph(rng)
        painted.segmentation[rows] = canvas.segmentation.reshape(-1, size, size)
        painted.depth[rows] = canvas.depth.reshape(-1, 1, size, size)
    return painted


class _Canvas:
    """Some scenes in the making; p = size * size pixels each."""

    def __init__(
        self, layout: Layout, rows: NDArray[np.int64], size: int, rng: np.random.Generator
    ) -> None:
        self._layout, self._rows, self._size = layout, rows, size
        edge = (np.arange(size, dtype=np.float32) + 0.5) / size
        self._y, self._x = np.repeat(edge, size), np.tile(edge, size)  # (p,), shares of the image
        texture = _texture(len(rows), size, rng)[:, None]  # (n, 1, p)
        first, second = layout.wall_colours[rows, :, :, None].swapaxes(0, 1)  # (n, 3, 1)
        centre, along_y, along_x = layout.wall_depth[rows].T[:, :, None]  # (n, 1)
        self.depth: Floats = centre + along_y * (2 * self._y - 1) + along_x * (2 * self._x - 1)
        self.colour: Floats = _hazy(first + (second - first) * texture, self.depth)  # (n, 3, p)
        self.segmentation = np.zeros(self.depth.shape, np.uint8)

    def add_digits(self, slot: int, glyphs: Glyphs) -> None:
        """Paint the digit of one slot over everything that is there."""
        layout = self._layout
        here = np.flatnonzero(layout.present[self._rows, slot])
        rows = self._rows[here]
        which = layout.digit[rows, slot]
        ink = glyphs.ink(which, self._upright(rows, slot))  # (n, p)
        cover = coverage(ink, layout.height[rows, slot] * self._size)
        depth = layout.depth[rows, slot, None]  # (n, 1)
        colour = _hazy(layout.colour[rows, slot, :, None], depth)  # (n, 3, 1)
        behind = self.colour[here] * (1 - _SHADOW * shadow(ink))[:, None]
        self.colour[here] = behind + (colour - behind) * cover[:, None]
        solid = cover > 0.5
        label = (1 + glyphs.labels[which]).astype(np.uint8)[:, None]
        self.segmentation[here] = np.where(solid, label, self.segmentation[here])
        self.depth[here] = np.where(solid, depth, self.depth[here])

    def photograph(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return (n, 3, size, size) uint8, with the scene's light and the camera's noise."""
        image = self.colour * self._layout.light[self._rows, None, None]
        image += rng.standard_normal(image.shape, dtype=np.float32) * _NOISE_STD
        pixels = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
        return np.asarray(pixels.reshape(-1, 3, self._size, self._size))

    def _upright(self, rows: NDArray[np.int64], slot: int) -> tuple[Floats, Floats]:
        """Return y and x of every pixel in digit heights from the centre of an upright digit."""
        layout = self._layout
        centre = layout.centre[rows, slot]
        dy, dx = self._y - centre[:, :1], self._x - centre[:, 1:]  # (n, p)
        warp = layout.warp[rows, slot] / layout.height[rows, slot, None, None]
        (a, b), (c, d) = warp.transpose(1, 2, 0)[..., None]  # each (n, 1)
        return a * dy + b * dx, c * dy + d * dx


def _hazy(colour: Floats, depth: Floats) -> Floats:
    """Mix (n, 3, p) colours with haze, the more the farther."""
    haze = _HAZE * depth[:, None]
    return np.asarray(colour + (_HAZE_COLOUR[:, None] - colour) * haze)


def _texture(n: int, size: int, rng: np.random.Generator) -> Floats:
    """Return (n, p) smooth noise of several scales, in [0, 1]."""
    total = np.zeros((n, size, size), np.float32)
    for cells, weight in _OCTAVES:
        grid = rng.random((n, cells + 1, cells + 1), dtype=np.float32)
        position = np.linspace(0, cells, size, dtype=np.float32)
        node = np.arange(cells + 1, dtype=np.float32)
        hat = np.maximum(0, 1 - np.abs(position[:, None] - node))  # linear interpolation, (size, c)
        total += np.float32(weight) * (hat @ grid @ hat.T)
    # Averages of uniform noise crowd around 1/2: spread them out again.
    return np.asarray(np.clip((total - 0.5) * _CONTRAST + 0.5, 0, 1).reshape(n, -1))

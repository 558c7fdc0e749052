"""What stands where in each scene: digits, distances, sizes, places, colours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_N_DIGITS = (2, 3, 4, 5)
_N_DIGITS_SHARE = (0.4, 0.3, 0.2, 0.1)
MAX_DIGITS = max(_N_DIGITS)

# Distances run from 0, at the lens, to 1, at the farthest corner of any background.
_NEAREST, _FARTHEST = 0.05, 0.62
_LEAST_GAP = 0.05
_WALL_CENTRE = (0.78, 0.88)
_WALL_SLANT = (0.02, 0.12)

# Heights are shares of the image. Nearer is larger, but only on average: at one distance, heights
# spread by a factor of about 1.2, so that size alone does not give the distance away.
_HEIGHT_NEAR, _HEIGHT_FAR = 0.7, 0.38
_HEIGHT_SPREAD = 0.18
_HEIGHT_LIMITS = (0.32, 0.8)

_TURN_STD = 0.12
_SHEAR_STD = 0.08
_WIDTH_RATIO = (0.85, 1.1)


@dataclass(frozen=True, eq=False)
class Layout:
    """The plan of n scenes with up to k digits each, nearest first.

    Attributes:
        present: (n, k) bool, the first 2 to k of each row.
        digit: (n, k) int64, indices of source digits.
        depth: (n, k) float32, distances, ascending along a row.
        height: (n, k) float32, shares of the image.
        centre: (n, k, 2) float32, y and x as shares of the image.
        warp: (n, k, 2, 2) float32, from image directions (y, x) to upright ones, without scale.
        colour: (n, k, 3) float32 RGB in [0, 1].
        wall_depth: (n, 3) float32: distance at the centre, and its slopes along y and x from centre
            to edge.
        wall_colours: (n, 2, 3) float32 RGB in [0, 1], the two ends of the texture.
        light: (n,) float32, brightness of the scene.
    """

    present: NDArray[np.bool_]
    digit: NDArray[np.int64]
    depth: Floats
    height: Floats
    centre: Floats
    warp: Floats
    colour: Floats
    wall_depth: Floats
    wall_colours: Floats
    light: Floats

    def __len__(self) -> int:
        return len(self.present)


def plan(n: int, pool: NDArray[np.int64], rng: np.random.Generator) -> Layout:
    """Plan n scenes with digits of `pool`."""
    shape = (n, MAX_DIGITS)
    n_digits = rng.choice(_N_DIGITS, size=n, p=_N_DIGITS_SHARE)
    depth = _depths(n_digits, rng)
    height = _heights(depth, rng)
    walls = _hsv(rng.random((n, 2)), rng.uniform(0.0, 0.5, (n, 2)), rng.uniform(0.05, 0.5, (n, 2)))
    return Layout(
        present=np.arange(MAX_DIGITS) < n_digits[:, None],
        digit=pool[rng.integers(len(pool), size=shape)],
        depth=depth,
        height=height,
        centre=_centres(height, rng),
        warp=_warps(shape, rng),
        colour=_colours(walls.mean(axis=1), rng),
        wall_depth=_walls(n, rng),
        wall_colours=walls,
        light=rng.uniform(0.75, 1.1, n).astype(np.float32),
    )


def _depths(n_digits: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Draw ascending distances with a least gap, uniform otherwise; absent digits are farthest."""
    slot = np.arange(MAX_DIGITS)
    draws = rng.random((len(n_digits), MAX_DIGITS))
    ordered = np.sort(np.where(slot < n_digits[:, None], draws, 1.0), axis=1)
    free = (_FARTHEST - _NEAREST - (n_digits - 1) * _LEAST_GAP)[:, None]
    return np.asarray(_NEAREST + ordered * free + slot * _LEAST_GAP, dtype=np.float32)


def _heights(depth: Floats, rng: np.random.Generator) -> Floats:
    share = (depth - _NEAREST) / (_FARTHEST - _NEAREST)
    usual = _HEIGHT_NEAR + share * (_HEIGHT_FAR - _HEIGHT_NEAR)
    spread = np.exp(rng.normal(0.0, _HEIGHT_SPREAD, depth.shape))
    return np.asarray(np.clip(usual * spread, *_HEIGHT_LIMITS), dtype=np.float32)


def _centres(height: Floats, rng: np.random.Generator) -> Floats:
    """Place digits so that at most a rim of them is cut off by the frame."""
    margin = 0.45 * height[..., None]
    return (margin + rng.random((*height.shape, 2)) * (1.0 - 2.0 * margin)).astype(np.float32)


def _warps(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    turn = rng.normal(0.0, _TURN_STD, shape)
    shear = rng.normal(0.0, _SHEAR_STD, shape)
    ratio = rng.uniform(*_WIDTH_RATIO, shape)
    cos, sin = np.cos(turn), np.sin(turn)
    rows = [[cos, -sin], [(sin + shear * cos) / ratio, (cos - shear * sin) / ratio]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1)).astype(np.float32)


def _colours(background: Floats, rng: np.random.Generator) -> Floats:
    """Draw three colours for each digit and keep the one that stands out most."""
    shape = (len(background), MAX_DIGITS, 3)
    drawn = _hsv(rng.random(shape), rng.uniform(0.2, 1.0, shape), rng.uniform(0.5, 1.0, shape))
    distance = ((drawn - background[:, None, None, :]) ** 2).sum(axis=-1)
    best = distance.argmax(axis=2)[:, :, None, None]
    return np.take_along_axis(drawn, best, axis=2)[:, :, 0]


def _walls(n: int, rng: np.random.Generator) -> Floats:
    angle = rng.uniform(0.0, 2.0 * np.pi, n)
    slant = rng.uniform(*_WALL_SLANT, n) / np.sqrt(2.0)
    centre = rng.uniform(*_WALL_CENTRE, n)
    return np.stack([centre, slant * np.sin(angle), slant * np.cos(angle)], axis=1).astype(
        np.float32
    )


def _hsv(
    hue: NDArray[np.float64], saturation: NDArray[np.float64], value: NDArray[np.float64]
) -> Floats:
    """Return RGB (..., 3) for hue, saturation and value in [0, 1]."""
    sector = (np.array([5.0, 3.0, 1.0]) + hue[..., None] * 6.0) % 6.0
    fall = np.clip(np.minimum(sector, 4.0 - sector), 0.0, 1.0)
    return np.asarray(value[..., None] * (1.0 - saturation[..., None] * fall), dtype=np.float32)

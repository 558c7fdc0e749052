"""Outlines of digits."""

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.tasks.digit_scenes.glyphs import Glyphs, coverage, load_glyphs


@pytest.fixture(scope="module")
def glyphs() -> Glyphs:
    return load_glyphs()


def upright(size: int, height: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    edge = ((np.arange(size) + 0.5 - size / 2) / height).astype(np.float32)
    return np.repeat(edge, size)[None], np.tile(edge, size)[None]


def cover_of(
    glyphs: Glyphs, which: int, at: tuple[NDArray[np.float32], NDArray[np.float32]], height: float
) -> NDArray[np.float32]:
    return coverage(glyphs.ink(np.array([which]), at), np.array([height], np.float32))


def test_a_digit_at_its_own_size_is_the_digit(glyphs: Glyphs) -> None:
    from sklearn.datasets import load_digits

    for i in (0, 7, 1700):
        cover = cover_of(glyphs, i, upright(8, 8.0), 8.0)
        ink = load_digits().images[i].ravel()
        assert np.corrcoef(cover[0], ink)[0, 1] > 0.9


@pytest.mark.parametrize("height", [12.0, 24.0, 40.0])
def test_the_covered_share_does_not_depend_on_size(glyphs: Glyphs, height: float) -> None:
    shares = [float(cover_of(glyphs, 3, upright(64, h), h).sum()) / h**2 for h in (height, 32.0)]
    assert shares[0] == pytest.approx(shares[1], rel=0.08)


def test_edges_are_about_a_pixel_wide_at_every_size(glyphs: Glyphs) -> None:
    for height in (16.0, 48.0):
        cover = cover_of(glyphs, 0, upright(64, height), height)
        image = cover.reshape(64, 64)
        partly = ((image > 0.02) & (image < 0.98)).sum()
        inside = image > 0.5
        outline = (inside[1:] != inside[:-1]).sum() + (inside[:, 1:] != inside[:, :-1]).sum()
        assert 0.3 < partly / outline < 2.0


def test_nothing_is_painted_far_from_a_digit(glyphs: Glyphs) -> None:
    far = np.full((1, 5), 3.0, np.float32)
    assert cover_of(glyphs, 8, (far, -far), 30.0).max() == 0.0

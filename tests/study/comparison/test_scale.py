"""One scale for all runs."""

import numpy as np
import pytest

from niwaki.study.comparison.scale import Scale

ONE = np.array([[0.0, 10.0], [5.0, 9.0]])
OTHER = np.array([[4.0, 2.0], [0.0, 10.0], [8.0, 8.0]])


def test_the_joined_front_has_each_point_once_and_spans_the_scale() -> None:
    scale = Scale.of([ONE, OTHER])
    assert scale.points.tolist() == [[0.0, 10.0], [4.0, 2.0]]
    assert (scale.ideal.tolist(), scale.nadir.tolist()) == ([0.0, 2.0], [4.0, 10.0])
    # (0, 1) and (1, 0) up to (1.1, 1.1)
    assert scale.volume == pytest.approx(0.11 + 0.11 - 0.01)
    assert scale.volumes(ONE) == pytest.approx(np.array([0.11, 0.11]))


def test_a_front_without_width_is_measured_by_all_models() -> None:
    scale = Scale.of([np.array([[1.0, 1.0]]), np.array([[3.0, 1.0]])])
    assert scale.width.tolist() == [2.0, 1.0]
    assert scale.volume == pytest.approx(1.1**2)
    assert scale.volumes(np.array([[2.0, 1.0]])) == pytest.approx(np.array([0.6 * 1.1]))


def test_a_share_is_first_had_where_the_volume_comes_to_it() -> None:
    scale = Scale.of([ONE, OTHER])
    volumes = scale.volumes(OTHER)
    assert [scale.first(volumes, share) for share in (0.5, 0.6, 1.0)] == [0, 1, 1]
    assert scale.first(scale.volumes(ONE), 0.9) is None
    assert scale.first(volumes[:0], 0.5) is None


def test_nothing_has_no_scale_and_no_volume() -> None:
    scale = Scale.of([np.zeros((0, 2)), np.zeros((0, 2))])
    assert (scale.volume, len(scale.points)) == (0.0, 0)
    assert np.isnan(scale.ideal).all() and np.isnan(scale.nadir).all()

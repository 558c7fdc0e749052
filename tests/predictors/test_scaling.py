"""Columns on a common scale, and columns that never vary."""

import numpy as np
import pytest

from niwaki.predictors.scaling import Scaling


def test_columns_have_means_of_zero_and_deviations_of_one() -> None:
    scaled = Scaling.of(np.array([[1.0, 10.0], [3.0, 40.0]])).to_unit(np.array([[3.0, 55.0]]))
    np.testing.assert_allclose(scaled, [[1.0, 2.0]])


@pytest.mark.parametrize("value", [0.1, -2e9])
def test_what_rounding_leaves_of_a_constant_column_is_no_signal(value: float) -> None:
    values = np.full((9, 1), value)
    values[4] = np.nextafter(value, np.inf)
    scaling = Scaling.of(values)
    assert scaling.spread.tolist() == [np.inf]
    assert scaling.to_unit(values, unseen=5.0).tolist() == [[0.0]] * 9


def test_another_value_of_a_column_that_never_varied_is_unseen() -> None:
    scaling = Scaling.of(np.array([[0.0, 2.0], [4.0, 2.0]]))
    rows = np.array([[4.0, 2.5], [2.0, 2.0]])
    assert scaling.to_unit(rows, unseen=3.0).tolist() == [[1.0, 3.0], [0.0, 0.0]]
    assert scaling.to_unit(rows).tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_a_column_of_zeros_is_constant_and_a_tiny_one_is_not() -> None:
    scaling = Scaling.of(np.array([[0.0, 0.0], [0.0, 1e-100]]))
    assert np.isinf(scaling.spread).tolist() == [True, False]

"""The doubt of many rows, listed, against the doubt by inner products; and saved and loaded."""

import numpy as np
import pytest

from niwaki.core.randomness import stream
from niwaki.predictors.linear.listed_doubt import ListedDoubt
from niwaki.predictors.linear.pairwise import Decomposition, Doubt
from niwaki.predictors.linear.ridge import Ridge

RNG = stream(0, "listed doubt")
ROWS, OTHER = RNG.normal(size=(100, 5)), RNG.normal(size=(9, 5))


@pytest.mark.parametrize("pair_weight", [0.0, 0.3])
def test_listing_changes_no_number(pair_weight: float) -> None:
    decomposition = Decomposition.of(ROWS, pair_weight)
    found = ListedDoubt.left_by(ROWS, decomposition, 0.5).at(OTHER)
    expected = Doubt.left_by(ROWS, decomposition, 0.5).at(OTHER)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_what_many_rows_taught_is_restored() -> None:
    taught, other = Ridge(), Ridge()
    taught.fit(ROWS, ROWS[:, :1] * ROWS[:, 1:2])
    state = taught.state()
    assert not any(len(array) == len(ROWS) for array in state.values() if array.ndim)
    other.restore(state)
    np.testing.assert_array_equal(other.predict(OTHER).std, taught.predict(OTHER).std)

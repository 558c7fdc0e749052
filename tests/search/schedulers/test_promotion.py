"""Who climbs, of those that are equally good: the loneliest, in any unit."""

import numpy as np
import pytest

from niwaki.search.schedulers.promotion import _loneliest

COSTS = np.array([[0.0, 4.0], [1.0, 1.0], [4.0, 0.0]])


@pytest.mark.parametrize("unit", [[1.0, 1.0], [1000.0, 0.01]])
def test_the_loneliest_is_farthest_from_its_nearest_neighbour_in_any_unit(
    unit: list[float],
) -> None:
    front = np.array([[0.0, 3.0], [3.0, 1.0]])
    # Distances of 1, of 2, and of the root of 2.
    assert _loneliest(COSTS * unit - 7.0, front * unit - 7.0) == 1
    assert _loneliest(COSTS[:, [1, 0]] * unit, front[:1, [1, 0]] * unit) == 2


@pytest.mark.parametrize("unit", [[1.0, 1.0], [1000.0, 0.01]])
def test_with_nobody_ahead_it_is_the_nearest_to_the_ideal(unit: list[float]) -> None:
    assert _loneliest(COSTS * unit + 5.0, np.empty((0, 2))) == 1

"""Cost features against hand counts."""

import numpy as np
import pytest

from niwaki.core.errors import DataError
from niwaki.predictors.costs import LayerCosts, cost_features


def test_groups_are_summed_and_absent_layers_cost_nothing() -> None:
    macs = np.array([[10.0, 20.0, 0.0], [1.0, 0.0, 5.0]])
    costs = LayerCosts(macs, 2.0 * macs, 3.0 * macs)
    groups = {"all": np.array([True] * 3), "last": np.array([False, False, True])}
    found = cost_features(costs, groups)
    np.testing.assert_allclose(
        found[0],
        [30, 60, 90, *np.log1p([30, 60, 90]), 2, 0, 0, 0, 0, 0, 0, 0],
    )
    np.testing.assert_allclose(found[1, [0, 6, 7, 13]], [6, 2, 5, 1])
    assert cost_features(costs, {}).shape == (2, 0)


def test_shapes_are_checked() -> None:
    with pytest.raises(DataError, match="costs of layers have one shape"):
        LayerCosts(np.zeros((2, 3)), np.zeros((2, 4)), np.zeros((2, 3)))
    costs = LayerCosts(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(DataError, match="group 'all' has shape"):
        cost_features(costs, {"all": np.ones(2, dtype=bool)})

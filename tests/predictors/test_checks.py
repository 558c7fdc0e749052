"""What every kind refuses alike, and in what words."""

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.core.randomness import stream
from niwaki.predictors.base import Predictor
from niwaki.predictors.registry import PREDICTORS
from niwaki.predictors.standard import standard_predictor

RNG = stream(0, "checks")
X, Y = RNG.random((30, 3)), RNG.random((30, 1))


def kind(name: str) -> Predictor:
    """Return a predictor by name, "standard" among them."""
    return standard_predictor() if name == "standard" else PREDICTORS.find(name).load()(None)


@pytest.mark.parametrize("name", [*PREDICTORS.names(), "standard"])
@pytest.mark.parametrize(
    ("features", "values", "message"),
    [
        (X * 1e200, Y, "a feature is .* give the features in larger units"),
        (X, Y * 1e160, "a value to learn from is .* give the values in larger units"),
        (X, np.zeros((30, 0)), "has no column to learn"),
        (np.full((30, 3), "conv"), Y, "features are no table of numbers .*'conv'"),
        (X, np.full((30, 1), "fast"), "values are no table of numbers .*'fast'"),
        ([[1.0], [2.0, 3.0]], Y, "features are no table of numbers .* rows of equal length"),
        (X + 1j, Y, "they are complex"),
    ],
)
def test_every_kind_refuses_the_same(
    name: str, features: NDArray[np.float64], values: NDArray[np.float64], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        kind(name).fit(features, values)


def test_the_standard_predictor_says_at_once_how_many_rows_it_needs() -> None:
    with pytest.raises(DataError, match="at least 4 are needed"):
        standard_predictor().fit(X[:2], Y[:2])
    standard_predictor().fit(X[:4], Y[:4])

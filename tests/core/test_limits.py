"""Limits of settings."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from niwaki.core.errors import ConfigError
from niwaki.core.limits import require_at_least, require_counts, require_positive, require_share


@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_what_is_too_small_is_named_with_its_limit(value: float) -> None:
    with pytest.raises(ConfigError, match=rf"'epochs' is {value}: give at least 1"):
        require_at_least(SimpleNamespace(epochs=value), {"epochs": 1})


def test_the_limit_itself_is_allowed() -> None:
    settings = SimpleNamespace(epochs=1, share=1.0, rate=1e-9)
    require_at_least(settings, {"epochs": 1})
    require_share(settings, "share")
    require_positive(settings, "rate")


def test_counts_become_pythons_own() -> None:
    settings = SimpleNamespace(seed=np.int64(3))
    require_counts(settings, "seed")
    assert type(settings.seed) is int


@pytest.mark.parametrize("value", [-1, 1.5, True, "3", None])
def test_what_is_no_count_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match=r"'seed' is .*: give a whole number from 0 on"):
        require_counts(SimpleNamespace(seed=value), "seed")


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_zero_is_not_positive(value: float) -> None:
    with pytest.raises(ConfigError, match=f"'rate' is {value}: give a number above 0"):
        require_positive(SimpleNamespace(rate=value), "rate")


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_shares_lie_between_nothing_and_all(value: float) -> None:
    with pytest.raises(ConfigError, match=f"'share' is {value}: give a number from 0 to 1"):
        require_share(SimpleNamespace(share=value), "share")

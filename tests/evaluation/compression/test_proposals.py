"""Budgets of allocations: as many as are asked for, each within reach."""

import pytest

from niwaki.evaluation.compression.proposals import reachable


@pytest.mark.parametrize(
    ("share", "least", "expected"), [(0.5, 1.0, 5.0), (0.28, 9.0, 9.28), (0.75, 9.0, 9.75)]
)
def test_a_share_below_the_smallest_network_is_one_of_the_way_there(
    share: float, least: float, expected: float
) -> None:
    assert reachable(share, 10.0, least) == pytest.approx(expected)

"""Problems turn trials into costs and violations."""

import numpy as np
import pytest

from niwaki.core import Bound, Candidate, Direction, Measurement, Objective, Status, Trial
from niwaki.search import Problem
from niwaki.spaces import Choice, ChoiceSpace

CANDIDATE = Candidate.of({"a": 1})
PROBLEM = Problem(
    ChoiceSpace((Choice("a", (1, 2)),)),
    (Objective("accuracy", Direction.MAXIMIZE), Objective("latency_ms", Direction.MINIMIZE)),
    (Bound("latency_ms", 1.0, 4.0), Bound("macs", 1.0, 100.0)),
)


def trial(status: Status = Status.COMPLETE, **values: float) -> Trial:
    return Trial(0, CANDIDATE, Measurement(CANDIDATE.key, values, status))


@pytest.mark.parametrize(
    ("told", "violation"),
    [
        (trial(accuracy=0.9, latency_ms=4.0, macs=100.0), 0.0),
        (trial(accuracy=0.9, latency_ms=5.0, macs=150.0), 0.25 + 0.5),
        (trial(accuracy=0.9, latency_ms=3.0, macs=150.0), 0.5),
        (trial(accuracy=np.nan, latency_ms=3.0, macs=1.0), np.inf),
        (trial(latency_ms=3.0, macs=1.0), np.inf),
        (trial(accuracy=0.9, latency_ms=3.0), np.inf),
        (trial(Status.INFEASIBLE, macs=150.0), 0.5),
        (trial(Status.INFEASIBLE, macs=50.0), np.inf),
        (trial(Status.FAILED, accuracy=0.9, latency_ms=5.0, macs=1.0), np.inf),
        (trial(Status.FAILED), np.inf),
    ],
)
def test_violations(told: Trial, violation: float) -> None:
    assert PROBLEM.violations([told]).tolist() == [violation]


def test_costs_are_minimised_and_nan_where_nothing_was_measured() -> None:
    told = [
        trial(accuracy=0.9, latency_ms=4.0, macs=1.0),
        trial(latency_ms=4.0),
        trial(Status.FAILED, accuracy=0.9, latency_ms=4.0),
    ]
    expected = [[-0.9, 4.0], [np.nan, 4.0], [np.nan, np.nan]]
    np.testing.assert_array_equal(PROBLEM.costs(told), expected)
    assert PROBLEM.costs([]).shape == (0, 2)

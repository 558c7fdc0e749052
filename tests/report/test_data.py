"""What a report refuses to be made of."""

import pytest

from niwaki.core.errors import ConfigError
from niwaki.report import ReportData
from tests.report.studies import LATENCY, study


def test_a_report_needs_an_objective() -> None:
    with pytest.raises(ConfigError, match="at least one objective"):
        ReportData(study="empty", objectives=(), trials=())


def test_a_goal_has_a_name_that_an_address_can_hold() -> None:
    with pytest.raises(ConfigError, match="a goal is called 'a&b'"):
        ReportData(study="s", objectives=(LATENCY,), trials=(), goal="a&b")


def test_a_curve_has_one_value_per_trial() -> None:
    trials = study(3).trials
    with pytest.raises(ConfigError, match="'hypervolume' has 2 values for 3 trials"):
        ReportData(study="short", objectives=(LATENCY,), trials=trials, hypervolume=(0.1, 0.2))

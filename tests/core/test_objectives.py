"""The one place where a sign is flipped."""

import json
import math

import numpy as np

from niwaki.core import Direction, Objective
from niwaki.core.objectives import in_user_direction, minimised

WANTED = (Objective("accuracy", Direction.MAXIMIZE), Objective("latency_ms", Direction.MINIMIZE))


def test_inside_everything_is_minimised() -> None:
    costs = minimised([{"accuracy": 0.9, "latency_ms": 2.0, "other": 7.0}], WANTED)
    assert costs.tolist() == [[-0.9, 2.0]]


def test_a_missing_value_is_nan() -> None:
    costs = minimised([{"accuracy": 0.9}, {}], WANTED)
    assert np.isnan(costs).tolist() == [[False, True], [True, True]]
    assert minimised([], WANTED).shape == (0, 2)


def test_the_way_back() -> None:
    costs = np.array([[-0.9, 2.0], [0.1, np.inf]])
    assert in_user_direction(costs, WANTED).tolist() == [[0.9, 2.0], [-0.1, np.inf]]


def test_limits_survive_json_and_are_not_there_where_nothing_is_known() -> None:
    share = Objective("share", Direction.MAXIMIZE, least=0.0, most=1.0)
    error = Objective("error", Direction.MINIMIZE, "m", least=0.0)
    for objective in (*WANTED, share, error):
        text = json.dumps(objective.to_json(), allow_nan=False)
        assert Objective.from_json(json.loads(text)) == objective
    assert error.to_json() == {"name": "error", "direction": "minimize", "unit": "m", "least": 0.0}
    assert Objective.from_json({"name": "x", "direction": "minimize", "unit": ""}).most == math.inf

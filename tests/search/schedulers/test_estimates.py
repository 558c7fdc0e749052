"""What full effort is expected to give, learned anew from each candidate measured twice."""

import numpy as np

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.search.base import Problem
from niwaki.search.schedulers.estimates import Estimates
from niwaki.search.schedulers.learning_curve import fit_curve
from niwaki.testing.scheduler_contract import TOY


def trial(number: int, fidelity: float, error: float) -> Trial:
    measurement = Measurement(str(number), {"error": error}, fidelity=fidelity)
    return Trial(number, Candidate.of({"number": number}), measurement)


def test_each_candidate_measured_twice_is_learned_from_at_once() -> None:
    estimates = Estimates(Problem(TOY.space, (Objective("error", Direction.MINIMIZE),)))
    asked = trial(0, 0.5, 12.0)
    estimates.tell([asked])
    assert estimates.expected([asked]).costs.tolist() == [[12.0]]
    low, high = [10.0, 20.0, 14.0], [7.0, 15.0, 9.0]
    for n in (1, 2, 3):
        estimates.tell([trial(n, 0.5, low[n - 1]), trial(n, 1.0, high[n - 1])])
        curve = fit_curve(np.array(low[:n]), np.array(high[:n]))
        assert curve is not None
        found = estimates.expected([asked])
        assert found.costs[0, 0] == curve.mean(np.array([12.0]))[0]
        assert found.spreads[0, 0] == curve.spread(np.array([12.0]))[0]

"""What full effort is expected to give, learned from candidates measured twice."""

from collections.abc import Iterable

import numpy as np

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.search.base import Problem
from niwaki.search.schedulers.estimates import Estimates
from niwaki.search.schedulers.learning_curve import fit_curve
from niwaki.testing.scheduler_contract import TOY

PROBLEM = Problem(TOY.space, (Objective("error", Direction.MINIMIZE),))


def trial(number: int, fidelity: float, error: float) -> Trial:
    measurement = Measurement(str(number), {"error": error}, fidelity=fidelity)
    return Trial(number, Candidate.of({"number": number}), measurement)


def test_each_candidate_measured_twice_is_learned_from_at_once() -> None:
    estimates = Estimates(PROBLEM)
    asked = trial(0, 0.5, 12.0)
    estimates.tell([asked])
    assert estimates.expected([asked], PROBLEM).costs.tolist() == [[12.0]]
    low, high = [10.0, 20.0, 14.0], [7.0, 15.0, 9.0]
    for n in (1, 2, 3):
        estimates.tell([trial(n, 0.5, low[n - 1]), trial(n, 1.0, high[n - 1])])
        curve = fit_curve(np.array(low[:n]), np.array(high[:n]))
        assert curve is not None
        found = estimates.expected([asked], PROBLEM)
        assert found.costs[0, 0] == curve.mean(np.array([12.0]))[0]
        assert found.spreads[0, 0] == curve.spread(np.array([12.0]))[0]


def pairs(numbers: Iterable[int]) -> list[Trial]:
    """Return trials at a tenth and at all of the effort, of one candidate after the other."""
    return [
        Trial(x, c, Measurement(c.key, {"error": x + gained * x**0.5}, fidelity=fidelity))
        for x in numbers
        for c in [Candidate.of({"x": x})]
        for fidelity, gained in ((0.1, 0.0), (1.0, -1.0))
    ]


def test_of_few_pairs_each_is_learned_from_at_once() -> None:
    estimates = Estimates(PROBLEM)
    estimates.tell(pairs(range(98)))
    before = estimates.corrections
    estimates.tell(pairs([98]))
    assert estimates.corrections[0.1]["error"][0].x[-1] == 98.0
    assert before[0.1]["error"][0].x[-1] == 97.0


def test_of_many_pairs_curves_are_fitted_again_when_there_are_notably_more() -> None:
    estimates = Estimates(PROBLEM)
    estimates.tell(pairs(range(120)))
    before = estimates.corrections
    estimates.tell(pairs(range(120, 129)))
    assert estimates.corrections is before
    estimates.tell(pairs([129]))
    assert estimates.corrections[0.1]["error"][0].x[-1] == 129.0


def test_what_is_learned_does_not_depend_on_when_it_was_asked_for() -> None:
    watched, resumed = Estimates(PROBLEM), Estimates(PROBLEM)
    for trial in pairs(range(125)):
        watched.tell([trial])
        assert watched.corrections
    resumed.tell(pairs(range(125)))
    one, other = (e.corrections[0.1]["error"][0] for e in (watched, resumed))
    assert one.x.tolist() == other.x.tolist()
    assert one.y.tolist() == other.y.tolist()


def test_few_pairs_of_one_step_are_learned_from_beside_many_of_another() -> None:
    estimates = Estimates(PROBLEM)
    estimates.tell(pairs(range(125)))
    lower = Candidate.of({"x": 5})
    estimates.tell([Trial(5, lower, Measurement(lower.key, {"error": 9.0}, fidelity=0.01))])
    assert estimates.corrections[0.01]["error"][0].y[0] == 5.0

"""Spaces of which most candidates fail, as of kernels that a device cannot run."""

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.search.base import Problem
from niwaki.search.surrogate import Surrogate
from niwaki.spaces import Choice, ChoiceSpace

SPACE = ChoiceSpace(tuple(Choice(f"x{i}", tuple(range(6))) for i in range(8)))
PROBLEM = Problem(SPACE, (Objective("cost", Direction.MINIMIZE),))
WORKING = Candidate.of({f"x{i}": 2 for i in range(8)})


def differences(candidate: Candidate) -> int:
    return sum(value != 2 for value in candidate.decisions.values())


def test_where_almost_all_fails_every_other_candidate_is_like_what_worked() -> None:
    searcher = Surrogate(PROBLEM)
    searcher.tell([Trial(-1, WORKING, Measurement(WORKING.key, {"cost": 1.0}))])
    unlike: list[int] = []
    for number in range(24):
        [candidate] = searcher.ask(1)
        unlike.append(differences(candidate))
        failed = Measurement(candidate.key, status=Status.FAILED, reason="no resources")
        searcher.tell([Trial(number, candidate, failed)])
    assert min(unlike[:11]) > 3  # spread over the space
    assert max(unlike[13::2]) <= 3 < min(unlike[12::2])

"""Cheap values as features."""

import numpy as np
import pytest

from niwaki.core import Direction, Objective
from niwaki.core.candidate import Candidate
from niwaki.search import Problem
from niwaki.search.surrogate.counts import Counts
from niwaki.search.surrogate.pool import Catalogue
from niwaki.spaces import Choice, ChoiceSpace

SPACE = ChoiceSpace(tuple(Choice(f"width{i}", (1, 2, 4)) for i in range(4)))


def counted(candidate: Candidate) -> dict[str, float]:
    """Return a count without an upper end to speak of, and one that is often missing."""
    widths = np.array([float(str(value)) for _, value in candidate.items])
    found = {"macs": 1e6 * float(np.prod(widths))}
    return found | ({"change": float(widths[0] - 2.0)} if widths[1] > 1.0 else {})


PROBLEM = Problem(SPACE, (Objective("error", Direction.MINIMIZE),), cheap=counted)


def test_a_doubled_count_is_a_step_of_one_length() -> None:
    counts = Counts({"macs": 1e3})
    steps = np.diff(counts.encode([{"macs": 1e6 * 2.0**i} for i in range(8)])[:, 0])
    assert steps == pytest.approx(np.log(2.0), abs=1e-3)


def test_zero_negative_missing_and_infinite_values_have_a_place() -> None:
    counts = Counts({"change": 2.0})
    rows = [{"change": -4.0}, {"change": 0.0}, {"change": 4.0}, {}, {"change": np.inf}]
    encoded = counts.encode(rows)[:, 0]
    assert encoded[0] < encoded[1] == encoded[3] == encoded[4] == 0.0 < encoded[2]


def test_the_same_values_are_found_in_every_search_of_a_space() -> None:
    assert set(Counts.of(PROBLEM).units) == {"macs", "change"}
    assert Counts.of(PROBLEM) == Counts.of(PROBLEM)


def test_features_do_not_hang_on_the_way_a_candidate_was_met() -> None:
    one, other = (Catalogue(PROBLEM, learns_from_cheap=True) for _ in range(2))
    listed = one.everything()
    candidate = listed.candidates[5]
    assert other.pool([candidate]).features[0] == pytest.approx(listed.features[5])
    plain = Catalogue(PROBLEM).pool([candidate]).features
    assert other.pool([candidate]).features.shape[1] == plain.shape[1] + 2

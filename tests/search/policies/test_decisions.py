"""Decisions as columns, and distributions over them."""

import numpy as np

from niwaki.core.randomness import stream
from niwaki.search.policies.decisions import Decisions
from niwaki.spaces.choices import Choice, ChoiceSpace, Condition

SPACE = ChoiceSpace(
    (
        Choice("width", (8, 16, 32), ordered=True),
        Choice("kind", ("plain", "wide")),
        Choice("depth", (1, 2), when=(Condition("kind", ("wide",)),), ordered=True),
    )
)


def test_ordered_options_are_options_as_others_are() -> None:
    decisions = Decisions(SPACE)
    [narrow] = decisions.encode([SPACE.canonical({"width": 8, "kind": "plain"})])
    assert narrow.tolist() == [1, 0, 0, 1, 0, 0, 0]
    assert decisions.active(narrow).tolist() == [1, 1, 1, 1, 1, 0, 0]


def test_what_is_drawn_of_ordered_options_is_drawn_by_its_odds() -> None:
    decisions = Decisions(SPACE)
    odds = np.exp(decisions.log_probabilities(np.array([0.0, 1.0, 2.0, 0.0, 1.0, 0.0, 1.0])))
    shares = decisions.encode(decisions.draw(odds, 4000, stream(0, "drawn"))).mean(axis=0)
    np.testing.assert_allclose(shares[:5], odds[:5], atol=0.03)


def test_sureness_is_the_share_of_entropy_that_is_gone() -> None:
    space = ChoiceSpace((*SPACE.choices[:2], Choice("only", ("one",))))
    odds = np.array([[1 / 3, 1 / 3, 1 / 3, 1.0, 0.0, 1.0], [0.5, 0.5, 0.0, 0.5, 0.5, 1.0]])
    third = 1.0 - np.log(2.0) / np.log(3.0)
    np.testing.assert_allclose(
        Decisions(space).sureness(odds), [[0.0, 1.0, 1.0], [third, 0.0, 1.0]], atol=1e-12
    )


def test_the_likeliest_candidate_takes_the_likeliest_option_of_each_decision() -> None:
    decisions = Decisions(SPACE)
    wide = decisions.likeliest(np.array([0.2, 0.7, 0.1, 0.4, 0.6, 0.1, 0.9]))
    assert dict(wide.decisions) == {"width": 16, "kind": "wide", "depth": 2}
    plain = decisions.likeliest(np.array([0.2, 0.1, 0.7, 0.6, 0.4, 0.1, 0.9]))
    assert plain == SPACE.canonical({"width": 32, "kind": "plain"})

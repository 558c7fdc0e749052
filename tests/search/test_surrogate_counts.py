"""Cheap values as features."""

from dataclasses import replace

import numpy as np
import pytest

from niwaki.core import Direction, Objective
from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.search import Problem
from niwaki.search.surrogate import Surrogate
from niwaki.search.surrogate.catalogue import Catalogue
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.spaces.tallies import Tallies

SPACE = ChoiceSpace(tuple(Choice(f"width{i}", (1, 2, 4)) for i in range(4)))


def counted(candidate: Candidate) -> dict[str, float]:
    """Return a count without an upper end to speak of, and one that is often missing."""
    widths = np.array([float(str(value)) for _, value in candidate.items])
    found = {"macs": 1e6 * float(np.prod(widths))}
    return found | ({"change": float(widths[0] - 2.0)} if widths[1] > 1.0 else {})


PROBLEM = Problem(SPACE, (Objective("error", Direction.MINIMIZE),), cheap=counted)


def test_features_do_not_hang_on_the_way_a_candidate_was_met() -> None:
    one, other = (Catalogue(PROBLEM, learns_from_cheap=True) for _ in range(2))
    listed = one.everything()
    candidate = listed.candidates[5]
    assert other.pool([candidate]).features[0] == pytest.approx(listed.features[5])
    plain = Catalogue(PROBLEM).pool([candidate]).features
    assert other.pool([candidate]).features.shape[1] == plain.shape[1] + 2


def test_a_small_space_is_listed_once_for_all_searchers_of_a_problem() -> None:
    asked: list[str] = []

    def noted(candidate: Candidate) -> dict[str, float]:
        asked.append(candidate.key)
        return counted(candidate)

    problem = replace(PROBLEM, cheap=noted)
    first = [Surrogate(problem).ask(3) for _ in range(2)]
    assert first[0] == first[1]
    n_of_one = len(asked)
    assert n_of_one < 2 * SPACE.size
    Surrogate(replace(problem, seed=1)).ask(1)
    assert len(asked) == 2 * n_of_one


def test_every_column_of_features_has_its_kind() -> None:
    catalogue = Catalogue(PROBLEM, learns_from_cheap=True)
    n_columns = catalogue.everything().features.shape[1]
    n_counts = 2
    tallies = Tallies.of(SPACE).columns
    kinds = catalogue.kinds(n_columns).tolist()
    assert kinds[-n_counts:] == [2, 2]
    assert kinds.count(1) == len(tallies) == 3
    assert kinds.count(0) == len(SPACE.encode([SPACE.sample(stream(0, "any"))])[0])


def test_both_features_of_a_candidate_and_of_its_kin_have_kinds() -> None:
    catalogue = Catalogue(replace(PROBLEM, alike=lambda _: "kin"), learns_from_cheap=True)
    kinds = catalogue.kinds(catalogue.everything().features.shape[1]).tolist()
    assert kinds.count(1) == 6
    assert kinds.count(0) == 2 * Catalogue(PROBLEM).kinds(
        Catalogue(PROBLEM).everything().features.shape[1]
    ).tolist().count(0)
    own, kin = catalogue.views(len(kinds))
    assert kinds[own] == kinds[kin]
    assert kinds[kin.stop :] == [2, 2]


def test_features_of_one_decision_are_a_group() -> None:
    catalogue = Catalogue(replace(PROBLEM, alike=lambda _: "kin"), learns_from_cheap=True)
    n_columns = catalogue.everything().features.shape[1]
    layout, kinds = catalogue.layout(n_columns), catalogue.kinds(n_columns)
    assert layout.groups is not None
    own, kin = (layout.groups[view] for view in layout.views)
    paths = SPACE.encoded_paths
    encoded = own[: len(paths)].tolist()
    assert len(set(zip(paths, encoded, strict=True))) == len(set(paths)) == len(set(encoded))
    assert len(set(own[kinds[: len(own)] == 1])) == 1  # tallies of the same options
    assert not set(own[kinds[: len(own)] == 1]) & set(encoded)
    assert kin.tolist() == (own + own.max() + 1).tolist()
    counts = layout.groups[kinds == 2].tolist()
    assert len(set(counts)) == 2
    assert not set(counts) & {*own.tolist(), *kin.tolist()}


def test_first_candidates_do_not_hang_on_who_is_alike() -> None:
    """How unlike two candidates are is said by themselves."""
    alike = replace(
        PROBLEM, alike=lambda candidate: str(sorted(map(str, candidate.decisions.values())))
    )
    assert Surrogate(alike).ask(6) == Surrogate(PROBLEM).ask(6)


def test_first_candidates_are_spread_over_what_they_cost() -> None:
    """One cheap value is not lost among the columns of thirty decisions that cost nothing."""
    free = tuple(Choice(f"op{i}", (f"a{i}", f"b{i}")) for i in range(30))
    space = ChoiceSpace((*free, Choice("log_macs", tuple(range(33)))))

    def macs(candidate: Candidate) -> dict[str, float]:
        return {"macs": 2.0 ** float(str(candidate.decisions["log_macs"]))}

    for seed in range(5):
        problem = replace(PROBLEM, space=space, cheap=macs, seed=seed)
        costs = [np.log2(macs(each)["macs"]) for each in Surrogate(problem).ask(3)]
        assert costs[:2] == [0.0, 32.0]
        assert 10.0 < costs[2] < 22.0

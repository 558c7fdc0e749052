"""The surrogate searcher on trees of a grammar: it keeps near the networks that are known."""

import gc
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core import Direction, Objective
from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.randomness import stream
from niwaki.search import Problem
from niwaki.search.base import Earlier
from niwaki.search.earlier import N_FIRST, informed
from niwaki.search.surrogate import Surrogate, SurrogateSettings
from niwaki.search.surrogate.catalogue import Catalogue, grow
from niwaki.search.surrogate.guessed import (
    FIRST_DRAWN,
    LEAST_SHARE_OF_TURNS,
    MOST_KEPT,
    Guessed,
    Told,
)
from niwaki.search.surrogate.pool import Pool
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.spaces.einspace import EinspaceSettings
from niwaki.spaces.grammar import distance

TREES = EinspaceSettings().space_for((3, 16, 16))
KNOWN = max((TREES.sample(stream(i, "known")) for i in range(20)), key=lambda c: len(str(c)))
ERROR = (Objective("error", Direction.MINIMIZE),)
SETTINGS = SurrogateSettings(n_initial=8, pool_size=30)


def away(candidate: Candidate) -> float:
    """Return how far a tree is from the known one."""
    return distance(TREES.tree(candidate), TREES.tree(KNOWN))


def told(searcher: Surrogate, n: int, error: Callable[[Candidate], float]) -> list[Trial]:
    """Return n trials that a searcher asked for and was told."""
    trials = []
    for number in range(n):
        [candidate] = searcher.ask(1)
        measured = Measurement(candidate.key, {"error": error(candidate)})
        trials.append(Trial(number, candidate, measured))
        searcher.tell(trials[-1:])
    return trials


def test_three_of_four_of_the_first_trees_are_mutants_of_the_known_ones() -> None:
    asked = Surrogate(Problem(TREES, ERROR, seed=1, initial=(KNOWN,)), SETTINGS).ask(8)
    assert asked[0] == KNOWN
    near = [away(candidate) < 20 for candidate in asked[1:]]
    assert near == [True, True, False, True, True, True, False]


def test_trees_learn_from_an_earlier_search() -> None:
    rng = stream(0, "earlier")
    trees = {tree.key: tree for tree in (TREES.sample(rng) for _ in range(40))}
    trials = [
        Trial(i, tree, Measurement(tree.key, {"error": away(tree)}))
        for i, tree in enumerate(trees.values())
    ]
    problem = informed(Problem(TREES, ERROR), [Earlier(ERROR, (), tuple(trials))])
    best = sorted(trials, key=lambda trial: trial.measurement.values["error"])[:N_FIRST]
    assert list(problem.initial) == [trial.candidate for trial in best]
    found = told(Surrogate(problem, SETTINGS), 20, lambda tree: 2.0 * away(tree) + 5.0)
    later = [away(trial.candidate) for trial in found[N_FIRST:]]
    assert np.median(later) < np.quantile([away(tree) for tree in trees.values()], 0.3)


def test_kin_descend_from_their_parents_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def anywhere(space: ChoiceSpace, rng: np.random.Generator) -> Candidate:
        raise AssertionError("a candidate came from anywhere")

    space = ChoiceSpace(tuple(Choice(f"layer{i}", ("none", "small", "large")) for i in range(40)))
    parent = space.decide(lambda path, options: options[-1])
    catalogue = Catalogue(Problem(space, ERROR))
    catalogue.pool([parent])
    monkeypatch.setattr(ChoiceSpace, "sample", anywhere)

    def grown(*, roams: bool) -> Pool:
        def score(pool: Pool) -> NDArray[np.float64]:
            return np.zeros(len(pool))

        return grow(catalogue, [parent], stream(0), size=50, score=score, roams=roams)

    assert len(grown(roams=False)) > 20
    with pytest.raises(AssertionError, match="anywhere"):
        grown(roams=True)


def test_the_cycle_collector_is_paused_while_a_pool_grows() -> None:
    def score(pool: Pool) -> NDArray[np.float64]:
        assert not gc.isenabled()
        return np.zeros(len(pool))

    catalogue = Catalogue(Problem(TREES, ERROR))
    assert len(grow(catalogue, [KNOWN], stream(0), size=20, score=score)) > 10
    assert gc.isenabled()


def test_a_space_of_known_size_is_searched_everywhere_whatever_is_known() -> None:
    space = ChoiceSpace(tuple(Choice(f"layer{i}", ("none", "small", "large")) for i in range(40)))
    known = space.decide(lambda path, options: options[int(path[5:]) % 3])
    problem = Problem(space, ERROR, seed=4, initial=(known,))
    asked = Surrogate(problem, SurrogateSettings(n_initial=8, list_up_to=0)).ask(8)[1:]
    changed = [len(set(candidate.items) - set(known.items)) for candidate in asked]
    assert math.isfinite(space.size)
    assert np.median(changed) > 20


def small(candidate: Candidate) -> Mapping[str, float]:
    """Guess that small trees are good."""
    return {"size": -float(TREES.tree(candidate).n_leaves)}


def test_guesses_choose_from_everywhere_and_among_kin_before_the_model_does() -> None:
    problem = Problem(TREES, ERROR, seed=5, initial=(KNOWN,))
    guessing = replace(problem, promises=small)
    sizes = [
        np.mean(
            [TREES.tree(t.candidate).n_leaves for t in told(Surrogate(each, SETTINGS), 10, away)]
        )
        for each in (guessing, problem)
    ]
    assert sizes[0] < 0.7 * sizes[1]


@pytest.mark.parametrize(
    "problem",
    [
        Problem(TREES, ERROR, seed=3, initial=(KNOWN,)),
        Problem(TREES, ERROR, seed=6, promises=small),
    ],
    ids=["near known trees", "with guesses"],
)
def test_a_search_goes_on_where_it_was_left(problem: Problem) -> None:
    whole, again = Surrogate(problem, SETTINGS), Surrogate(problem, SETTINGS)
    trials = told(whole, 12, away)
    pending = whole.ask(2)
    again.resume([*(trial.candidate for trial in trials), *pending])
    again.tell(trials)
    assert again.ask(3, pending) == whole.ask(3, pending)


def test_samples_and_kin_have_turns_as_often_as_theirs_turned_out_well() -> None:
    problem = Problem(TREES, ERROR, seed=8, promises=small)
    guessed = Guessed(Catalogue(problem))
    samples = [TREES.sample(stream(8, "anywhere", number)) for number in range(6)]
    kin = [TREES.mutate(KNOWN, stream(8, "mutant", number)) for number in range(6)]
    trials = [*samples, *kin]
    assert len({problem.identity(each) for each in trials}) == 12

    def share(candidates: list[Candidate], ranks: np.ndarray, known_rank: int = 60) -> float:
        return guessed.share_of_samples(Told(candidates, ranks, known_rank), 12)

    assert share([], np.zeros(0, dtype=np.int64)) == 0.5
    kin_is_good, samples_are_good = np.arange(12)[::-1], np.arange(12)
    assert share(trials, kin_is_good) == pytest.approx((0.5 / 8) / (0.5 / 8 + 3.5 / 8))
    assert share(trials, samples_are_good) == pytest.approx((3.5 / 8) / (0.5 / 8 + 3.5 / 8))
    assert share(kin * 3 + samples * 7, np.arange(60)) == LEAST_SHARE_OF_TURNS
    # The best of samples alone are no good where a known network is better than all of them.
    assert share(samples, np.arange(1, 7), known_rank=0) == pytest.approx(
        (0.5 / 8) / (0.5 / 8 + 0.5 / 2)
    )


def test_with_several_objectives_guesses_leave_half() -> None:
    both = (*ERROR, Objective("latency", Direction.MINIMIZE))
    pools = [
        Guessed(Catalogue(Problem(TREES, objectives, promises=small))).anywhere(0, set())
        for objectives in (ERROR, both)
    ]
    assert len(pools[0]) == MOST_KEPT
    assert len(pools[1]) >= FIRST_DRAWN // 4 > MOST_KEPT

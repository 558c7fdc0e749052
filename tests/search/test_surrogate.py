"""The surrogate searcher: what is peculiar to it."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core import Direction, Objective
from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound
from niwaki.core.errors import ConfigError
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.pareto import hypervolume
from niwaki.core.randomness import stream
from niwaki.search import Problem
from niwaki.search.surrogate import Surrogate, SurrogateSettings, descriptions
from niwaki.search.surrogate.beliefs import Belief, Learned, learn
from niwaki.search.surrogate.boxes import Decomposition
from niwaki.search.surrogate.catalogue import Catalogue
from niwaki.search.surrogate.outlook import Extent, Outlook
from niwaki.search.surrogate.pool import Pool
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.spaces.walks import every_candidate

LAYERS = ChoiceSpace(tuple(Choice(f"layer{i}", ("none", "small", "large")) for i in range(6)))
COSTS = {"none": 0.0, "small": 1.0, "large": 3.0}
OBJECTIVES = (Objective("error", Direction.MINIMIZE), Objective("cost", Direction.MINIMIZE))


def values(candidate: Candidate) -> dict[str, float]:
    chosen = [str(value) for _, value in candidate.items]
    cost = sum(COSTS[each] for each in chosen)
    error = sum(np.exp(-COSTS[each]) / (i + 1) for i, each in enumerate(chosen))
    return {"error": float(error), "cost": float(cost)}


def searched(
    searcher: Surrogate, n: int, fails: Callable[[Candidate], bool] = lambda _: False
) -> list[tuple[Candidate, Mapping[str, float]]]:
    """Return what a searcher asked for, with its values."""
    found: list[tuple[Candidate, Mapping[str, float]]] = []
    for number in range(n):
        [candidate] = searcher.ask(1)
        measured = values(candidate)
        measurement = Measurement(candidate.key, measured)
        if fails(candidate):
            measurement = Measurement(candidate.key, status=Status.FAILED, reason="always")
        searcher.tell([Trial(number, candidate, measurement)])
        found.append((candidate, measured))
    return found


def listed_layers(n: int) -> list[Candidate]:
    """Return the first candidates of the space."""
    return list(islice(every_candidate(LAYERS), n))


def drawn(belief: Belief, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return 4,000 costs of the one candidate that a belief is about."""
    chosen = rng.choice(len(belief.parts), size=4_000, p=belief.weights)
    parts = [p.warp.unwarped(p.mean + p.std * rng.normal(size=4_000)) for p in belief.parts]
    return np.choose(chosen, parts)


def test_the_expected_gain_is_that_of_draws() -> None:
    rng = stream(0, "gain")
    features = rng.random((12, 3))
    costs = {"error": features @ [1.0, 2.0, 0.5], "cost": np.exp(features @ [1.0, -1.0, 1.0])}
    learned: dict[str, Learned] = {name: learn(features, cost) for name, cost in costs.items()}
    front = np.array([[1.2, 2.0], [1.6, 1.2]])
    parts = Decomposition.empty(2).with_point(front[0]).with_point(front[1])
    outlook = Outlook(Problem(LAYERS, OBJECTIVES), learned, None, front, parts)
    pool = Pool([LAYERS.sample(rng)], ["it"], rng.random((1, 3)), {})
    extent = Extent(np.array([1.0, 1.0]), np.array([2.0, 3.0]))
    draws = np.stack([drawn(belief, rng) for belief in outlook.beliefs(pool)], axis=1)
    reference, area = extent.reference, float(np.prod(extent.span))
    before = hypervolume(front, reference)
    gains = [hypervolume(np.vstack([front, draw]), reference) - before for draw in draws]
    expected = outlook.score(pool, extent)[0]
    assert expected == pytest.approx(np.mean(gains) / area, rel=0.1)


def test_a_tiny_front_is_found_with_few_evaluations() -> None:
    found = searched(Surrogate(Problem(LAYERS, OBJECTIVES, seed=1)), 60)
    every = [values(c) for c in Catalogue(Problem(LAYERS, OBJECTIVES)).everything().candidates]
    reference = np.array([2.5, 18.0])

    def volume(some: Sequence[Mapping[str, float]]) -> float:
        return hypervolume(np.array([[v["error"], v["cost"]] for v in some]), reference)

    assert volume([v for _, v in found]) > 0.99 * volume(every)


def test_nothing_that_a_cheap_count_rules_out_is_asked_for() -> None:
    bound = Bound("cost", 1.0, 8.0)
    problem = Problem(
        LAYERS, OBJECTIVES, (bound,), cheap=lambda c: {"cost": values(c)["cost"]}, seed=2
    )
    assert all(measured["cost"] <= 8.0 for _, measured in searched(Surrogate(problem), 60))


@pytest.mark.parametrize("at_once", [1, 5])
def test_what_cheap_counts_rule_out_is_not_gone_through_at_the_end(at_once: int) -> None:
    costs = {c.key: values(c)["cost"] for c in every_candidate(LAYERS)}
    bound = Bound("cost", 1.0, sorted(costs.values())[6])
    problem = Problem(LAYERS, OBJECTIVES, (bound,), cheap=lambda c: {"cost": values(c)["cost"]})
    searcher, found = Surrogate(problem), list[str]()
    while asked := searcher.ask(at_once):
        measured = [Measurement(each.key, values(each)) for each in asked]
        searcher.tell([Trial(n, *both) for n, both in enumerate(zip(asked, measured, strict=True))])
        found += [each.key for each in asked]
    possible = {key for key, cost in costs.items() if bound.is_kept({"cost": cost})}
    assert possible <= set(found)
    # The first ones are spread over what is drawn, of which all may be ruled out.
    assert len(found) <= len(possible) + SurrogateSettings().n_initial + at_once
    assert searcher.favourites(4) == []


def test_a_large_space_obeys_cheap_counts_too() -> None:
    bound = Bound("cost", 1.0, 8.0)
    problem = Problem(
        LAYERS, OBJECTIVES, (bound,), cheap=lambda c: {"cost": values(c)["cost"]}, seed=2
    )
    searcher = Surrogate(problem, SurrogateSettings(list_up_to=0, pool_size=60))
    assert all(measured["cost"] <= 8.0 for _, measured in searched(searcher, 30))


def test_what_is_known_to_be_at_a_limit_is_within() -> None:
    space = ChoiceSpace((Choice("cost", (28, 29, 30)),))
    bounds = (Bound("cost", 1.0, 0.29 * 100), Bound("cost", -1.0, 29.0))
    problem = Problem(
        space, OBJECTIVES, bounds, cheap=lambda c: {"cost": float(str(c.decisions["cost"]))}
    )
    pool = Catalogue(problem).everything()
    outlook = Outlook(problem, {}, None, np.empty((0, 2)), Decomposition.empty(2))
    assert outlook.chance(pool).tolist() == [0.0, 1.0, 0.0]


class _Noted(Learned):
    """Notes each question."""

    asked: ClassVar[list[int]] = []

    def belief(self, features: NDArray[np.float64]) -> Belief:
        self.asked.append(len(features))
        return super().belief(features)


def test_a_value_with_many_bounds_is_predicted_once_for_all_of_them() -> None:
    rng = stream(0, "bounds")
    features = rng.random((12, 3))
    parts = learn(features, features @ [1.0, 2.0, 0.5]).parts
    bounds = tuple(Bound("error", 1.0, 1.0 + number) for number in range(40))
    problem = Problem(LAYERS, OBJECTIVES[:1], bounds)
    outlook = Outlook(
        problem, {"error": _Noted(parts)}, None, np.array([[1.5]]), Decomposition.empty(1)
    )
    pool = Pool(listed_layers(5), list("abcde"), rng.random((5, 3)), {})
    scores, extent = outlook.scored(pool)
    np.testing.assert_array_equal(outlook.score(pool, extent), scores)
    assert _Noted.asked == [5, 5]


def test_how_options_are_sorted_says_nothing_of_those_that_nothing_is_known_of() -> None:
    names = tuple(f"network{i:04}" for i in range(2_000))
    space = ChoiceSpace((Choice("network", names),))
    searcher = Surrogate(Problem(space, OBJECTIVES, seed=0))
    places: list[int] = []
    for number in range(30):
        [candidate] = searcher.ask(1)
        places.append(names.index(str(candidate.decisions["network"])))
        error, cost = stream(0, "values", candidate.key).random(2).tolist()
        measured = Measurement(candidate.key, {"error": error, "cost": cost})
        searcher.tell([Trial(number, candidate, measured)])
    assert sum(place < 200 for place in places[6:]) < 8


def test_it_learns_where_failures_are() -> None:
    def fails(candidate: Candidate) -> bool:
        return candidate.decisions["layer0"] == "small"

    found = searched(Surrogate(Problem(LAYERS, OBJECTIVES, seed=3)), 50, fails)
    assert sum(fails(candidate) for candidate, _ in found[20:]) <= 3


def test_isomorphic_candidates_are_merged_and_share_their_mean_features() -> None:
    def sorted_layers(candidate: Candidate) -> str:
        return " ".join(sorted(str(value) for _, value in candidate.items))

    catalogue = Catalogue(Problem(LAYERS, OBJECTIVES, identity=sorted_layers))
    pool = catalogue.everything()
    assert len(pool) == 28  # ways to put 6 layers into 3 kinds
    one = catalogue.pool([LAYERS.decide(lambda path, options: "small")])
    mixed = pool.features[[n == "large none none none none none" for n in pool.identities]]
    assert one.features[0, :18].tolist() == [0.0, 1.0, 0.0] * 6
    assert mixed[0, :18] == pytest.approx(np.tile([5 / 6, 0.0, 1 / 6], 6))


def test_candidates_that_are_alike_stay_apart_but_share_features() -> None:
    def sorted_layers(candidate: Candidate) -> str:
        return " ".join(sorted(str(value) for _, value in candidate.items))

    pool = Catalogue(Problem(LAYERS, OBJECTIVES, alike=sorted_layers)).everything()
    assert len(pool) == 3**6
    own, kin = np.split(pool.features, 2, axis=1)
    assert len(np.unique(own, axis=0)) == 3**6
    assert len(np.unique(kin.round(9), axis=0)) == 28
    alike = [sorted_layers(c) == "large none none none none none" for c in pool.candidates]
    assert kin[alike].mean(axis=0) == pytest.approx(own[alike].mean(axis=0))


def test_a_search_asks_for_alike_candidates_one_by_one() -> None:
    problem = Problem(LAYERS, OBJECTIVES, seed=5, alike=lambda candidate: "the same")
    found = searched(Surrogate(problem), 20)
    assert len({candidate.key for candidate, _ in found}) == 20


def test_pending_candidates_are_spread_out() -> None:
    searcher = Surrogate(Problem(LAYERS, OBJECTIVES, seed=4))
    searched(searcher, 20)
    asked = searcher.ask(8)
    costs = {values(candidate)["cost"] for candidate in asked}
    assert len(costs) >= 4


def test_many_trials_are_condensed_to_those_that_matter() -> None:
    searcher = Surrogate(Problem(LAYERS, OBJECTIVES, seed=5))
    searched(searcher, 60)
    condensed = searcher._history.condensed(30)
    assert len(condensed) <= 30
    assert len(condensed.feasible()[0]) == len(condensed)
    best = min(each["error"] for each in searcher._history.values)
    assert best in [each["error"] for each in condensed.values]


def test_a_front_that_is_cut_keeps_its_costs_and_spreads_its_trials() -> None:
    history = Surrogate(Problem(LAYERS, OBJECTIVES))._history
    for number, candidate in enumerate(listed_layers(200)):
        place = number / 200.0
        measured = {"error": place, "cost": 1.0 - place}  # one after the other along the front
        trial = Trial(number, candidate, Measurement(candidate.key, measured))
        history.add([trial], np.zeros((1, 1)))
    condensed = history.condensed(40)
    assert len(condensed) == 40
    places = np.sort([each["error"] for each in condensed.values])
    front = condensed.front()
    assert len(front) == 40
    assert {0.0, 0.995} <= set(places) & set(front[:, 0])


def test_what_breaks_a_bound_is_not_on_the_front_of_the_condensed() -> None:
    history = Surrogate(Problem(LAYERS, OBJECTIVES, (Bound("cost", -1.0, 0.5),)))._history
    for number, candidate in enumerate(listed_layers(100)):
        measured = {"error": 1.0, "cost": number / 100.0}  # too cheap up to the fiftieth
        trial = Trial(number, candidate, Measurement(candidate.key, measured))
        history.add([trial], np.zeros((1, 1)))
    assert history.front().tolist() == history.condensed(40).front().tolist() == [[1.0, 0.5]]


def test_where_nothing_is_feasible_the_condensed_are_as_many_as_they_may_be() -> None:
    history = Surrogate(Problem(LAYERS, OBJECTIVES, (Bound("cost", 1.0, -1.0),)))._history
    for number, candidate in enumerate(listed_layers(200)):
        measured = {"error": 1.0, "cost": 0.01 * number}
        status = Status.COMPLETE if number % 2 else Status.INFEASIBLE
        if status is Status.INFEASIBLE:
            measured.pop("error")
        measurement = Measurement(candidate.key, measured, status=status)
        history.add([Trial(number, candidate, measurement)], np.zeros((1, 1)))
    condensed = history.condensed(40)
    numbers = [trial.number for trial in condensed.trials]
    assert len(numbers) == 40 and all(number % 2 for number in numbers)
    assert {1, 3, 5, 7, 9, 11, 199} <= set(numbers)


def test_one_objective_is_condensed_at_once() -> None:
    problem = Problem(LAYERS, OBJECTIVES[:1])
    history = Surrogate(problem)._history
    for number, candidate in enumerate(listed_layers(700)):
        trial = Trial(number, candidate, Measurement(candidate.key, {"error": 700.0 - number}))
        history.add([trial], np.zeros((1, 1)))
    kept = [each["error"] for each in history.condensed(100).values]
    assert set(range(1, 51)) <= set(kept)
    assert len(kept) == 100


def test_a_count_that_a_few_candidates_lack_is_learned_or_taken_for_the_worst() -> None:
    lacking = set(map(str, listed_layers(729)[::50]))

    def cheap(candidate: Candidate) -> dict[str, float]:
        return {} if str(candidate) in lacking else {"cost": values(candidate)["cost"]}

    for list_up_to in (1_000, 0):
        settings = SurrogateSettings(list_up_to=list_up_to, pool_size=60)
        searcher = Surrogate(Problem(LAYERS, OBJECTIVES, seed=7, cheap=cheap), settings)
        found = searched(searcher, 40, fails=lambda candidate: str(candidate) in lacking)
        assert len({candidate.key for candidate, _ in found}) == 40


def test_what_was_not_asked_about_for_long_is_forgotten_and_found_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    candidates = listed_layers(60)
    whole = Catalogue(Problem(LAYERS, OBJECTIVES)).pool(candidates)
    monkeypatch.setattr(descriptions, "FEWEST_KEPT", 20)
    monkeypatch.setattr(descriptions, "MOST_NUMBERS", 0)
    short = Catalogue(Problem(LAYERS, OBJECTIVES))
    for start in range(0, 60, 10):
        short.pool([candidates[0], *candidates[start : start + 10]])
    described = short.described
    assert len(described._features) == len(described._cheap) == 20
    assert candidates[0].key in described._features
    np.testing.assert_array_equal(short.pool(candidates).features, whole.features)


def test_a_space_of_more_candidates_than_a_float_holds_is_searched() -> None:
    space = ChoiceSpace(tuple(Choice(f"d{i}", (0, 1)) for i in range(1100)))
    first = space.sample(stream(0, "first"))
    settings = SurrogateSettings(pool_size=20)
    problem = Problem(space, (Objective("x", Direction.MINIMIZE),), initial=(first,))
    assert Surrogate(problem, settings).ask(1) == [first]


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="'n_initial' is 1"):
        SurrogateSettings(n_initial=1)


def test_five_objectives_are_searched() -> None:
    objectives = tuple(Objective(f"layer{i}", Direction.MINIMIZE) for i in range(5))
    searcher = Surrogate(Problem(LAYERS, objectives, seed=6))
    for number in range(25):
        [candidate] = searcher.ask(1)
        measured = {path: COSTS[str(value)] + i for i, (path, value) in enumerate(candidate.items)}
        searcher.tell([Trial(number, candidate, Measurement(candidate.key, measured))])
    assert searcher.ask(2)[0] != candidate


def test_one_objective_is_expected_improvement() -> None:
    found = searched(Surrogate(Problem(LAYERS, OBJECTIVES[:1], seed=7)), 25)
    best = values(LAYERS.decide(lambda path, options: "large"))["error"]
    assert min(measured["error"] for _, measured in found) == best


@pytest.mark.parametrize("n_candidates", [8, 30])
def test_it_ends_when_all_was_told_at_a_moment_of_learning(n_candidates: int) -> None:
    space = ChoiceSpace((Choice("width", tuple(range(n_candidates))),))
    searcher = Surrogate(Problem(space, (Objective("cost", Direction.MINIMIZE),)))
    for number in range(n_candidates):
        [candidate] = searcher.ask(1)
        cost = {"cost": float(str(candidate.decisions["width"])) % 7}
        searcher.tell([Trial(number, candidate, Measurement(candidate.key, cost))])
    assert searcher.ask(1) == []

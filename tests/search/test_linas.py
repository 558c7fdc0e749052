"""LINAS: what is peculiar to it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from niwaki.core import Direction, Objective
from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.randomness import stream
from niwaki.search import Problem
from niwaki.search.linas import Linas, LinasSettings
from niwaki.search.linas_predictor import LinasPredictor, ridge_predictions
from niwaki.search.random_search import RandomSearch
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.testing.toy_run import search
from niwaki.testing.toy_troubles import all_toys
from niwaki.testing.toys import Toy

Array = NDArray[np.float64]

TOYS = {toy.name: toy for toy in all_toys()}


def settings(*, faithful: bool) -> LinasSettings:
    return LinasSettings(faithful=faithful, population_size=20, inner_evaluations=400, n_grid=2)


def score(toy: Toy, *, faithful: bool) -> float:
    run = search(Linas(toy.problem(seed=0), settings(faithful=faithful)), toy, 80)
    return toy.score(run.asked)


def test_mended_beats_faithful_beats_chance() -> None:
    toy = TOYS["flat"]
    by_chance = toy.score(search(RandomSearch(toy.problem(seed=0)), toy, 80).asked)
    assert score(toy, faithful=False) > score(toy, faithful=True) > by_chance


def test_the_first_round_is_drawn_at_random_and_the_second_is_not() -> None:
    toy = TOYS["flat"]
    asked = search(Linas(toy.problem(seed=0), settings(faithful=False)), toy, 40).asked
    first, second = toy.score(asked[:20]), toy.score(asked[20:])
    assert second > first


def test_a_cheap_value_is_not_predicted() -> None:
    toy = TOYS["flat"]

    def cheap(candidate: Candidate) -> Mapping[str, float]:
        return {"cost": -toy.truth(candidate).values["cost"]}  # the reverse of what is told

    problem = Problem(toy.space, (Objective("cost", Direction.MINIMIZE),), cheap=cheap)
    asked = search(Linas(problem, settings(faithful=False)), toy, 40).asked
    costs = [toy.truth(candidate).values["cost"] for candidate in asked]
    assert np.mean(costs[20:]) > np.mean(costs[:20])


def test_what_is_computed_for_all_is_not_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = TOYS["bounded"]
    learned: list[list[float]] = []
    fit = LinasPredictor.fit

    def noting(self: LinasPredictor, features: Array, values: Array) -> None:
        learned.append(values.tolist())
        fit(self, features, values)

    def cheap(candidate: Candidate) -> Mapping[str, float]:
        return {"cost": toy.truth(candidate).values["cost"]}

    monkeypatch.setattr(LinasPredictor, "fit", noting)
    problem = replace(toy.problem(seed=0), cheap=cheap)
    search(Linas(problem, settings(faithful=False)), toy, 22)
    assert len(learned) == 1
    assert min(learned[0]) >= 0.0  # errors: accuracies with their signs flipped


@pytest.mark.parametrize(("faithful", "n_learned"), [(False, 12), (True, 40)])
def test_a_mended_round_learns_from_no_more_trials_than_it_has_time_for(
    monkeypatch: pytest.MonkeyPatch, faithful: bool, n_learned: int
) -> None:
    toy = TOYS["flat"]
    learned: list[int] = []
    fit = LinasPredictor.fit

    def noting(self: LinasPredictor, features: Array, values: Array) -> None:
        learned.append(len(values))
        fit(self, features, values)

    monkeypatch.setattr(LinasPredictor, "fit", noting)
    monkeypatch.setattr("niwaki.search.linas.MOST_TRIALS", 12)
    search(Linas(toy.problem(seed=0), settings(faithful=faithful)), toy, 41)
    assert learned[-1] == n_learned


def test_ridges_of_all_strengths_are_those_of_scikit_learn() -> None:
    rng = stream(0, "ridges")
    X, at, y = rng.normal(size=(12, 20)), rng.normal(size=(5, 20)), rng.normal(size=12)
    X[:, 3] = 1.0
    strengths = np.array([0.1, 10.0])
    found = ridge_predictions(X, y, at, strengths)
    for strength, predicted in zip(strengths, found, strict=True):
        wanted = Ridge(alpha=strength).fit(X, y).predict(at)
        assert predicted == pytest.approx(wanted, abs=1e-10)


def test_a_faithful_predictor_takes_what_cross_validates_better() -> None:
    rng = stream(0, "rows")
    features = rng.integers(2, size=(60, 8)).astype(float)
    linear = features @ np.arange(1.0, 9.0) + 10.0
    predictor = LinasPredictor(4, None)
    predictor.fit(features[:50], linear[:50])
    assert predictor.predict(features[50:]) == pytest.approx(linear[50:], rel=0.02)
    curved = 1.0 + (features[:, 0] != features[:, 1]) * 5.0
    predictor.fit(features[:50], curved[:50])
    errors = np.abs(predictor.predict(features[50:]) - curved[50:])
    assert errors.mean() < 1.5


def test_a_few_rows_are_enough_to_go_on() -> None:
    predictor = LinasPredictor(2, stream(0, "folds"))
    predictor.fit(np.eye(3), np.array([1.0, 2.0, 3.0]))
    assert np.isfinite(predictor.predict(np.eye(3))).all()


def test_a_round_does_not_wait_for_the_last_one() -> None:
    toy = TOYS["flat"]
    searcher = Linas(toy.problem(seed=0), settings(faithful=False))
    asked = searcher.ask(20)
    trials = [Trial(i, c, toy.measure(c)) for i, c in enumerate(asked[:15])]
    searcher.tell(trials)
    assert len(set(searcher.ask(10)) | set(asked)) == 30


@pytest.mark.parametrize("faithful", [False, True])
def test_what_was_pending_when_a_round_began_does_not_change_what_is_resumed(
    faithful: bool,
) -> None:
    toy = TOYS["flat"]
    small = LinasSettings(faithful=faithful, population_size=6, inner_evaluations=60, n_grid=2)
    whole = Linas(toy.problem(seed=0), small)
    asked: list[Candidate] = []
    told: list[Trial] = []
    for number in range(30):
        asked += whole.ask(1)
        if number >= 4:  # five are pending
            late = asked[number - 4]
            told.append(Trial(number - 4, late, toy.measure(late)))
            whole.tell(told[-1:])
    for killed_after in range(6, 30):
        resumed = Linas(toy.problem(seed=0), small)
        resumed.resume(asked[:killed_after])
        resumed.tell(told[: killed_after - 4])
        assert resumed.ask(1) == asked[killed_after : killed_after + 1]


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="'population_size' is 1"):
        LinasSettings(population_size=1)


def test_spellings_of_one_network_do_not_change_what_is_resumed() -> None:
    space = ChoiceSpace(tuple(Choice(name, tuple(range(6))) for name in "abc"))
    cost = Objective("cost", Direction.MINIMIZE)
    problem = Problem(
        space, (cost,), identity=lambda c: str(sorted(map(str, c.decisions.values())))
    )

    def tell(searcher: Linas, candidates: Sequence[Candidate]) -> None:
        for number, candidate in enumerate(candidates):
            low, middle, high = sorted(float(str(value)) for value in candidate.decisions.values())
            measurement = Measurement(candidate.key, {"cost": 9.0 + low * high - 3.0 * middle})
            searcher.tell([Trial(number, candidate, measurement)])

    small = LinasSettings(population_size=8, inner_evaluations=80, n_grid=2)
    whole = Linas(problem, small)
    asked: list[Candidate] = []
    for _ in range(32):
        asked += whole.ask(1)
        tell(whole, asked[-1:])
    for killed_after in (12, 20, 28):
        resumed = Linas(problem, small)
        resumed.resume(asked[:killed_after])
        tell(resumed, asked[:killed_after])
        assert resumed.ask(4) == asked[killed_after : killed_after + 4]

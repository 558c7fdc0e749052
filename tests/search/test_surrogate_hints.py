"""What `surrogate` learns from earlier searches."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.core.randomness import stream
from niwaki.search.base import Earlier, Problem
from niwaki.search.earlier import informed
from niwaki.search.surrogate import Surrogate, SurrogateSettings
from niwaki.search.surrogate.catalogue import Catalogue
from niwaki.search.surrogate.history import History
from niwaki.search.surrogate.learning import lessons
from niwaki.spaces import Choice, ChoiceSpace

LAYERS = ChoiceSpace(tuple(Choice(f"layer{i}", (0, 1, 2)) for i in range(7)))
OBJECTIVES = (Objective("error", Direction.MINIMIZE), Objective("ms", Direction.MINIMIZE))
WEIGHTS = stream(5, "weights").random((2, 7, 3))  # what each option of each layer does


def measured(candidate: Candidate) -> Mapping[str, float]:
    """Return what a network has on a device."""
    chosen = [int(str(value)) for _, value in candidate.items]
    error, ms = WEIGHTS[:, np.arange(7), chosen].sum(axis=1)
    return {"error": float(error), "ms": float(ms)}


def elsewhere(candidate: Candidate) -> Mapping[str, float]:
    """Return what it has on another device, which ranks networks nearly alike."""
    here = measured(candidate)
    noise = stream(0, "noise", candidate.key).normal(size=2)
    return {"error": here["error"] ** 2 + 0.1 * noise[0], "ms": np.exp(here["ms"]) + noise[1]}


def drawn(values: Callable[[Candidate], Mapping[str, float]], n: int, name: str) -> list[Trial]:
    rng = stream(1, name)
    candidates = [LAYERS.sample(rng) for _ in range(n)]
    return [Trial(i, c, Measurement(c.key, values(c))) for i, c in enumerate(candidates)]


PROBLEM = Problem(LAYERS, OBJECTIVES)
EARLIER = Earlier(OBJECTIVES, (), tuple(drawn(elsewhere, 80, "elsewhere")))
INFORMED = replace(PROBLEM, earlier=(EARLIER,))


def tau(problem: Problem, n_trials: int) -> float:
    """Return how well latencies are ranked by who knows a few."""
    catalogue, trials = Catalogue(problem, learns_from_cheap=True), drawn(measured, n_trials, "few")
    history = History(problem)
    for trial in trials:
        history.add([trial], catalogue.pool([trial.candidate]).features)
    learned = lessons(history, frozenset(), catalogue.layout(len(history.features[0])))
    assert learned is not None
    others = [trial.candidate for trial in drawn(measured, 200, "others")]
    pool = catalogue.pool(others)
    believed = learned.values["ms"].given(*history.known("ms")).belief(pool.features).quantile()
    truth = [measured(candidate)["ms"] for candidate in pool.candidates]
    return float(kendalltau(believed, truth).statistic)


def test_few_measurements_are_enough_beside_an_earlier_search() -> None:
    assert tau(INFORMED, 6) > tau(PROBLEM, 6) + 0.15


def test_an_earlier_search_that_says_nothing_true_does_little_harm() -> None:
    values = [trial.measurement.values for trial in EARLIER.trials]
    shuffled = stream(2, "shuffled").permutation(len(values))
    trials = tuple(
        replace(trial, measurement=Measurement(trial.candidate.key, values[other]))
        for trial, other in zip(EARLIER.trials, shuffled, strict=True)
    )
    untrue = replace(PROBLEM, earlier=(Earlier(OBJECTIVES, (), trials),))
    assert tau(untrue, 40) > tau(PROBLEM, 40) - 0.05


def test_hints_are_a_view_and_a_kind_of_their_own() -> None:
    catalogue = Catalogue(INFORMED, learns_from_cheap=True)
    n_columns = catalogue.pool([LAYERS.sample(stream(0, "any"))]).features.shape[1]
    assert catalogue.views(n_columns) == (slice(0, n_columns - 2), slice(n_columns - 2, n_columns))
    assert catalogue.kinds(n_columns)[-2:].tolist() == [3, 3]
    assert (catalogue.kinds(n_columns)[:-2] < 3).all()
    groups = catalogue.layout(n_columns).groups
    assert groups is not None
    assert [groups.tolist().count(group) for group in groups[-2:]] == [1, 1]


def test_where_spellings_are_apart_hints_are_the_third_view() -> None:
    catalogue = Catalogue(replace(INFORMED, alike=str), learns_from_cheap=True)
    n = catalogue.pool([LAYERS.sample(stream(0, "any"))]).features.shape[1]
    half = (n - 2) // 2
    assert catalogue.views(n) == (slice(0, half), slice(half, 2 * half), slice(n - 2, n))


def test_a_listed_space_hears_the_same() -> None:
    unlisted, listed = (Catalogue(INFORMED, learns_from_cheap=True) for _ in range(2))
    everything = listed.everything()
    some = unlisted.pool(everything.candidates[:50])
    np.testing.assert_allclose(some.features, everything.features[:50])


def test_what_costs_nothing_to_know_needs_no_hint() -> None:
    problem = replace(INFORMED, cheap=lambda c: {"ms": measured(c)["ms"]})
    catalogue = Catalogue(problem, learns_from_cheap=True)
    n_columns = catalogue.pool([LAYERS.sample(stream(0, "any"))]).features.shape[1]
    assert (catalogue.kinds(n_columns) == 3).sum() == 1


def test_spellings_of_one_network_were_each_measured() -> None:
    def sorted_layers(candidate: Candidate) -> str:
        return str(sorted(int(str(value)) for _, value in candidate.items))

    problem = replace(INFORMED, identity=sorted_layers)
    catalogue = Catalogue(problem, learns_from_cheap=True)
    n_columns = catalogue.pool([LAYERS.sample(stream(0, "any"))]).features.shape[1]
    assert (catalogue.kinds(n_columns) == 3).sum() == 2


def test_what_is_said_of_a_candidate_hangs_on_nobody_beside_it() -> None:
    together, alone = (Catalogue(INFORMED, learns_from_cheap=True) for _ in range(2))
    candidates = [trial.candidate for trial in drawn(measured, 40, "others")]
    pool = together.pool(candidates)
    for candidate, features in zip(pool.candidates, pool.features, strict=True):
        assert (alone.pool([candidate]).features[0] == features).all()


def test_two_measurements_say_too_little_for_a_hint() -> None:
    problem = replace(PROBLEM, earlier=(replace(EARLIER, trials=EARLIER.trials[:2]),))
    catalogue = Catalogue(problem, learns_from_cheap=True)
    n_columns = catalogue.pool([LAYERS.sample(stream(0, "any"))]).features.shape[1]
    assert not (catalogue.kinds(n_columns) == 3).any()


@pytest.mark.parametrize("list_up_to", [0, 20_000])
def test_a_search_goes_on_as_it_would_have_gone_on(list_up_to: int) -> None:
    problem = informed(PROBLEM, [EARLIER])
    settings = SurrogateSettings(list_up_to=list_up_to, pool_size=40)
    whole = Surrogate(problem, settings)
    asked: list[Candidate] = []
    told: list[Trial] = []
    for number in range(14):
        asked += whole.ask(1)
        told.append(Trial(number, asked[-1], Measurement(asked[-1].key, measured(asked[-1]))))
        whole.tell(told[-1:])
    other = Surrogate(informed(PROBLEM, [EARLIER]), settings)
    other.resume(asked[:10])
    other.tell(told[:10])
    for trial in told[10:]:
        assert other.ask(1) == [trial.candidate]
        other.tell([trial])

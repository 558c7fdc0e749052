"""Costs at a plateau, which only say "at least so bad"."""

import numpy as np
import pytest
from scipy.stats import truncnorm

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.core.randomness import stream
from niwaki.predictors.gaussian.column import fit_column
from niwaki.search import Problem
from niwaki.search.surrogate.beliefs import learn
from niwaki.search.surrogate.censored import imputed, plateau
from niwaki.search.surrogate.history import History
from niwaki.search.surrogate.learning import lessons
from niwaki.search.surrogate.warps import warps_for
from tests.search.test_surrogate import LAYERS


def edge_of(costs: np.ndarray) -> float:
    return plateau(costs, warps_for(costs))


def test_what_nature_gives_has_no_plateau() -> None:
    rng = stream(0, "costs")
    even, latencies = rng.uniform(1.0, 2.0, 400), rng.lognormal(0.0, 1.0, 400)
    accuracies, throughputs = -rng.normal(65.0, 3.0, 400), -rng.lognormal(5.0, 1.0, 400)
    lone = np.append(rng.normal(30.0, 3.0, 30), [90.0, 90.0, 90.0])
    levels = rng.integers(1, 4, 60).astype(float)
    for costs in (even, latencies, accuracies, throughputs, lone, levels, -levels, np.ones(9)):
        assert edge_of(costs) == np.inf


@pytest.mark.parametrize("shift", [0.0, -100.0])
def test_where_many_end_alike_is_a_plateau(shift: float) -> None:
    rng = stream(1, "errors")
    learned, guessed = rng.uniform(4.0, 70.0, 30), rng.normal(90.0, 0.5, 12)
    edge = edge_of(np.append(learned, guessed) + shift) - shift
    assert learned.max() < edge < guessed.min()


def saturating(n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (n, 4) features, how bad candidates are, and errors: a third of them end at 90."""
    rng = stream(2, "rows")
    features = rng.uniform(0.0, 1.0, (n, 4))
    badness = 5.0 + 40.0 * features.sum(axis=1)
    return features, badness, np.minimum(badness, 90.0) + rng.normal(0.0, 0.5, n)


def test_what_is_beyond_an_edge_lies_where_the_others_have_it() -> None:
    features, badness, errors = saturating()
    beyond = badness > 95.0

    column = fit_column(features, errors)
    assert np.array_equal(imputed(column, features, errors, np.inf), errors)
    taken = imputed(column, features, errors, 88.0)
    assert np.array_equal(taken[errors < 88.0], errors[errors < 88.0])
    assert taken[errors >= 88.0].min() >= 88.0
    assert np.abs(taken - badness)[beyond].mean() < 0.5 * np.abs(errors - badness)[beyond].mean()
    assert np.array_equal(imputed(column, features, errors, 0.0), np.zeros(len(errors)))


def test_what_is_beyond_an_edge_has_the_mean_of_a_cut_off_bell() -> None:
    features, _, errors = saturating()
    column, edge = fit_column(features, errors), 88.0
    beyond = errors >= edge
    known = column.given(features[~beyond], errors[~beyond])
    mean, std = known.predict(features[beyond])
    std = np.hypot(std, known.noise_std)
    expected = truncnorm.mean((edge - mean) / std, np.inf, loc=mean, scale=std)
    most = edge + 2.0 * errors[~beyond].std()  # and no further
    assert expected.max() > most and np.sum(expected < most) > 5
    taken = imputed(column, features, errors, edge)[beyond]
    np.testing.assert_allclose(taken, np.minimum(expected, most), rtol=1e-6)


def test_later_costs_at_a_plateau_are_censored_as_well() -> None:
    features, badness, errors = saturating()
    learned = learn(features, errors)
    assert all(np.isfinite(part.edge) for part in learned.parts)
    worst = np.argmax(badness)
    again = learned.given(np.delete(features, worst, axis=0), np.delete(errors, worst))
    told = again.given(features, errors)
    plain = learn(features, errors, has_plateaus=False)
    flat = plain.belief(features[[worst]]).quantile()[0]
    for belief in (learned, again, told):
        assert belief.belief(features[[worst]]).quantile()[0] > flat + 2.0


def test_a_value_with_a_bound_is_learned_as_it_was_measured() -> None:
    objective = Objective("error", Direction.MINIMIZE)
    features, _, errors = saturating()
    trials = [
        Trial(number, Candidate.of({"number": number}), Measurement(str(number), {"error": error}))
        for number, error in enumerate(errors.tolist())
    ]
    for bounds, censored in (((), True), ((Bound("error", 1.0, 80.0),), False)):
        problem = Problem(LAYERS, (objective,), bounds)
        history = History(problem)
        history.add(trials, features)
        learned = lessons(history, frozenset())
        assert learned is not None
        assert np.isfinite(learned.values["error"].parts[0].edge) == censored

"""The Gaussian process: against scikit-learn's, finite differences, and refitting without a row."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import check_grad
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern

from niwaki.core.errors import ConfigError
from niwaki.core.randomness import stream
from niwaki.predictors.gaussian.column import fit_column
from niwaki.predictors.gaussian.evidence import JITTER, Evidence
from niwaki.predictors.gaussian.layout import Layout
from niwaki.predictors.gaussian.process import GaussianProcess, GaussianProcessSettings
from niwaki.testing.predictor_contract import examples

Array = NDArray[np.float64]


def some_rows(n: int) -> tuple[Array, Array]:
    rng = stream(0, "rows", n)
    rows = np.concatenate([np.eye(3)[rng.integers(3, size=n)], rng.normal(size=(n, 2))], axis=1)
    return rows, rows @ np.array([1.0, 2.0, 0.5, 0.3, 0.0]) + np.sin(2.0 * rows[:, 3])


def test_predictions_are_those_of_scikit_learn() -> None:
    rows, values = some_rows(40)
    column = fit_column(rows[:30], values[:30])
    covariance = column.covariance
    scales = 1.0 / np.sqrt(covariance.relevance)
    slopes = np.sqrt(covariance.slopes)
    kernel = ConstantKernel(covariance.amplitude) * Matern(scales / scales[0], nu=2.5)
    theirs = GaussianProcessRegressor(kernel, alpha=column.noise + JITTER, optimizer=None)
    # scikit-learn scales all of its inputs, so the linear part is compared by itself.
    ours = replace(column, covariance=replace(covariance, slopes=0.0 * slopes))
    ours = ours.given(rows[:30], values[:30])
    theirs.fit(rows[:30] / scales[0], (values[:30] - column.shift) / column.scale)
    mean, std = theirs.predict(rows[30:] / scales[0], return_std=True)
    found = ours.predict(rows[30:])
    assert found[0] == pytest.approx(column.shift + column.scale * mean)
    assert found[1] == pytest.approx(column.scale * std)


def test_the_linear_part_is_a_dot_product() -> None:
    rows, values = some_rows(20)
    covariance = replace(fit_column(rows, values).covariance, amplitude=0.0)
    scaled = (rows - covariance.centre) * np.sqrt(covariance.slopes)
    assert covariance.between(rows, rows) == pytest.approx(DotProduct(0.0)(scaled))
    assert covariance.own(rows) == pytest.approx(np.diag(scaled @ scaled.T))


def test_the_gradient_is_that_of_finite_differences() -> None:
    rows, values = some_rows(25)
    evidence = Evidence(rows, (values - values.mean()) / values.std(), 0.7)
    at = stream(1, "at").normal(size=4 + rows.shape[1])
    error = check_grad(
        lambda x: evidence.cost_and_gradient(x)[0], lambda x: evidence.cost_and_gradient(x)[1], at
    )
    assert error < 1e-3


VIEWS = (slice(0, 3), slice(3, 6))


def seen_twice(n: int) -> tuple[Array, Array]:
    """Return rows of three bits and of three blurred ones, and values that follow the bits."""
    rng = stream(2, "seen")
    bits = rng.integers(0, 2, size=(n, 3)).astype(float)
    return np.hstack([bits, 0.5 + 0.1 * rng.normal(size=(n, 3))]), bits @ [3.0, 2.0, 1.0]


def test_the_gradient_is_that_of_finite_differences_with_views() -> None:
    rows, values = seen_twice(25)
    evidence = Evidence(rows, (values - values.mean()) / values.std(), 0.7, Layout(VIEWS))
    at = stream(1, "at").normal(size=4 + rows.shape[1])
    error = check_grad(
        lambda x: evidence.cost_and_gradient(x)[0], lambda x: evidence.cost_and_gradient(x)[1], at
    )
    assert error < 1e-3


def test_relevances_of_a_view_rise_and_fall_together() -> None:
    """Their prior is a normal one in which all of a view have a part in common."""
    rows, values = seen_twice(25)
    plain, viewed = (Evidence(rows, values, 0.7, Layout(views)) for views in ((), VIEWS))
    at = stream(1, "at").normal(size=6)
    each = 0.7**2 * np.eye(6)
    together = each + 1.5**2 * np.kron(np.eye(2), np.ones((3, 3)))
    wanted = 0.5 * at @ (np.linalg.inv(together) - np.linalg.inv(each)) @ at
    full, nothing = np.concatenate([np.zeros(4), at]), np.zeros(10)
    costs = [each._with_prior(0.0, nothing.copy(), full)[0] for each in (plain, viewed)]
    assert costs[1] - costs[0] == pytest.approx(wanted)


GROUPS = np.array([0, 0, 1, 2, 2, 2])


@pytest.mark.parametrize("steep", [False, True])
@pytest.mark.parametrize("views", [(), VIEWS])
def test_the_gradient_is_that_of_finite_differences_with_groups(
    views: tuple[slice, ...], steep: bool
) -> None:
    rows, values = seen_twice(25)
    standardised = (values - values.mean()) / values.std()
    evidence = Evidence(rows, standardised, 0.5, Layout(views, GROUPS), steep)
    at = stream(1, "at").normal(size=4 + rows.shape[1])
    error = check_grad(
        lambda x: evidence.cost_and_gradient(x)[0], lambda x: evidence.cost_and_gradient(x)[1], at
    )
    assert error < 1e-3


@pytest.mark.parametrize("views", [(), VIEWS])
def test_relevances_of_a_group_rise_and_fall_together(views: tuple[slice, ...]) -> None:
    rows, values = seen_twice(25)
    at = stream(1, "at").normal(size=6)
    prior = 0.5**2 * np.eye(6) + 1.0 * (GROUPS[:, None] == GROUPS)
    if views:
        prior += 1.5**2 * np.kron(np.eye(2), np.ones((3, 3)))
    evidence = Evidence(rows, values, 0.5, Layout(views, GROUPS))
    full = np.concatenate([[0.0, -1.0, np.log(1e-2), 0.0], at])
    cost, gradient = evidence._with_prior(0.0, np.zeros(10), full)
    assert cost == pytest.approx(0.5 * at @ np.linalg.solve(prior, at))
    assert gradient[4:] == pytest.approx(np.linalg.solve(prior, at))


def decided(n: int) -> tuple[Array, NDArray[np.int64], Array]:
    """Return one-hot rows of eight decisions of four options, groups, and what two of them say."""
    codes = stream(5, "decided", n).integers(0, 4, size=(n, 8))
    rows = np.eye(4)[codes].reshape(n, 32)
    return (
        rows,
        np.repeat(np.arange(8), 4),
        np.array([0.0, 3.0, 1.0, 4.0])[codes[:, :2]].sum(axis=1),
    )


def test_decisions_that_say_nothing_become_irrelevant_as_wholes() -> None:
    """What two decisions say together is found among eight, so that fewer rows are enough."""
    worth = stream(6, "worth").normal(size=(4, 4))

    def said(rows: Array) -> Array:
        first, second = rows[:, :4].argmax(axis=1), rows[:, 4:8].argmax(axis=1)
        return np.asarray(worth[first, second])

    (rows, groups, _), (new, _, _) = decided(60), decided(200)
    found = [fit_column(rows, said(rows), layout=Layout(groups=g)) for g in (groups, None)]
    shares = [
        each.covariance.relevance[:8].sum() / each.covariance.relevance.sum() for each in found
    ]
    errors = [np.abs(each.predict(new)[0] - said(new)).mean() for each in found]
    assert shares[0] > 0.9 > shares[1]
    assert errors[0] < 0.7 * errors[1]


def test_slopes_go_with_relevances_where_they_are_steep() -> None:
    rows, groups, values = decided(30)
    new, _, truth = decided(200)
    layout = Layout(groups=groups)
    alike, steep = (fit_column(rows, values, layout=layout, steep=s) for s in (False, True))
    assert np.ptp(alike.covariance.slopes) == pytest.approx(0.0)
    ratio = steep.covariance.slopes / steep.covariance.relevance
    assert ratio == pytest.approx(np.full(32, ratio[0]))
    errors = [np.abs(each.predict(new)[0] - truth).mean() for each in (alike, steep)]
    assert errors[1] < errors[0]


def test_what_views_weigh_does_not_hang_on_their_columns() -> None:
    rows, values = seen_twice(40)
    shares = Evidence(rows, values, 0.7, Layout(VIEWS)).units * rows.var(axis=0)
    assert 2.0 * shares[VIEWS[0]].sum() == pytest.approx(shares[VIEWS[1]].sum())
    assert shares[VIEWS[0]] == pytest.approx(
        Evidence(rows, values, 0.7).units[:3] * rows[:, :3].var(axis=0)
    )
    rows[:, 3:] = 1 / 3  # a view that says nothing
    assert np.isfinite(fit_column(rows, values, layout=Layout(VIEWS)).predict(rows + 0.1)[0]).all()


def test_what_a_view_says_is_found_among_two() -> None:
    rows, values = seen_twice(30)
    new, truth = seen_twice(60)
    errors = [
        np.abs(fit_column(rows[:12], values[:12], layout=Layout(v)).predict(new)[0] - truth).mean()
        for v in ((), VIEWS)
    ]
    assert errors[1] < 0.7 * errors[0]


def test_many_rows_are_predicted_as_one_by_one() -> None:
    rows, values = some_rows(1_500)
    column = fit_column(rows[:20], values[:20])
    mean, std = column.predict(rows)
    for row in (0, 511, 512, 1_499):
        one = column.predict(rows[row : row + 1])
        assert np.concatenate(one) == pytest.approx(np.array([mean[row], std[row]]))


def test_what_is_left_out_is_predicted_as_if_it_had_never_been_there() -> None:
    rows, values = some_rows(15)
    column = fit_column(rows, values)
    mean, std = column.left_out()
    rest = np.arange(15) != 4
    without = column.given(rows[rest], values[rest])
    expected_mean, expected_std = without.predict(rows[[4]])
    assert mean[4] == pytest.approx(expected_mean[0])
    jitter = column.scale**2 * JITTER
    assert std[4] ** 2 == pytest.approx(expected_std[0] ** 2 + column.noise_std**2 + jitter)


def test_a_column_that_says_nothing_becomes_irrelevant() -> None:
    rows, values = some_rows(80)
    relevance = fit_column(rows, values, shrinkage=2.0).covariance.relevance
    assert relevance[4] < 0.2 * relevance[3]


def test_it_is_less_sure_far_from_data() -> None:
    X = np.linspace(0.0, 1.0, 12)[:, None]
    predictor = GaussianProcess()
    predictor.fit(X, np.sin(6.0 * X))
    near, far = predictor.predict(np.array([[0.52], [3.0]])).std[:, 0]
    assert far > 5.0 * near


def test_of_many_rows_an_even_share_is_learned_from() -> None:
    X, y = examples(60)
    predictor = GaussianProcess(GaussianProcessSettings(max_rows=20, max_rows_of_evidence=10))
    predictor.fit(X, y)
    held_out, found = predictor.held_out(), predictor.predict(X)
    assert np.isfinite(held_out.mean).all()
    alike = np.isclose(held_out.mean, found.mean) & np.isclose(held_out.std, found.std)
    assert alike.sum(axis=0).tolist() == [40, 40]  # the others were held out already


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="'shrinkage' is 0"):
        GaussianProcessSettings(shrinkage=0.0)


@pytest.mark.parametrize("offset", [1e5, 1e9])
def test_features_far_from_zero_say_the_same_as_near_it(offset: float) -> None:
    rng = stream(2, "far")
    X, there = rng.normal(size=(40, 3)), rng.normal(size=(20, 3))
    y = np.sin(X[:, :1]) + X[:, 1:2] * X[:, 2:]
    near, far = GaussianProcess(), GaussianProcess()
    near.fit(X, y)
    far.fit(X + offset, y)
    found, expected = far.predict(there + offset), near.predict(there)
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-4)
    np.testing.assert_allclose(found.std, expected.std, atol=1e-4)


@pytest.mark.parametrize("same", [1 / 3, 0.1, 1e9 / 7, -2.2])
@pytest.mark.parametrize("n", [3, 19, 64])
def test_a_column_of_one_value_says_nothing(same: float, n: int) -> None:
    """The mean of equal numbers is often another one, by the last digit: no scale to measure by."""
    rng = stream(3, "one value", n)
    rows = rng.random((n, 2))
    values = rows @ [1.0, -2.0]
    column = np.full((n, 1), same)
    alone, beside = fit_column(rows, values), fit_column(np.hstack([rows, column]), values)
    there = rng.random((20, 2))
    elsewhere = np.hstack([there, np.full((20, 1), same)])
    for found, expected in zip(beside.predict(elsewhere), alone.predict(there), strict=True):
        assert found == pytest.approx(expected, abs=0.02)
    nearby = np.hstack([there, np.full((20, 1), same * (1.0 + 1e-15))])
    assert beside.predict(nearby)[0] == pytest.approx(beside.predict(elsewhere)[0], abs=1e-6)


def test_a_column_far_from_zero_keeps_its_distances() -> None:
    rng = stream(4, "far column")
    rows = rng.random((30, 2))
    values = np.sin(4.0 * rows[:, 0]) + rows[:, 1]
    near, far = fit_column(rows, values), fit_column(rows * 1e-8 + 20.0, values)
    there = rng.random((20, 2))
    found, expected = far.predict(there * 1e-8 + 20.0), near.predict(there)
    assert found[0] == pytest.approx(expected[0], abs=0.02)

"""What every predictor must do. Subclass `PredictorContract` and implement `make`."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.core.randomness import stream
from niwaki.core.registry import import_object
from niwaki.predictors.base import Prediction, Predictor
from niwaki.predictors.quality import quality
from niwaki.testing.other_process import run_elsewhere


def examples(n: int, *, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (n, 12) one-hot features, and (n, 2) values that mostly follow from them."""
    rng = stream(seed, "examples", n)
    chosen = rng.integers(3, size=(n, 4))
    X = np.eye(3)[chosen].reshape(n, 12)
    first = 2.0 * chosen[:, 0] - chosen[:, 1] + 1.5 * (chosen[:, 2] == 1) * (chosen[:, 3] == 2)
    second = np.exp(0.4 * chosen[:, 1] + 0.3 * chosen[:, 2])
    noise = rng.normal(scale=0.1, size=(n, 2))
    return X, np.stack([first, second], axis=1) + noise


class PredictorContract(ABC):
    """Laws of predictors.

    Attributes:
        least_tau: Rank correlation to reach on held-out rows of `examples`, after 80 rows.
        least_coverage: Share of held-out values that 90% intervals hold, at least.
    """

    least_tau: ClassVar[float] = 0.7
    least_coverage: ClassVar[float] = 0.8

    @abstractmethod
    def make(self) -> Predictor:
        """Return the predictor under test, built anew and unfitted."""

    @pytest.fixture
    def fitted(self) -> Predictor:
        predictor = self.make()
        predictor.fit(*examples(80))
        return predictor

    def test_it_learns(self, fitted: Predictor) -> None:
        X, y = examples(150, seed=1)
        found = quality(fitted.predict(X), y)
        assert min(one.kendall_tau for one in found) >= self.least_tau
        assert min(one.coverage for one in found) >= self.least_coverage

    def test_beliefs_are_finite_and_of_the_right_shape(self, fitted: Predictor) -> None:
        prediction = fitted.predict(examples(7, seed=2)[0])
        for values in (prediction.mean, prediction.std, *prediction.interval(0.9)):
            assert values.dtype == np.float64
            assert values.shape == (7, 2)
            assert np.isfinite(values).all()
        assert (prediction.std >= 0.0).all()

    def test_rows_are_predicted_one_by_one_as_together(self, fitted: Predictor) -> None:
        X = examples(9, seed=3)[0]
        together, single = fitted.predict(X), [fitted.predict(row[None]) for row in X]
        for name in ("mean", "std"):
            alone = [getattr(one, name)[0] for one in single]
            np.testing.assert_allclose(getattr(together, name), alone, rtol=1e-5, atol=1e-6)

    def test_no_rows_are_no_predictions(self, fitted: Predictor) -> None:
        assert fitted.predict(np.zeros((0, 12))).mean.shape == (0, 2)

    def test_fitting_anew_forgets(self, fitted: Predictor) -> None:
        more, other = examples(120, seed=4), self.make()
        fitted.fit(*more)
        other.fit(*more)
        assert_same(fitted.predict(more[0]), other.predict(more[0]))

    def test_a_missing_value_is_left_out_for_its_column(self) -> None:
        X, y = examples(80)
        y[::4, 1] = np.nan
        predictor, without = self.make(), self.make()
        predictor.fit(X, y)
        without.fit(np.delete(X, np.s_[::4], axis=0), np.delete(y, np.s_[::4], axis=0))
        there = examples(100, seed=1)
        prediction = predictor.predict(there[0])
        assert np.isfinite(prediction.mean).all()
        known = quality(prediction, there[1])[1].rmse
        assert known < 1.5 * quality(without.predict(there[0]), there[1])[1].rmse + 0.05

    def test_a_saved_predictor_predicts_the_same_bits(
        self, fitted: Predictor, tmp_path: Path
    ) -> None:
        X = examples(50, seed=5)[0]
        fitted.save(tmp_path / "predictor.npz", {"rows": 80})
        again = self.make()
        assert again.load(tmp_path / "predictor.npz") == {"rows": 80}
        assert_same(again.predict(X), fitted.predict(X))

    def test_what_is_saved_holds_no_objects(self, fitted: Predictor, tmp_path: Path) -> None:
        fitted.save(tmp_path / "predictor.npz")
        with np.load(tmp_path / "predictor.npz", allow_pickle=False) as file:
            assert all(file[name].dtype != object for name in file.files)

    def test_another_process_predicts_the_same(self) -> None:
        name = f"{type(self).__module__}:{type(self).__qualname__}"
        there = run_elsewhere(f"{__name__}:digest_of_contract", name, hash_seed=777)
        assert there == digest_of_contract(name)

    def test_before_fitting_it_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="fit it first"):
            self.make().predict(np.zeros((1, 12)))
        with pytest.raises(DataError, match="fit it first"):
            self.make().save(tmp_path / "predictor.npz")

    @pytest.mark.parametrize("shape", [(3, 11), (3, 13), (12,)])
    def test_other_features_are_refused(self, fitted: Predictor, shape: tuple[int, ...]) -> None:
        with pytest.raises(DataError, match=r"features of shape \(n, 12\) are wanted"):
            fitted.predict(np.zeros(shape))

    @pytest.mark.parametrize(
        ("X", "y", "said"),
        [
            (np.zeros((3, 12)), np.zeros((4, 1)), "one row of values per row"),
            (np.zeros((3, 12)), np.zeros(3), "one row of values per row"),
            (np.full((9, 12), np.nan), np.zeros((9, 1)), "a feature is not finite"),
            (np.zeros((9, 12)), np.full((9, 1), np.inf), "infinite"),
            (np.zeros((9, 12)), np.full((9, 1), np.nan), "column 0 has 0 values"),
        ],
    )
    def test_bad_examples_are_refused(
        self, X: NDArray[np.float64], y: NDArray[np.float64], said: str
    ) -> None:
        with pytest.raises(DataError, match=said):
            self.make().fit(X, y)

    @pytest.mark.parametrize("constant", ["features", "values"])
    def test_what_never_varies_is_survived(self, constant: str) -> None:
        X, y = examples(40)
        X = np.ones_like(X) if constant == "features" else X
        y = np.full_like(y, 3.25) if constant == "values" else y
        predictor = self.make()
        predictor.fit(X, y)
        prediction = predictor.predict(X)
        assert np.isfinite(prediction.mean).all()
        assert np.isfinite(prediction.std).all()
        if constant == "values":
            np.testing.assert_allclose(prediction.mean, 3.25, atol=1e-3)


def assert_same(first: Prediction, second: Prediction) -> None:
    """Check that two predictions agree in every bit."""
    np.testing.assert_array_equal(first.mean, second.mean)
    np.testing.assert_array_equal(first.std, second.std)
    if first.errors is None or second.errors is None:
        assert first.errors is second.errors
    else:
        np.testing.assert_array_equal(first.errors, second.errors)


def digest_of_contract(name: str) -> str:
    """Return what the predictor of a contract's test class predicts, to six digits."""
    contract: PredictorContract = import_object(name)()
    predictor = contract.make()
    predictor.fit(*examples(60))
    prediction = predictor.predict(examples(5, seed=6)[0])
    return " ".join(f"{x:.6g}" for x in np.concatenate([prediction.mean, prediction.std]).ravel())

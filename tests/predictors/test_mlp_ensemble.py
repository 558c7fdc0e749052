"""Networks: what they learn, and that held-out rows are held out."""

import numpy as np
import pytest

from niwaki.core.errors import ConfigError
from niwaki.core.randomness import stream
from niwaki.predictors.held_out import folds
from niwaki.predictors.mlp_ensemble import MlpEnsemble, MlpEnsembleSettings
from niwaki.predictors.quality import quality

SETTINGS = MlpEnsembleSettings(n_networks=4, widths=(16,), n_steps=150)
RNG = stream(0, "networks")
X = RNG.normal(size=(120, 3))
Y = np.stack([np.sin(2.0 * X[:, 0]) * X[:, 1], 100.0 + X[:, 2]], axis=1)


def test_it_learns_what_no_line_fits() -> None:
    predictor = MlpEnsemble(MlpEnsembleSettings(n_networks=3, widths=(32,), n_steps=400))
    predictor.fit(X, Y)
    there = stream(1, "networks").normal(size=(200, 3))
    truth = np.stack([np.sin(2.0 * there[:, 0]) * there[:, 1], 100.0 + there[:, 2]], axis=1)
    found = quality(predictor.predict(there), truth)
    assert found[0].kendall_tau > 0.7
    assert found[1].rmse < 0.2


def test_a_held_out_row_has_no_say_in_its_own_prediction() -> None:
    fold = folds(len(X), 4, seed=0) == 2
    changed = Y.copy()
    # Values exchanged within a fold leave means and spreads of the columns as they are.
    changed[fold] = changed[fold][::-1]
    first, second = MlpEnsemble(SETTINGS), MlpEnsemble(SETTINGS)
    first.fit(X, Y)
    second.fit(X, changed)
    there, here = first.held_out().mean, second.held_out().mean
    np.testing.assert_allclose(there[fold], here[fold], rtol=1e-4, atol=1e-4)
    assert np.abs(there[~fold] - here[~fold]).max() > 0.01


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_networks": 1}, "'n_networks'"),
        ({"widths": (8, 0)}, "'widths'"),
        ({"n_steps": 0}, "'n_steps'"),
        ({"learning_rate": 0.0}, "'learning_rate'"),
        ({"weight_decay": -1.0}, "'weight_decay'"),
    ],
)
def test_settings_are_checked(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        MlpEnsembleSettings(**settings)  # type: ignore[arg-type]

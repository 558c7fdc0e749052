"""An ensemble of small neural networks, each of which holds out other rows."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.limits import require_at_least, require_positive
from niwaki.core.randomness import derived_seed
from niwaki.predictors.base import Prediction
from niwaki.predictors.checks import not_fitted, require_examples, require_features
from niwaki.predictors.held_out import SelfValidating, folds
from niwaki.predictors.scaling import Scaling
from niwaki.predictors.state import State, array_of, as_part, part_of

_CHUNK = 16384


@dataclass(frozen=True)
class MlpEnsembleSettings:
    """Settings of `MlpEnsemble`.

    Attributes:
        n_networks: Also the number of folds: each network leaves one out.
        widths: Of the hidden layers.
        n_steps: Of training, each on all rows.
        learning_rate: At the start; it falls to 0 along half a cosine.
        weight_decay: Pull of the weights to 0, per step and learning rate.
        seed: Of the folds and the first weights.

    Raises:
        ConfigError: On a number out of its range.
    """

    n_networks: int = 8
    widths: tuple[int, ...] = (64, 64)
    n_steps: int = 400
    learning_rate: float = 0.01
    weight_decay: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"n_networks": 2, "n_steps": 1, "weight_decay": 0, "seed": 0}
        require_at_least(self, least)
        require_positive(self, "learning_rate")
        if not all(width >= 1 for width in self.widths):
            raise ConfigError(f"'widths' is {list(self.widths)}: give whole numbers from 1")


# One layer of all networks: (k, inputs, outputs) weights, and (k, 1, outputs) biases.
Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


class MlpEnsemble(SelfValidating):
    """Small networks with tanh units, trained on all columns at once, each without one fold.

    The spread of a prediction is the networks' disagreement, and the errors that they made on the
    rows that they left out.

    References:
        Lakshminarayanan, Pritzel and Blundell, NeurIPS 2017, "Simple and scalable predictive
        uncertainty estimation using deep ensembles", here with one noise per column from held-out
        rows instead of a predicted one; Loshchilov and Hutter, ICLR 2019 (AdamW).
    """

    def __init__(self, settings: MlpEnsembleSettings | None = None) -> None:
        self._settings = settings or MlpEnsembleSettings()
        self._inputs: Scaling | None = None
        self._outputs = Scaling(np.zeros(0), np.zeros(0))
        self._noise = np.zeros(0)
        self._layers: list[Layer] = []
        self._held_out: Prediction | None = None

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        X, y = require_examples(X, y, n_least=2)
        fold_of = folds(len(X), self._settings.n_networks, seed=self._settings.seed)
        self._inputs = Scaling.of(X)
        center, spread = np.nanmean(y, axis=0), np.nanstd(y, axis=0)
        self._outputs = Scaling(center, spread)
        targets = (y - center) / np.where(spread > 0.0, spread, 1.0)
        self._layers = self._trained(self._inputs.to_unit(X), targets, fold_of)
        each = self._networks(X)  # (k, n, m)
        unseen = each[fold_of % len(each), np.arange(len(X))]
        self._noise = np.sqrt(np.nanmean((unseen - y) ** 2, axis=0))
        mean = np.where(np.isfinite(y), unseen, np.nan)
        self._held_out = Prediction(mean, np.where(np.isfinite(y), self._noise, np.nan))

    def _trained(
        self, X: NDArray[np.float64], y: NDArray[np.float64], fold_of: NDArray[np.int64]
    ) -> list[Layer]:
        """Return the layers of all networks, trained side by side."""
        import torch

        settings = self._settings
        generator = torch.Generator().manual_seed(derived_seed(settings.seed, "networks"))
        sizes = [X.shape[1], *settings.widths, y.shape[1]]
        parameters: list[torch.Tensor] = []
        for n_in, n_out in pairwise(sizes):
            shape = (settings.n_networks, n_in, n_out)
            first = torch.randn(shape, generator=generator) / max(n_in, 1) ** 0.5
            parameters += [first, torch.zeros(settings.n_networks, 1, n_out)]
        for parameter in parameters:
            parameter.requires_grad_()
        inputs = torch.from_numpy(X.astype(np.float32)).expand(settings.n_networks, -1, -1)
        targets = torch.from_numpy(np.nan_to_num(y).astype(np.float32))
        seen = fold_of[None, :] != np.arange(settings.n_networks)[:, None]  # (k, n)
        weight = torch.from_numpy((seen[:, :, None] & np.isfinite(y)).astype(np.float32))
        share = weight.sum(dim=1, keepdim=True).clamp_min(1.0)
        optimiser = torch.optim.AdamW(
            parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.n_steps)
        for _ in range(settings.n_steps):
            optimiser.zero_grad()
            values = inputs
            for index in range(0, len(parameters), 2):
                values = torch.baddbmm(parameters[index + 1], values, parameters[index])
                if index + 2 < len(parameters):
                    values = torch.tanh(values)
            loss = (weight / share * (values - targets) ** 2).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        arrays = [parameter.detach().numpy() for parameter in parameters]
        return list(zip(arrays[::2], arrays[1::2], strict=True))

    def _networks(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (k, n, m) predictions of each network, in units of the values."""
        assert self._inputs is not None
        values = np.broadcast_to(
            self._inputs.to_unit(X).astype(np.float32), (self._settings.n_networks, *X.shape)
        )
        for index, (weights, biases) in enumerate(self._layers):
            values = values @ weights + biases
            if index + 1 < len(self._layers):
                values = np.tanh(values)
        return np.asarray(values * self._outputs.spread + self._outputs.center)

    def held_out(self) -> Prediction:
        if self._held_out is None:
            raise not_fitted(self)
        return self._held_out

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        if self._inputs is None:
            raise not_fitted(self)
        X = require_features(X, len(self._inputs.center))
        mean = np.empty((len(X), len(self._noise)))
        std = np.empty_like(mean)
        for start in range(0, len(X), _CHUNK):
            each = self._networks(X[start : start + _CHUNK])
            mean[start : start + _CHUNK] = each.mean(axis=0)
            std[start : start + _CHUNK] = np.sqrt(each.var(axis=0) + self._noise**2)
        return Prediction(mean, std)

    def state(self) -> State:
        if self._inputs is None:
            raise not_fitted(self)
        arrays = as_part(self._inputs.state(), "inputs") | as_part(self._outputs.state(), "outputs")
        for index, (weights, biases) in enumerate(self._layers):
            arrays |= as_part({"weights": weights, "biases": biases}, f"layer{index}")
        return {**arrays, "noise": self._noise}

    def restore(self, state: State) -> None:
        n_layers = sum(name.startswith("layer") and name.endswith("/biases") for name in state)
        names = [f"layer{index}" for index in range(n_layers)]
        layers = [
            (
                array_of(state, f"{name}/weights", n_dimensions=3),
                array_of(state, f"{name}/biases", n_dimensions=3),
            )
            for name in names
        ]
        inputs, outputs = (Scaling.from_state(part_of(state, p)) for p in ("inputs", "outputs"))
        noise = array_of(state, "noise", n_dimensions=1)
        n_networks, widths = self._settings.n_networks, (*self._settings.widths, len(noise))
        found = [biases.shape for _, biases in layers]
        if found != [(n_networks, 1, width) for width in widths]:
            raise DataError(
                f"the settings say {n_networks} networks of widths {list(widths)}, outputs "
                f"included, but biases of shapes {found} were saved: build the predictor with the "
                "settings that it was saved with"
            )
        self._layers, self._noise, self._held_out = layers, noise, None
        self._inputs, self._outputs = inputs, outputs

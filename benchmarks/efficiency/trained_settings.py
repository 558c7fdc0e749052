"""Tables of trainings on scikit-learn's digits: networks and forests, by their settings."""

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor
from torch.nn.functional import cross_entropy, relu

from benchmarks.efficiency.made_table import Columns, Rows

N_TRAIN, BATCH = 900, 60


def trainings(rng: np.random.Generator) -> tuple[Rows, Columns]:
    """How two hidden layers are trained: error against multiplications. All are trained at once."""
    epochs = (2, 5, 10, 20)
    settings = list(
        itertools.product(
            (0.003, 0.01, 0.03, 0.1, 0.3, 1.0),  # learning rate
            (0.0, 0.9),  # momentum
            (0.0, 1e-3, 1e-2),  # weight decay
            (4, 8, 16, 32, 64),  # width
            (0.0, 0.25, 0.5),  # dropout
            (0.5, 1.0, 2.0),  # scale of the first weights
        )
    )
    perceptrons = Perceptrons(np.array(settings), rng)
    X, y = _digits(rng)
    inputs, labels = torch.from_numpy(X / 16.0).float(), torch.from_numpy(y)
    errors = []
    for epoch in range(1, max(epochs) + 1):
        for batch in torch.from_numpy(rng.permutation(N_TRAIN)).split(BATCH):
            perceptrons.learn(inputs[batch], labels[batch])
        if epoch in epochs:
            errors.append(perceptrons.errors(inputs[N_TRAIN:], labels[N_TRAIN:]))
    width = np.array(settings)[:, 3]
    work = np.outer(epochs, 64.0 * width + width**2 + 10.0 * width)
    return (
        [(*setting, epoch) for epoch in epochs for setting in settings],
        {"error": np.concatenate(errors), "work": work.ravel()},
    )


class Perceptrons:
    """Networks of two hidden layers, (n, 6) settings, trained side by side.

    All are of the largest width; weights of units that a network lacks are 0 and stay so.
    """

    def __init__(self, settings: NDArray[np.float64], rng: np.random.Generator) -> None:
        columns = torch.from_numpy(settings).float().T[:, :, None, None]
        self._rate, self._momentum, self._decay, width, drop, scale = columns
        self._kept = 1.0 - drop
        self._generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        n, most = len(settings), int(width.max())
        unit = (torch.arange(most) < width.view(n, 1)).float()
        self.weights = [
            self._drawn(n, 64, most) * unit[:, None, :] * (scale**2 * 2.0 / 64.0).sqrt(),
            self._drawn(n, most, most) * unit[:, :, None] * unit[:, None, :]
            * (scale**2 * 2.0 / width).sqrt(),
            self._drawn(n, most, 10) * unit[:, :, None] * (scale**2 / width).sqrt(),
        ]  # fmt: skip
        for weight in self.weights:
            weight.requires_grad_()
        self._velocities = [torch.zeros_like(weight) for weight in self.weights]

    def learn(self, inputs: Tensor, labels: Tensor) -> None:
        """Take a step of gradient descent."""
        logits = self._logits(inputs, drops=True).flatten(0, 1)
        loss = cross_entropy(logits, labels.repeat(len(self._kept)), reduction="sum")
        gradients = torch.autograd.grad(loss / len(labels), self.weights)
        with torch.no_grad():
            for weight, velocity, gradient in zip(
                self.weights, self._velocities, gradients, strict=True
            ):
                velocity.mul_(self._momentum).add_(gradient)
                weight.mul_(1.0 - self._rate * self._decay).sub_(self._rate * velocity)

    def errors(self, inputs: Tensor, labels: Tensor) -> NDArray[np.float64]:
        """Return (n,) percentages."""
        with torch.no_grad():
            wrong = self._logits(inputs, drops=False).argmax(dim=2) != labels
        return 100.0 * wrong.double().mean(dim=1).numpy()

    def _logits(self, inputs: Tensor, *, drops: bool) -> Tensor:
        output = inputs.expand(len(self._kept), -1, -1)
        for weight in self.weights[:-1]:
            output = relu(output @ weight)
            if drops:
                draws = torch.rand(output.shape, generator=self._generator)
                output = output * (draws < self._kept) / self._kept
        return output @ self.weights[-1]

    def _drawn(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator)


def forests(rng: np.random.Generator) -> tuple[Rows, Columns]:
    """How forests are grown, and of how many trees: error against nodes."""
    X, y = _digits(rng)
    counts = (2, 4, 8, 16, 32, 64)
    rows: Rows = []
    errors, nodes = [], []
    for setting in itertools.product(
        ("gini", "entropy"),
        (3, 5, 7, 10, 14),  # greatest depth
        (1, 3, 6, 12),  # least items of a leaf
        (0.03, 0.1, 0.3, 0.8),  # share of features
        (False, True),  # bootstrap
    ):
        criterion, depth, leaf, features, bootstrap = setting
        forest = RandomForestClassifier(
            max(counts),
            criterion=criterion,
            max_depth=depth,
            min_samples_leaf=leaf,
            max_features=features,
            bootstrap=bootstrap,
            random_state=int(rng.integers(2**31)),
        ).fit(X[:N_TRAIN], y[:N_TRAIN])
        votes = np.cumsum([tree.predict_proba(X[N_TRAIN:]) for tree in forest], axis=0)
        sizes = np.cumsum([tree.tree_.node_count for tree in forest])
        for count in counts:
            rows.append((*setting, count))
            errors.append(100.0 * np.mean(votes[count - 1].argmax(axis=1) != y[N_TRAIN:]))
            nodes.append(float(sizes[count - 1]))
    return rows, {"error": np.array(errors), "nodes": np.array(nodes)}


def _digits(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (n, 64) pixels of 0 to 16 and (n,) classes, in an order that is drawn."""
    X, y = load_digits(return_X_y=True)
    order = rng.permutation(len(X))
    return X[order], y[order]

"""Training of one's own, searched: `niwaki search configs/own_training.yaml`.

A function that gets decisions and returns values is all that a search needs. This one trains a
small network of scikit-learn on its handwritten digits.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

EPOCHS = 20
N_PIXELS, N_CLASSES = 64, 10


def train(decisions: Mapping[str, Any], *, fidelity: float, seed: int) -> dict[str, float]:
    """Return the accuracy of a network on digits that it was not trained on.

    Args:
        decisions: By name, as in `configs/own_training.yaml`.
        fidelity: Share of the epochs.
        seed: Of the initial weights and the order of the digits.
    """
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / 16.0, labels, random_state=0, stratify=labels)
    network = MLPClassifier(
        hidden_layer_sizes=_widths(decisions),
        activation=decisions["activation"],
        solver=decisions["optimizer"],
        learning_rate_init=decisions["learning_rate"],
        momentum=decisions.get("momentum", 0.9),  # adam has no such decision
        random_state=seed,
    )
    for _ in range(round(EPOCHS * fidelity)):
        network.partial_fit(parts[0], parts[2], classes=np.arange(N_CLASSES))
    return {"accuracy": network.score(parts[1], parts[3]), "loss": network.loss_}


def count(decisions: Mapping[str, Any]) -> dict[str, float]:
    """Return what is known without training: the number of weights and biases."""
    sizes = [N_PIXELS, *_widths(decisions), N_CLASSES]
    return {"params": sum((a + 1) * b for a, b in pairwise(sizes))}


def _widths(decisions: Mapping[str, Any]) -> list[int]:
    return [decisions["width"]] * decisions["layers"]

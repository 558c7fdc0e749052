"""Tables of one trained network, tried in every precision or width of its layers.

Networks classify Fashion-MNIST, which is read from the folder NIWAKI_DATA. What layers that come
first make of the images is computed once for all candidates that have them in common.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy, group_norm, linear, relu

from benchmarks.efficiency.made_table import Columns, Rows
from niwaki.tasks.paths import data_folder

Layer: TypeAlias = Callable[[Tensor], Tensor]

N_TRAIN, N_TEST, BATCH, RATE = 12_000, 1_000, 64, 3e-3
BITS = (2, 3, 4, 8)
SHARES = (0.25, 0.5, 0.75, 1.0)


def precisions(rng: np.random.Generator) -> tuple[Rows, Columns]:
    """Weights of eight layers in 2, 3, 4 or 8 bits, not tuned again: accuracy against bytes."""
    chain = _Chain((8, 16, 16, 24, 24, 32, 32), (2, 1, 2, 1, 1, 2, 1), rng)
    n_layers = len(chain.weights)
    for images, labels in _batches(rng, n_epochs=5):
        for depth in range(n_layers):
            images = chain.layer(depth, chain.weights[depth])(images)
        chain.learn(cross_entropy(images, labels))
        chain.step()
    layers = [
        [chain.layer(depth, _rounded(chain.weights[depth].detach(), bits)) for bits in BITS]
        for depth in range(n_layers)
    ]
    rows = list(itertools.product(BITS, repeat=n_layers))
    sizes = np.array([weight.numel() for weight in chain.weights])
    return rows, {
        "accuracy": tried(*_test(), lambda depth, _: layers[depth], n_layers, BITS),
        "bytes": np.array(rows, dtype=float) @ sizes / 8.0,
    }


def widths(rng: np.random.Generator) -> tuple[Rows, Columns]:
    """Six layers of a slimmable network, four widths each: accuracy against MACs.

    Trained at the least, the largest and two drawn widths (sandwich rule, Yu and Huang 2019).
    """
    full, strides = (16, 24, 24, 32, 32, 48), (2, 1, 2, 1, 2, 1)
    chain = _Chain(full, strides, rng)
    n_layers = len(full)

    def channels(row: Sequence[float]) -> list[int]:
        return [1, *(int(most * share) for most, share in zip(full, row, strict=False)), 10]

    def layer(depth: int, row: Sequence[float]) -> Layer:
        sizes = channels(row)
        return chain.layer(depth, chain.weights[depth][: sizes[depth + 1], : sizes[depth]])

    def options(depth: int, row: tuple[float, ...]) -> list[Layer]:
        if depth == n_layers:
            return [layer(depth, row)]
        return [layer(depth, (*row, share)) for share in SHARES]

    for images, labels in _batches(rng, n_epochs=4):
        drawn = [tuple(rng.choice(SHARES, n_layers)) for _ in range(2)]
        for row in ((SHARES[-1],) * n_layers, (SHARES[0],) * n_layers, *drawn):
            output = images
            for depth in range(n_layers + 1):
                output = layer(depth, row)(output)
            chain.learn(cross_entropy(output, labels))
        chain.step()
    rows = list(itertools.product(SHARES, repeat=n_layers))
    sizes = np.array([channels(row) for row in rows], dtype=float)
    each = 9.0 * 28.0**2 / np.cumprod(np.square(strides))
    return rows, {
        "accuracy": tried(*_test(), options, n_layers + 1, SHARES),
        "macs": (sizes[:, :-2] * sizes[:, 1:-1]) @ each + sizes[:, -2] * sizes[:, -1],
    }


class _Chain:
    """Convolutions without biases, and the mean over pixels with a linear layer at the end."""

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], rng: np.random.Generator
    ) -> None:
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        self.strides = (*strides, 0)
        shapes = [(b, a, 3, 3) for a, b in zip((1, *channels), channels, strict=False)]
        self.weights = [nn.Parameter(torch.empty(shape)) for shape in (*shapes, (10, channels[-1]))]
        for weight in self.weights:
            nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
        self._optimiser = torch.optim.AdamW(self.weights, lr=RATE)

    def layer(self, depth: int, weight: Tensor) -> Layer:
        """Return a layer that has a slice or a copy of its weights: normalised, then ReLU."""
        if weight.ndim == 2:
            return lambda images: linear(images.mean(dim=(2, 3)), weight)
        stride = self.strides[depth]
        return lambda images: relu(group_norm(conv2d(images, weight, None, stride, 1), 1))

    def learn(self, loss: Tensor) -> None:
        """Add the loss' gradients to those of the step."""
        loss.backward()  # type: ignore[no-untyped-call]

    def step(self) -> None:
        """Follow the gradients."""
        self._optimiser.step()
        self._optimiser.zero_grad()


def _batches(rng: np.random.Generator, *, n_epochs: int) -> Sequence[tuple[Tensor, Tensor]]:
    """Return batches of images, (n, 1, 28, 28) of 0 to 1, and (n,) classes."""
    images, labels = _fashion("train")
    chosen = rng.permutation(len(images))[:N_TRAIN]
    orders = [chosen[rng.permutation(N_TRAIN)] for _ in range(n_epochs)]
    return [
        (images[batch], labels[batch])
        for order in orders
        for batch in torch.from_numpy(order).split(BATCH)
    ]


def tried(
    images: Tensor,
    labels: Tensor,
    options: Callable[[int, tuple[float, ...]], Sequence[Layer]],
    n_layers: int,
    names: Sequence[float] = (0.0, 1.0),
) -> NDArray[np.float64]:
    """Return accuracies in percent of all combinations, the last decision changing fastest.

    Args:
        images: (n, ...) inputs of the first layer.
        labels: (n,) classes.
        options: Gives what a layer may be, by its depth and the names of what those before are.
        n_layers: How many there are.
        names: Of the options of a layer.
    """
    found: list[float] = []

    def descend(seen: Tensor, row: tuple[float, ...]) -> None:
        if len(row) == n_layers:
            found.append(float((seen.argmax(dim=1) == labels).double().mean()))
            return
        for name, layer in zip(names, options(len(row), row), strict=False):
            descend(layer(seen), (*row, name))

    with torch.no_grad():
        descend(images, ())
    return 100.0 * np.array(found)


def _test() -> tuple[Tensor, Tensor]:
    images, labels = _fashion("test")
    return images[:N_TEST], labels[:N_TEST]


def _rounded(weight: Tensor, bits: int) -> Tensor:
    """Return weights on a symmetric grid of each output channel."""
    most = 2 ** (bits - 1) - 1
    flat = weight.flatten(1)
    scale = flat.abs().amax(dim=1, keepdim=True) / most
    return ((flat / scale).round() * scale).view_as(weight)


def _fashion(which: str) -> tuple[Tensor, Tensor]:
    with np.load(data_folder() / f"fashion_mnist_{which}.npz") as arrays:
        images = torch.from_numpy(arrays["X"]).float().div(255.0).unsqueeze(1)
        return images, torch.from_numpy(arrays["y"]).long()

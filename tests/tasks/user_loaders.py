"""What a user's own file of loaders may look like."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset, random_split

SPLITS = {"train": 40, "search": 11, "val": 12, "test": 13, "calibration": 14}


def _items(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(n)
    return torch.randn(n, 3, 5, 5, generator=generator), torch.arange(n) % 3


def torch_loaders() -> Mapping[str, Any]:
    return {name: DataLoader(TensorDataset(*_items(n)), batch_size=7) for name, n in SPLITS.items()}


def only_train() -> Mapping[str, Any]:
    return {"train": DataLoader(TensorDataset(*_items(80)), batch_size=7, shuffle=True)}


def drawn_anew() -> Mapping[str, Any]:
    train, test = random_split(TensorDataset(*_items(80)), [60, 20])
    noise = np.random.normal() + random.random()  # noqa: NPY002
    batches = [(x + noise, y) for x, y in DataLoader(test, batch_size=7)]
    return {"train": DataLoader(train, batch_size=7, shuffle=True), "test": batches}


def two_tasks() -> Mapping[str, Any]:
    rng = np.random.default_rng(0)
    batch = (rng.normal(size=(30, 5)), {"label": np.arange(30) % 3, "age": rng.normal(size=30)})
    return {"train": [batch, batch]}


def iterators() -> Mapping[str, Any]:
    def batches(n: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield _items(n)

    return {name: batches(n) for name, n in SPLITS.items()}


def half_precision() -> Mapping[str, Any]:
    inputs, labels = _items(40)
    return {"train": [(inputs.to(torch.bfloat16).requires_grad_(), labels)]}


def bad_label_in_second_batch() -> Mapping[str, Any]:
    inputs, labels = _items(9)
    return {**torch_loaders(), "train": [(inputs, labels), (inputs, labels + 1)]}


def empty_search() -> Mapping[str, Any]:
    return {**torch_loaders(), "search": []}


def shapes_that_differ() -> Mapping[str, Any]:
    inputs, labels = _items(9)
    return {"train": [(inputs, labels), (inputs[:, :, :2], labels)]}


def shapes_that_differ_late() -> Mapping[str, Any]:
    return {**torch_loaders(), **shapes_that_differ()}


def a_batch_without_ages() -> Mapping[str, Any]:
    rng = np.random.default_rng(0)
    ages = (np.full(30, np.nan), rng.normal(size=30))
    batches = [(rng.normal(size=(30, 5)), {"age": age}) for age in ages]
    return dict.fromkeys(SPLITS, batches)


def several_inputs() -> Mapping[str, Any]:
    inputs, labels = _items(9)
    return {"train": [([inputs, inputs[:, :2]], labels)]}


def not_a_mapping() -> list[int]:
    return [1]


def not_iterable() -> Mapping[str, Any]:
    return {"train": 3}


def no_pairs() -> Mapping[str, Any]:
    return {"train": [np.zeros((9, 3, 5, 5))]}


def misspelled() -> Mapping[str, Any]:
    return {"trian": []}


def no_train() -> Mapping[str, Any]:
    return {"test": torch_loaders()["test"]}


NOT_A_FUNCTION = 3


class OneBuffer:
    """Fills the same arrays anew for every batch."""

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        inputs, labels = np.empty((4, 2), np.float32), np.empty(4, np.int64)
        for number in range(10):
            inputs[:], labels[:] = number, number % 3
            yield inputs, labels


def one_buffer() -> Mapping[str, Any]:
    return {name: OneBuffer() for name in SPLITS}


def shuffling() -> Mapping[str, Any]:
    return {
        name: DataLoader(TensorDataset(*_items(n)), batch_size=7, shuffle=True)
        for name, n in SPLITS.items()
    }


def no_file() -> Mapping[str, Any]:
    return {"train": np.load("there/is/none.npy")}


def no_file_later() -> Mapping[str, Any]:
    return {"train": (np.load(name) for name in ["there/is/none.npy"])}

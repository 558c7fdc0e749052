"""Splits in memory."""

import numpy as np
import pytest

from niwaki.tasks.arrays import ArraySplit
from niwaki.tasks.preprocessing import as_given
from tests.tasks.made_up import raw_arrays


@pytest.fixture
def split() -> ArraySplit:
    arrays = raw_arrays(10)
    return ArraySplit(arrays, as_given(arrays.inputs, "NCHW"))


def test_without_rng_items_come_in_the_order_of_the_file(split: ArraySplit) -> None:
    batches = list(split.batches(4))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    together = np.concatenate([batch.inputs for batch in batches])
    assert (together == split.arrays.inputs.astype(np.float32)).all()


def test_shuffled_inputs_keep_their_targets(split: ArraySplit) -> None:
    by_input = {
        batch.inputs.tobytes(): batch.targets["pose"].tobytes() for batch in split.batches(1)
    }
    shuffled = list(split.batches(1, rng=np.random.default_rng(0)))
    assert {b.inputs.tobytes(): b.targets["pose"].tobytes() for b in shuffled} == by_input
    assert [b.inputs.tobytes() for b in shuffled] != list(by_input)


def test_the_same_generator_state_gives_the_same_order(split: ArraySplit) -> None:
    first, again = (
        [batch.inputs.tobytes() for batch in split.batches(3, rng=np.random.default_rng(7))]
        for _ in range(2)
    )
    assert first == again


def test_targets_come_in_canonical_types(split: ArraySplit) -> None:
    (batch,) = split.batches(100)
    types = {name: str(values.dtype) for name, values in batch.targets.items()}
    assert types == {"digit": "int64", "mask": "int64", "depth": "float32", "pose": "float32"}


def test_targets_alone_are_those_of_the_batches(split: ArraySplit) -> None:
    for alone, batch in zip(split.targets(4), split.batches(4), strict=True):
        assert all((alone[name] == batch.targets[name]).all() for name in batch.targets)


def test_a_batch_is_a_copy(split: ArraySplit) -> None:
    before = split.arrays.inputs.copy()
    for batch in split.batches(4):
        batch.inputs[:] = 0
    assert (split.arrays.inputs == before).all()


def test_no_items_per_batch_is_an_error(split: ArraySplit) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        next(split.batches(0))

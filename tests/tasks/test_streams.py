"""Batches cut from pieces of any size."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from niwaki.tasks.arrays import Arrays
from niwaki.tasks.streams import regrouped


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(1, 12))
def test_regrouping_keeps_items_and_order(sizes: list[int], batch_size: int) -> None:
    starts = np.cumsum([0, *sizes])
    pieces = [
        Arrays(np.arange(start, start + n), {"x": 10 * np.arange(start, start + n)})
        for start, n in zip(starts, sizes, strict=False)
    ]
    batches = list(regrouped(pieces, batch_size))
    assert [i for batch in batches for i in batch.inputs] == list(range(sum(sizes)))
    assert all((batch.targets["x"] == 10 * batch.inputs).all() for batch in batches)
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert all(0 < len(batch) <= batch_size for batch in batches)

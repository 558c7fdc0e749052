"""Which rows are learned from where there are too many."""

import numpy as np

from niwaki.predictors.rows import even_share, share_of_each


def test_an_even_share_is_spread_over_all() -> None:
    assert even_share(1000, 5).tolist() == [0, 250, 500, 749, 999]
    assert even_share(3, 5).tolist() == [0, 1, 2] and even_share(0, 5).size == 0


def test_what_few_rows_have_is_kept() -> None:
    present = np.ones((1000, 2), dtype=np.bool_)
    present[:, 1] = np.arange(1000) % 100 == 7
    rows = share_of_each(present, 100)
    assert len(rows) == 100 and present[rows, 1].sum() == 10
    assert np.all(np.diff(rows) > 0) and np.histogram(rows, 4)[0].min() >= 20


def test_all_rows_are_taken_where_they_are_not_too_many() -> None:
    present = np.zeros((30, 3), dtype=np.bool_)
    assert share_of_each(present, 30).tolist() == list(range(30))

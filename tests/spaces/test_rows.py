"""A space of table rows: nothing but the rows, each as likely as any other."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import SpaceError
from niwaki.core.randomness import stream
from niwaki.spaces.row_index import MOST_LOOKED_UP, RowIndex
from niwaki.spaces.rows import MOST_COLUMNS, RowSpace
from niwaki.spaces.walks import every_candidate
from niwaki.testing.space_contract import SpaceContract


def full_factorial(*n_options: int) -> RowSpace:
    """Return a space of all combinations."""
    codes = np.indices(n_options).reshape(len(n_options), -1)
    return RowSpace.of({f"x{j}": column.tolist() for j, column in enumerate(codes)})[0]


def scattered(n_rows: int, n_decisions: int, n_options: int) -> RowSpace:
    """Return a space of a few rows out of many combinations."""
    codes = stream(0, "rows").integers(n_options, size=(n_decisions, n_rows))
    return RowSpace.of({f"x{j}": column.tolist() for j, column in enumerate(codes)})[0]


class TestFullFactorial(SpaceContract):
    def make(self) -> RowSpace:
        return full_factorial(5, 4, 3, 2, 1)


class TestScatteredRows(SpaceContract):
    def make(self) -> RowSpace:
        return scattered(400, 12, 4)


class TestOneRow(SpaceContract):
    def make(self) -> RowSpace:
        return RowSpace.of({"a": [1], "b": ["x"], "c": [None]})[0]


# Chains of two to four blocks: what is absent is inactive, unless other rows have it there.
CHAINS = [
    (a, b, c, d)
    for a in ("p", "q")
    for b in ("p", "q")
    for c in (None, "p", "q")
    for d in ((None,) if c is None else (None, "p"))
]


class TestRowsOfSeveralLengths(SpaceContract):
    def make(self) -> RowSpace:
        return RowSpace.of({f"block{j}": column for j, column in enumerate(zip(*CHAINS))})[0]  # noqa: B905


def test_every_row_is_a_candidate_and_every_candidate_a_row() -> None:
    space, number = RowSpace.of({"a": [2, 1, 2], "b": ["y", "x", "x"]})
    assert [str(space.candidate(row)) for row in number] == ["a=2, b=y", "a=1, b=x", "a=2, b=x"]
    assert set(every_candidate(space)) == {space.candidate(row) for row in range(3)}


def test_rows_that_decide_alike_are_one_candidate() -> None:
    space, number = RowSpace.of({"a": [1, 2, 1]})
    assert space.size == 2
    assert number.tolist() == [0, 1, 0]


def test_what_no_row_has_any_more_is_inactive_and_what_some_have_may_be_none() -> None:
    space = TestRowsOfSeveralLengths().make()
    short = space.canonical({"block0": "p", "block1": "q", "block2": None})
    assert "block3" not in short.decisions
    long = space.canonical({"block0": "p", "block1": "q", "block2": "q", "block3": None})
    assert space.size == len(CHAINS)
    assert not space.encode([short])[0, 4:].any()
    assert space.encode([long])[0, 4:].sum() == 1


def test_sampling_is_uniform_over_rows_not_over_walks() -> None:
    # By walking, the lonely row would come every other time.
    space, _ = RowSpace.of({"a": [0] + [1] * 9, "b": list(range(10))})
    rng = stream(1, "test")
    drawn = Counter(space.sample(rng) for _ in range(5000))
    assert len(drawn) == 10
    deviation = sum((n - 500) ** 2 / 500 for n in drawn.values())
    assert deviation < 27.9  # 99.9% of the chi-squared distribution with 9 degrees of freedom


def test_mutants_differ_in_one_or_a_few_decisions_where_rows_allow() -> None:
    space = full_factorial(5, 5, 5, 5, 5, 5)
    rng = stream(2, "test")
    parent = space.sample(rng)
    changes = Counter(differences(parent, space.mutate(parent, rng)) for _ in range(300))
    assert changes[1] > 150
    assert 0 not in changes


def test_mutants_in_a_scattered_table_are_near() -> None:
    space = scattered(400, 12, 4)
    rng = stream(3, "test")
    parent = space.sample(rng)
    mutants = sorted(differences(parent, space.mutate(parent, rng)) for _ in range(100))
    others = sorted(differences(parent, space.candidate(row)) for row in range(space.size))
    assert mutants[90] <= others[len(others) // 2]
    assert mutants[0] == others[1]


def test_children_mix_their_parents() -> None:
    space = full_factorial(4, 4, 4, 4, 4)
    rng = stream(4, "test")
    for _ in range(50):
        first, second = space.sample(rng), space.sample(rng)
        child = space.crossover(first, second, rng)
        if differences(first, second) < 2:
            continue
        strange = [
            path
            for path, value in child.items
            if value not in (first.decisions[path], second.decisions[path])
        ]
        assert len(strange) <= 1
        assert child not in (first, second) or differences(first, second) < 3


def test_counts_of_projections_are_those_of_the_rows() -> None:
    space = TestRowsOfSeveralLengths().make()
    paths = ("block1", "block3")
    by_hand = Counter(
        Candidate.of({p: v for p, v in space.candidate(row).items if p in paths})
        for row in range(space.size)
    )
    assert dict(space.projections(paths)) == by_hand


def test_ordered_decisions_have_a_feature_that_rises() -> None:
    space, _ = RowSpace.of({"width": [8, 16, 64], "kind": ["a", "b", "a"]}, ordered={"width": ()})
    encoded = space.encode([space.candidate(row) for row in range(3)])
    assert encoded.shape == (3, 3 + 1 + 2)
    assert np.diff(encoded[:, 3]).min() > 0


def test_ordered_names_rise_as_they_are_listed() -> None:
    sizes = ["small", "large", None, "medium"]
    space, rows = RowSpace.of(
        {"size": sizes}, ordered={"size": ("small", "medium", "large", "huge")}
    )
    encoded = space.encode([space.candidate(row) for row in rows])
    assert encoded[:, -1].tolist() == [1 / 3, 1, 0, 2 / 3]


class TestNamesOfRows(SpaceContract):
    """A name for each row is a decision with as many options as rows."""

    def make(self) -> RowSpace:
        columns = {"name": [f"net{i}" for i in range(1999)] + [None], "depth": [*range(2000)]}
        return RowSpace.of(columns, ordered={"depth": ()})[0]


def test_options_of_a_long_decision_share_columns_evenly() -> None:
    n_options = 10 * MOST_COLUMNS
    space, _ = RowSpace.of({"name": [f"net{i}" for i in range(n_options)], "b": [0] * n_options})
    encoded = space.encode([space.candidate(row) for row in range(n_options)])
    assert encoded.shape == (n_options, MOST_COLUMNS + 1)
    assert set(np.unique(encoded)) == {0.0, 1.0}
    assert encoded.sum(axis=0)[:-1].tolist() == [10.0] * MOST_COLUMNS
    assert encoded.sum(axis=1).tolist() == [2.0] * n_options


@pytest.mark.parametrize("n_options", [127, 128, 129, 32_767, 32_768])
def test_any_number_of_options_is_walked(n_options: int) -> None:
    space, rows = RowSpace.of({"a": list(range(n_options)), "b": [0] * n_options})
    last = space.decide(lambda path, options: options[-1])
    assert last == space.candidate(n_options - 1)
    assert space.row(last) == rows[-1] == n_options - 1
    assert not space.check(last)


def test_a_candidate_that_is_no_row_is_refused_with_the_options_left() -> None:
    space, _ = RowSpace.of({"a": [1, 2], "b": ["x", "y"]})
    with pytest.raises(SpaceError, match=r"no row with a=1, b=y.*'b' is 'y'.*\['x'\]"):
        space.row(Candidate.of({"a": 1, "b": "y"}))


def test_the_options_of_a_long_decision_are_not_all_listed() -> None:
    space, _ = RowSpace.of({"name": [f"net{i}" for i in range(9000)]})
    said = space.check(Candidate.of({"name": "net9000"}))
    assert "'net9000', which is not one of ['net0', 'net1'," in said
    assert said.endswith("...] (9,000 in all)")
    assert len(said) < 600


@pytest.mark.parametrize(
    ("columns", "ordered", "fault"),
    [
        ({"a": []}, {}, "no row"),
        ({}, {}, "no decision"),
        ({"a": ["x"]}, {"b": ()}, "'b'"),
        ({"a": ["x", "y"]}, {"a": ()}, "'a' is in 'ordered', which does not list 'x', 'y'"),
        ({"a": ["x", "y"]}, {"a": ("y",)}, "does not list 'x': give all"),
        ({"a": ["x", "y"]}, {"a": ("y", "x", "y")}, "lists an option of 'a' twice"),
        ({"a": [True, False]}, {"a": (0, 1)}, "does not list False, True"),
    ],
)
def test_impossible_spaces_are_refused(
    columns: dict[str, list[Value]], ordered: dict[str, Sequence[Value]], fault: str
) -> None:
    with pytest.raises(SpaceError, match=fault):
        RowSpace.of(columns, ordered=ordered)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 3)] * 4), min_size=1, max_size=60, unique=True),
    st.sets(st.integers(0, 3)),
)
def test_neighbours_are_all_rows_that_differ_in_one_code(
    rows: list[tuple[int, ...]], many: set[int]
) -> None:
    codes = np.array(sorted(rows), dtype=np.int16)
    n_options = [MOST_LOOKED_UP + 1 if column in many else 4 for column in range(4)]
    index = RowIndex(np.asfortranarray(codes), n_options)
    found, changed = index.neighbours(0)
    by_hand = (codes != codes[0]).sum(axis=1) == 1
    assert sorted(found) == np.flatnonzero(by_hand).tolist()
    assert all(codes[row, column] != codes[0, column] for row, column in zip(found, changed))  # noqa: B905
    order = [(column, codes[row, column]) for row, column in zip(found, changed, strict=True)]
    assert order == sorted(order)
    assert [index.find(row) for row in codes.tolist()] == list(range(len(codes)))
    assert index.find([9, 9, 9, 9]) == -1
    np.testing.assert_array_equal(index.distances(codes[0]), (codes != codes[0]).sum(axis=1))


def differences(first: Candidate, second: Candidate) -> int:
    """Return in how many decisions two candidates differ."""
    paths = {*first.decisions, *second.decisions}
    missing = math.nan
    return sum(first.decisions.get(p, missing) != second.decisions.get(p, missing) for p in paths)

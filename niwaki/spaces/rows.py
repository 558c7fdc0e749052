"""A space whose candidates are the rows of a table, and nothing else."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import SpaceError
from niwaki.core.excerpt import excerpt
from niwaki.core.randomness import stream
from niwaki.spaces.base import Choose, EnumerableSpace, is_amount, same
from niwaki.spaces.row_index import Codes, RowIndex

MEAN_STEPS = 1.5  # single changes of a mutation
MOST_BRANCHES = 100_000  # of walks that are kept in mind
MASKS = 4  # ways to mix two parents, before the nearest row has to do
MOST_COLUMNS = 1024  # of a decision

Rows: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RowSpace(EnumerableSpace):
    """Candidates that are in a table.

    A walk offers the options that some row still has, given what was decided before, so that it
    always ends at a row. A decision that no such row has is inactive; one that only some of them
    have offers None as well, for "there is none". Sampling is uniform over rows. Mutants and
    children are rows: those that differ in one decision, where there are any, or else the nearest.

    Features of a decision are a column for each option. Of a long one, such as a name for each row,
    several options share a column, by chance: whoever learns from columns weighs a decision alike,
    however many options it has.

    Attributes:
        paths: Decisions in order of walking.
        options: Of each decision, from least to most; None is the last, if any row lacks the
            decision.
        codes: (n, d) positions in `options`; distinct rows, in lexicographic order.
        ordered: Decisions whose options mean amounts: they get a feature that rises with them,
            beside those of their options.

    Raises:
        SpaceError: If there is no row, or an ordered decision is unknown.

    References:
        Weinberger, Dasgupta, Langford, Smola and Attenberg, ICML 2009, "Feature hashing for large
        scale multitask learning".
    """

    paths: tuple[str, ...]
    options: tuple[tuple[Value, ...], ...]
    codes: Codes
    ordered: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.codes) == 0:
            raise SpaceError("the table has no row: nothing can be searched")
        for path in self.ordered:
            if path not in self.paths:
                raise SpaceError(f"'ordered' names '{path}', which is not one of {self.paths}")

    @classmethod
    def of(
        cls,
        columns: Mapping[str, Sequence[Value]],
        *,
        ordered: Mapping[str, Sequence[Value]] = MappingProxyType({}),
    ) -> tuple["RowSpace", Rows]:
        """Build the space of a table.

        Args:
            columns: n values for each decision; None where a row does not have it. All values of a
                column that are not None are of one type.
            ordered: Options from least to most of decisions that mean amounts; none for numbers,
                which rise by themselves.

        Returns:
            The space, and (n,) which of its candidates each row of the table is; the same number
            for rows that decide everything alike.

        Raises:
            SpaceError: If there is no row, or what rises is not listed.
        """
        coded = [
            _coded(values, _rising(path, values, ordered[path]) if path in ordered else ())
            for path, values in columns.items()
        ]
        options = tuple(options for options, _ in coded)
        if not coded:
            raise SpaceError("the table has no decision: nothing can be searched")
        order = np.lexsort([codes for _, codes in reversed(coded)])
        sorted_codes = [codes[order] for _, codes in coded]
        new = np.zeros(len(order), dtype=bool)
        new[:1] = True
        for codes in sorted_codes:
            new[1:] |= codes[1:] != codes[:-1]
        numbers = np.empty(len(order), dtype=np.int64)
        numbers[order] = np.cumsum(new) - 1
        most = max(map(len, options))
        smallest = np.min_scalar_type(-most - 1)  # holds the number of options, too
        unique = np.empty((int(new.sum()), len(coded)), dtype=smallest, order="F")
        for j, codes in enumerate(sorted_codes):
            unique[:, j] = codes[new]
        return cls(tuple(columns), options, unique, tuple(ordered)), numbers

    def decide(self, choose: Choose) -> Candidate:
        decided: dict[str, Value] = {}
        first, last = 0, len(self.codes)
        for j, path in enumerate(self.paths):
            branches = self._branches(j, first, last)
            offered = list(branches)
            if offered == [None]:
                continue
            value = choose(path, offered)
            decided[path] = value
            first, last = branches[value]
        return Candidate.of(decided)

    def _branches(self, j: int, first: int, last: int) -> Mapping[Value, tuple[int, int]]:
        """Return the options of decision j that rows `first` to `last` have, and where."""
        known = self._known_branches.get((j, first, last))
        if known is not None:
            return known
        edges = first + np.searchsorted(self.codes[first:last, j], self._index.steps[j])
        there = np.flatnonzero(edges[1:] > edges[:-1])
        starts, stops = edges[there].tolist(), edges[there + 1].tolist()
        options = [self.options[j][code] for code in there]
        branches = dict(zip(options, zip(starts, stops, strict=True), strict=True))
        if len(self._known_branches) < MOST_BRANCHES:
            self._known_branches[j, first, last] = branches
        return branches

    @cached_property
    def _known_branches(self) -> dict[tuple[int, int, int], Mapping[Value, tuple[int, int]]]:
        """Those that walks came by: walks through all of a table pass most of them often."""
        return {}

    def sample(self, rng: np.random.Generator) -> Candidate:
        return self.candidate(int(rng.integers(len(self.codes))))

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        start = row = self.row(candidate)
        if len(self.codes) == 1:
            return candidate
        for _ in range(int(rng.geometric(1.0 / MEAN_STEPS))):
            changed = self._changed_once(row, start, rng)
            if changed < 0:
                break
            row = changed
        if row == start:
            row = self._nearest(self.codes[start], rng, (start,))
        return self.candidate(row)

    def _changed_once(self, row: int, start: int, rng: np.random.Generator) -> int:
        """Return a row that differs from `row` in one decision and is not `start`; -1 if none."""
        # One guess, which a full table has: to list all neighbours takes ten times as long.
        codes = self.codes[row].tolist()
        j = int(rng.integers(len(codes)))
        codes[j] = int(rng.integers(len(self.options[j])))
        guess = self._index.find(codes)
        if guess >= 0 and guess not in (row, start):
            return guess
        neighbours, changed = self._index.neighbours(row)
        others = neighbours != start
        columns = np.flatnonzero(np.bincount(changed[others]))
        if len(columns) == 0:
            return -1
        here = (changed == columns[int(rng.integers(len(columns)))]) & others
        return int(_one_of(neighbours[here], rng))

    def crossover(self, first: Candidate, second: Candidate, rng: np.random.Generator) -> Candidate:
        parents = (self.row(first), self.row(second))
        if parents[0] == parents[1] or len(self.codes) == 2:
            return first
        for _ in range(MASKS):
            mixed = np.where(self._mask(rng), self.codes[parents[0]], self.codes[parents[1]])
            row = self._index.find(mixed.tolist())
            if row >= 0 and row not in parents:
                return self.candidate(row)
        if row >= 0:  # parents too much alike for a child of their own
            return self.mutate(self.candidate(row), rng)
        return self.candidate(self._nearest(mixed, rng, parents))

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        codes = self.codes[[self.row(candidate) for candidate in candidates]]
        return np.concatenate(
            [table[codes[:, j]] / unit for j, table, unit in self._tables], axis=1
        )

    @property
    def encoded_paths(self) -> list[str]:
        return [self.paths[j] for j, table, _ in self._tables for _ in range(table.shape[1])]

    @property
    def size(self) -> int:
        return len(self.codes)

    def projections(self, paths: Collection[str]) -> list[tuple[Candidate, int]]:
        kept = [j for j, path in enumerate(self.paths) if path in paths]
        # What is inactive and what was decided to be absent are not the same decision.
        seen = np.where(self._inactive, -1, self.codes)[:, kept]
        found, counts = np.unique(seen, axis=0, return_counts=True)
        return [
            (Candidate.of(self._items(kept, codes, codes < 0)), int(n))
            for codes, n in zip(found, counts, strict=True)
        ]

    def candidate(self, row: int) -> Candidate:
        """Return the candidate at a row of `codes`."""
        everything = range(len(self.paths))
        return Candidate.of(self._items(everything, self.codes[row], self._inactive[row]))

    def row(self, candidate: Candidate) -> int:
        """Return where in `codes` a candidate is.

        Raises:
            SpaceError: If it is not in the table.
        """
        decisions = candidate.decisions
        codes = [of.get(decisions.get(path), -1) for path, of in self._code_of]
        row = self._index.find(codes) if min(codes) >= 0 else -1
        if row < 0:
            raise SpaceError(f"the table has no row with {candidate}: {self._why_not(candidate)}")
        return row

    def _why_not(self, candidate: Candidate) -> str:
        return self.check(candidate) or "its decisions are not those of one row"

    def _items(
        self, columns: Sequence[int], codes: NDArray[np.integer], inactive: NDArray[np.bool_]
    ) -> list[tuple[str, Value]]:
        return [
            (self.paths[j], self.options[j][codes[at]])
            for at, j in enumerate(columns)
            if not inactive[at]
        ]

    def _nearest(
        self, codes: NDArray[np.integer], rng: np.random.Generator, not_these: Sequence[int]
    ) -> int:
        """Return a row that differs from `codes` in as few decisions as possible, or a few more."""
        distances = self._index.distances(codes)
        distances[list(not_these)] = len(self.paths) + 1
        reach = distances.min() + int(rng.geometric(0.5)) - 1
        near = distances <= min(reach, len(self.paths))
        return int(_one_of(np.flatnonzero(near), rng))

    def _mask(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Return which decisions come from the first parent: scattered ones, or one run."""
        n = len(self.paths)
        if rng.random() < 0.5:
            return rng.random(n) < 0.5
        start, stop = np.sort(rng.integers(n + 1, size=2))
        return np.asarray((np.arange(n) >= start) & (np.arange(n) < stop))

    def _present(self, j: int) -> tuple[Value, ...]:
        return tuple(option for option in self.options[j] if option is not None)

    @cached_property
    def _index(self) -> RowIndex:
        return RowIndex(self.codes, [len(options) for options in self.options])

    @cached_property
    def _code_of(self) -> list[tuple[str, dict[Value, int]]]:
        codes = [{option: code for code, option in enumerate(o)} for o in self.options]
        return list(zip(self.paths, codes, strict=True))

    @cached_property
    def _inactive(self) -> NDArray[np.bool_]:
        """(n, d): the row lacks the decision, and so do all rows that share what came before."""
        inactive = np.zeros(self.codes.shape, dtype=bool)
        begins = np.arange(len(self.codes)) == 0  # those of rows that share what came before
        for j, options in enumerate(self.options):
            column = self.codes[:, j]
            if options[-1] is None:
                absent, starts = column == len(options) - 1, np.flatnonzero(begins)
                lengths = np.diff(starts, append=len(column))
                inactive[:, j] = np.repeat(np.logical_and.reduceat(absent, starts), lengths)
            begins[1:] |= column[1:] != column[:-1]
        return inactive

    @cached_property
    def _tables(self) -> list[tuple[int, NDArray[np.integer], int]]:
        """Decisions with (n, k) features of their options in small integers, and a unit of these.

        A table has a million options at times: features take eight times as much as numbers.
        """
        tables: list[tuple[int, NDArray[np.integer], int]] = []
        for j, path in enumerate(self.paths):
            n_options, n_present = len(self.options[j]), len(self._present(j))
            tables.append((j, _columns(path, n_present, n_options), 1))
            if path in self.ordered:
                tables.append((j, _ranks(n_present, n_options), n_present))
        return tables

    def __getstate__(self) -> dict[str, object]:
        """Travel without what is made on use."""
        return {name: getattr(self, name) for name in ("paths", "options", "codes", "ordered")}


def _rising(path: str, values: Sequence[Value], listed: Sequence[Value]) -> Sequence[Value]:
    """Return the options of an ordered decision from least to most; none if they are numbers.

    Raises:
        SpaceError: If they are no numbers, and not listed, or one is listed twice.
    """
    there = set(values) - {None}
    if len(set(listed)) < len(listed):
        raise SpaceError(f"'ordered' lists an option of '{path}' twice: {list(listed)}")
    if not listed and all(map(is_amount, there)):
        return ()
    missing = [option for option in there if not any(same(option, each) for each in listed)]
    if missing:
        shown = excerpt(", ".join(sorted(map(repr, missing))))
        raise SpaceError(
            f"decision '{path}' is in 'ordered', which does not list {shown}: give all of its "
            f"options from least to most, as in `ordered: {{{path}: [small, medium, large]}}`"
        )
    return [option for option in listed if option in there]


def _coded(
    values: Sequence[Value], rising: Sequence[Value]
) -> tuple[tuple[Value, ...], NDArray[np.int32]]:
    """Return options, sorted unless they rise so, None last, and where each value is in them."""
    found = set(values)
    options = [*(rising or sorted(found - {None})), *({None} & found)]  # type: ignore[type-var]
    position = {option: code for code, option in enumerate(options)}
    return tuple(options), np.array([position[value] for value in values], dtype=np.int32)


def _ranks(n_present: int, n_options: int) -> NDArray[np.int32]:
    """Return (n_options, 1): from 1 to n for the options, 0 for none."""
    ranks = np.zeros((n_options, 1), dtype=np.int32)
    ranks[:n_present, 0] = np.arange(1, n_present + 1)
    return ranks


def _columns(path: str, n_present: int, n_options: int) -> NDArray[np.int8]:
    """Return (n_options, k): 1 in the column of each option, which others may share; 0 for none."""
    n_columns = min(n_present, MOST_COLUMNS)
    places = np.arange(n_present)
    if n_present > n_columns:
        places = stream(0, "options", path).permutation(n_present) % n_columns
    columns = np.zeros((n_options, n_columns), dtype=np.int8)
    columns[np.arange(n_present), places] = 1
    return columns


def _one_of(rows: NDArray[np.int64], rng: np.random.Generator) -> np.int64:
    return np.int64(rows[int(rng.integers(len(rows)))])

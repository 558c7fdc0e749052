"""A table to search, what a search is told, and how it is judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.efficiency.true_front import TrueFront
from niwaki.core.candidate import Candidate
from niwaki.core.jsonable import fingerprint
from niwaki.core.objectives import Objective
from niwaki.core.pareto import non_dominated
from niwaki.core.randomness import stream
from niwaki.evaluation.table import TableEvaluator
from niwaki.spaces.rows import RowSpace

SHARES = (0.90, 0.95, 0.99)
ASKS_PER_EVALUATION = 40  # a searcher that only repeats itself is stopped in the end


@dataclass(frozen=True, eq=False)
class Scenario:
    """One table with its objectives. The table is read when something of it is first asked for.

    Attributes:
        name: `group/table/...`, unique.
        group: Tables that are summed up together.
        evaluator: The table; its rows, as candidates, are what is searched.
        wanted: m names of its values: the objectives.
        judged_by: Names of the values that a search is judged by, where they are not those that it
            is told. Then only the rows that look best by what was told are judged, not all that
            were evaluated: having evaluated a good row is worth nothing if it is not chosen.
        failing_share: Share of the evaluations that fail: which, hangs on the candidate's key. A
            failed one is paid for like any other.
        family: Of the networks that the rows are, for scores of untrained networks; empty if they
            cannot be built.
    """

    name: str
    group: str
    evaluator: TableEvaluator
    wanted: tuple[str, ...]
    judged_by: Mapping[str, str] = field(default_factory=dict)
    failing_share: float = 0.0
    family: str = ""

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is wanted, in the user's own direction."""
        by_name = {objective.name: objective for objective in self.evaluator.values}
        return tuple(by_name[name] for name in self.wanted)

    @property
    def space(self) -> RowSpace:
        """Of n candidates."""
        return self.evaluator.space

    @property
    def networks(self) -> Callable[[Candidate], str] | None:
        """Gives equal names to isomorphic rows; None if the table does not say."""
        return self.evaluator.identity if self.evaluator.rows.settings.identity else None

    @cached_property
    def grid(self) -> NDArray[np.int64]:
        """(n, k) positions of the options of each row."""
        return self.space.codes.astype(np.int64)

    @cached_property
    def told(self) -> NDArray[np.float64]:
        """(n, m) costs that a search is told, minimised; NaN where the table has none."""
        return self._costs(self.wanted)

    @cached_property
    def truth(self) -> NDArray[np.float64]:
        """(n, m) costs that it is judged by, minimised."""
        return self._costs([self.judged_by.get(name, name) for name in self.wanted])

    @cached_property
    def failing(self) -> NDArray[np.bool_]:
        """(n,) rows whose evaluation fails."""
        keys = (self.space.candidate(row).key for row in range(self.space.size))
        draws = np.array([stream(0, "failure", key).random() for key in keys])
        return np.isnan(self.told).any(axis=1) | (draws < self.failing_share)

    def _costs(self, names: Sequence[str]) -> NDArray[np.float64]:
        rows = self.evaluator.rows
        groups = [rows.all_of(candidate) for candidate in range(self.space.size)]
        columns = [[rows.value(name, group) for group in groups] for name in names]
        return np.array(columns).T * [objective.sign for objective in self.objectives]

    @cached_property
    def fingerprint(self) -> str:
        """Names everything that a run depends on, but for the identities of its networks."""
        arrays = (self.grid, self.told, self.truth, self.failing)
        digests = [np.ascontiguousarray(array).tobytes().hex() for array in arrays]
        return fingerprint([self.name, list(self.wanted), digests, bool(self.judged_by)])

    @cached_property
    def complete(self) -> bool:
        """Whether every combination of options is a row."""
        return len(self.grid) == int(np.prod([len(options) for options in self.space.options]))

    @cached_property
    def _row_of(self) -> dict[tuple[int, ...], int]:
        return {tuple(point): row for row, point in enumerate(self.grid.tolist())}

    def row(self, point: Sequence[int]) -> int:
        """Return the row at a point, or, where there is none, the nearest row.

        Args:
            point: k positions of options.

        Nearest by the number of choices that differ; of equals, by how far the positions are apart,
        then the earlier row. So a peer that knows nothing of holes is repaired, free of charge.
        """
        found = self._row_of.get(tuple(int(position) for position in point))
        if found is not None:
            return found
        apart = np.abs(self.grid - np.asarray(point))
        scale = np.array([max(1, len(options) - 1) for options in self.space.options])
        distance = (apart > 0).sum(axis=1) + (apart / scale).mean(axis=1) / 2.0
        return int(np.argmin(distance))

    @cached_property
    def front(self) -> TrueFront:
        """The best of all rows that do not fail, by what is judged."""
        return TrueFront(self.truth[~self.failing])

    @cached_property
    def ceiling(self) -> float:
        """Share that evaluating the whole table would reach; below 1 with noise only."""
        return self.share(range(len(self.grid)))

    def share(self, rows: Sequence[int]) -> float:
        """Return the share of the true front's hypervolume that evaluated rows reach."""
        valid = np.asarray(rows, dtype=np.int64)
        valid = valid[~self.failing[valid]]
        if self.judged_by:
            valid = valid[non_dominated(self.told[valid])]
        return self.true_share(valid)

    def true_share(self, rows: Sequence[int] | NDArray[np.int64]) -> float:
        """Return the share that valid rows hold by what is judged, whatever was told of them."""
        return self.front.share(self.truth[np.asarray(rows, dtype=np.int64)])

    def needed(self, rows: Sequence[int]) -> list[int | None]:
        """Return, for each of `SHARES`, after how many evaluations it was first reached."""
        if self.judged_by:
            shares = [self.share(rows[: n + 1]) for n in range(len(rows))]
            return [next((n + 1 for n, s in enumerate(shares) if s >= w), None) for w in SHARES]
        return [self._first(rows, wanted) for wanted in SHARES]

    def _first(self, rows: Sequence[int], wanted: float) -> int | None:
        """Bisect: a share never falls when a row is added."""
        if not rows or self.share(rows) < wanted:
            return None
        low, high = 0, len(rows)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.share(rows[:middle]) >= wanted else (middle, high)
        return high


@dataclass(frozen=True)
class Answer:
    """What a contestant learns of a point.

    Attributes:
        row: Of the table: that of the point, or the nearest.
        costs: (m,) minimised; None if the evaluation failed.
    """

    row: int
    costs: NDArray[np.float64] | None


class Meter:
    """Answers contestants and counts: a row costs one evaluation the first time, then nothing.

    Args:
        scenario: What is searched.
        n_evaluations: When to stop.
        asks_per_evaluation: How often a contestant may ask, repeats included, per evaluation.
    """

    def __init__(
        self, scenario: Scenario, n_evaluations: int, asks_per_evaluation: int = ASKS_PER_EVALUATION
    ) -> None:
        self.scenario = scenario
        self.rows: list[int] = []
        self.asks: list[int] = []  # how many had been made when each row was asked for first
        self.n_asks = 0
        self._known: set[int] = set()
        self._n_evaluations = min(n_evaluations, len(scenario.grid))
        self._most_asks = n_evaluations * asks_per_evaluation

    @property
    def done(self) -> bool:
        """Whether the budget is spent, or the contestant repeats itself too often."""
        return len(self.rows) >= self._n_evaluations or self.n_asks >= self._most_asks

    def evaluate(self, point: Sequence[int]) -> Answer:
        """Return what a search is told of a point: k positions of options."""
        return self.evaluate_row(self.scenario.row(point))

    def evaluate_row(self, row: int) -> Answer:
        """Return what a search is told of a row."""
        self.n_asks += 1
        if row not in self._known and len(self.rows) < self._n_evaluations:
            self._known.add(row)
            self.rows.append(row)
            self.asks.append(self.n_asks)
        failed = bool(self.scenario.failing[row])
        return Answer(row, None if failed else self.scenario.told[row])

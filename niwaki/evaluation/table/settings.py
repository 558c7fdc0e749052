"""How a user's table is read: which columns decide, which are values, which rows count."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from niwaki.core.errors import ConfigError
from niwaki.core.fidelity import FULL, Fidelities
from niwaki.core.limits import limits_of, require_at_least
from niwaki.core.objectives import Direction, Objective
from niwaki.core.registry import nearest

Cell: TypeAlias = bool | int | float | str | None  # None is an empty one


@dataclass(frozen=True)
class ValueColumn:
    """A measured value.

    Attributes:
        direction: Which way is better.
        column: Where it is; the column of the value's own name if empty.
        unit: For people.
        fidelities: Columns that hold it after less than the full effort, by share of that effort:
            `{0.06: accuracy_after_12_of_200_epochs}`. Without any, it does not depend on effort.
        noise: Standard deviation of a normal error that each evaluation adds, in the value's unit.
        least: No value can be below, and no prediction will be; none if that is not known. Noise
            does not carry a value beyond.
        most: The same, above.

    Raises:
        ConfigError: If a share is not in (0, 1), the noise is negative, or `least` is not below
            `most`.
    """

    direction: Literal["maximize", "minimize"]
    column: str = ""
    unit: str = ""
    fidelities: Mapping[float, str] = field(default_factory=dict)
    noise: float = 0.0
    least: float | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        require_at_least(self, {"noise": 0})
        limits_of(self.least, self.most)
        for share in self.fidelities:
            if not 0.0 < share < FULL:
                raise ConfigError(
                    f"'fidelities' has {share}: give shares of the full effort, above 0 and below 1"
                )

    @property
    def limits(self) -> tuple[float, float]:
        """Least and most that a value can be; infinite where nothing is known."""
        return limits_of(self.least, self.most)

    def read(self, value: float, rng: np.random.Generator) -> float:
        """Return what one evaluation reads: the value with its noise, within the limits."""
        least, most = self.limits
        return min(max(value + self.noise * float(rng.normal()), least), most)


@dataclass(frozen=True)
class TableSettings:
    """A table whose rows are evaluated candidates.

    Attributes:
        file: Parquet (needs the extra `tables`), CSV, or CSV.gz. A relative path starts from the
            current folder, and if nothing is there from the folder in `$NIWAKI_DATA`.
        decisions: Columns that make a candidate, in order; or columns by the name of the decision.
        values: What was measured, by name.
        where: Only rows that have this value, or one of these, in a column.
        absent: Cells of decision columns that say that a row does not have that decision, as empty
            ones always do; or a list of such cells by column.
        ordered: Decisions whose options are amounts, such as widths: predictors hear of the order.
            By name, options that are no numbers, from least to most:
            `{width: [], size: [small, medium, large]}`.
        identity: Column that is equal for rows that are one and the same network: what is known of
            one row holds for all, and only one is evaluated.
        alike: Column that is equal for rows that are one network measured apart, such as cells that
            were trained once per spelling: each may be evaluated, and says much about the others.
        cheap: Values that cost nothing to know, such as parameters.
        seconds: Column of the time that an evaluation had taken at full effort.
        failed: Rows whose evaluation fails: those with this value, or one of these, in a column,
            which may be one of `values`: `{latency: OOM}`.
        incomplete: Of rows that lack a value, at any effort: their evaluation fails for whoever
            wants that value, or they are no candidates.
        duplicates: Of several rows that decide everything alike: refuse the table, take the first,
            take the mean of each value, or draw one for each evaluation.
        baseline: What relative constraints refer to: cells that only one candidate has, `best` or
            `median` (of the first value), or `best:<value>`, `median:<value>`.

    Raises:
        ConfigError: If there are no decisions or values, a name is repeated or unknown, values
            have different shares of effort, or one that is cheap has noise.
    """

    file: str
    decisions: tuple[str, ...] | Mapping[str, str]
    values: Mapping[str, ValueColumn]
    where: Mapping[str, Cell | tuple[Cell, ...]] = field(default_factory=dict)
    absent: tuple[Cell, ...] | Mapping[str, tuple[Cell, ...]] = ("-",)
    ordered: tuple[str, ...] | Mapping[str, tuple[Cell, ...]] = ()
    identity: str = ""
    alike: str = ""
    cheap: tuple[str, ...] = ()
    seconds: str = ""
    failed: Mapping[str, Cell | tuple[Cell, ...]] = field(default_factory=dict)
    incomplete: Literal["fail", "leave_out"] = "fail"
    duplicates: Literal["error", "first", "mean", "draw"] = "error"
    baseline: str | Mapping[str, Cell] = "median"

    def __post_init__(self) -> None:
        if not (self.decisions and self.values):
            raise ConfigError("a table needs 'decisions' and 'values': name at least one of each")
        if len(set(self.column_of.values())) < len(self.decisions):
            raise ConfigError("'decisions' names a column twice: each decision has its own")
        for where, names, known in (
            ("cheap", self.cheap, list(self.values)),
            ("ordered", tuple(self.rising), list(self.column_of)),
            ("absent", tuple(self._absent_columns), list(self.column_of.values())),
        ):
            for name in names:
                if name not in known:
                    raise ConfigError(f"'{where}' names '{name}': known are {', '.join(known)}")
        self._check_baseline()
        if noisy := [name for name in self.cheap if self.values[name].noise]:
            raise ConfigError(
                f"'cheap' names '{noisy[0]}', which has noise: what is known without an evaluation "
                "is exact. Take it out of 'cheap', or leave out its noise"
            )
        levels = {name: sorted(v.fidelities) for name, v in self.values.items() if v.fidelities}
        if len({tuple(shares) for shares in levels.values()}) > 1:
            raise ConfigError(
                f"values have different 'fidelities': {levels}. Give the same shares to all that "
                "have any"
            )

    def _check_baseline(self) -> None:
        if not isinstance(self.baseline, str):
            return
        values = list(self.values)
        which, colon, name = self.baseline.partition(":")
        if which not in ("best", "median") or (colon and name not in values):
            hint = nearest(name, values) if colon else "."
            raise ConfigError(
                f"'baseline' is '{self.baseline}'{hint} Give best, median, best:<value>, "
                f"median:<value>, where <value> is one of {', '.join(values)}; or cells that one "
                "candidate alone has"
            )

    @property
    def column_of(self) -> Mapping[str, str]:
        """The column of each decision, in order."""
        if isinstance(self.decisions, Mapping):
            return self.decisions
        return {name: name for name in self.decisions}

    @property
    def rising(self) -> Mapping[str, tuple[Cell, ...]]:
        """Options from least to most of the ordered decisions; none where they are numbers."""
        if isinstance(self.ordered, Mapping):
            return self.ordered
        return dict.fromkeys(self.ordered, ())

    def absent_in(self, column: str) -> tuple[Cell, ...]:
        """Return the cells of a decision column that say that there is none."""
        return self._absent_columns.get(column, self._absent_anywhere)

    @property
    def marks(self) -> Mapping[str, tuple[str, ...]]:
        """Text that says that there is no decision or value, by the columns in which it does."""
        marks = {column: self.absent_in(column) for column in self.column_of.values()}
        for column in set(self.failed) & {*self.value_columns, self.seconds}:
            marks[column] = (*marks.get(column, ()), *as_tuple(self.failed[column]))
        return {
            column: tuple(cell for cell in cells if isinstance(cell, str))
            for column, cells in marks.items()
        }

    @property
    def _absent_columns(self) -> Mapping[str, tuple[Cell, ...]]:
        return self.absent if isinstance(self.absent, Mapping) else {}

    @property
    def _absent_anywhere(self) -> tuple[Cell, ...]:
        return () if isinstance(self.absent, Mapping) else self.absent

    @property
    def fidelities(self) -> Fidelities:
        """The shares of effort that columns are there for."""
        shares = {share for value in self.values.values() for share in value.fidelities}
        return Fidelities(levels=(*sorted(shares), FULL))

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The values with their directions."""
        return tuple(
            Objective(name, Direction(value.direction), value.unit, *value.limits)
            for name, value in self.values.items()
        )

    def value_column(self, name: str, fidelity: float = FULL) -> str:
        """Return the column of a value at a fidelity."""
        value = self.values[name]
        return value.fidelities.get(fidelity, value.column or name)

    @property
    def value_columns(self) -> tuple[str, ...]:
        """The columns of all values, at all fidelities."""
        return tuple(
            self.value_column(name, level)
            for name in self.values
            for level in self.fidelities.levels
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is needed, each once."""
        return tuple(dict.fromkeys((*self._compared, *self.names)))

    @property
    def names(self) -> tuple[str, ...]:
        """Columns whose cells are names and nothing else."""
        naming = dict.fromkeys(name for name in (self.identity, self.alike) if name)
        return tuple(name for name in naming if name not in self._compared)

    @property
    def _compared(self) -> tuple[str, ...]:
        """Columns whose cells are decisions, numbers, or compared with such of the settings."""
        baseline = () if isinstance(self.baseline, str) else tuple(self.baseline)
        seconds = (self.seconds,) if self.seconds else ()
        named = (*self.column_of.values(), *self.value_columns, *seconds)
        return (*named, *self.where, *self.failed, *baseline)


def as_tuple(cells: Cell | tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Return one cell or several as several."""
    return cells if isinstance(cells, tuple) else (cells,)

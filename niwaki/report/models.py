"""The models of a report: every trial, and the baseline if it is not one of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Status
from niwaki.report.data import ReportData
from niwaki.report.layers import Layer, layers_of


class State(IntEnum):
    """How a model stands; the page knows these numbers."""

    FEASIBLE = 0
    OUTSIDE = 1  # measured, but outside a constraint, or without its value
    INFEASIBLE = 2  # turned away by a cheap count
    FAILED = 3


@dataclass(frozen=True)
class Model:
    """One row of the page.

    Attributes:
        number: Of its trial; None for a baseline that is no trial.
        candidate: Its decisions; None if they are not known.
        measurement: From the search.
        state: How it stands.
        broken: Constraints that it breaks, or that no value tells whether it does, as text.
    """

    number: int | None
    candidate: Candidate | None
    measurement: Measurement
    state: State
    broken: str = ""


@dataclass(frozen=True)
class Models:
    """All models of a report, and who is who among them."""

    data: ReportData

    @cached_property
    def rows(self) -> Sequence[Model]:
        """Every trial in the order of telling, then the baseline if no trial has its key."""
        trials = self.data.trials
        rows = [self._model(t.number, t.candidate, t.measurement) for t in trials]
        baseline = self.data.baseline
        if baseline is not None and all(row.measurement.key != baseline.key for row in rows):
            rows.append(self._model(None, self.data.baseline_candidate, baseline))
        return rows

    @cached_property
    def layer_tables(self) -> Mapping[int, Sequence[Layer]]:
        """Layer tables by row, an exported model's in place of the search's."""
        tables = {}
        for row, model in enumerate(self.rows):
            final = self.data.finals.get(model.measurement.key)
            table = (layers_of(final) if final is not None else []) or layers_of(model.measurement)
            if table:
                tables[row] = table
        return tables

    @cached_property
    def row_by_key(self) -> Mapping[str, int]:
        """The row that stands for each key: of several, the one of highest fidelity, then last."""
        best: dict[str, int] = {}
        for row, model in enumerate(self.rows):
            held = best.get(model.measurement.key)
            fidelity = model.measurement.fidelity
            if held is None or fidelity >= self.rows[held].measurement.fidelity:
                best[model.measurement.key] = row
        return best

    def find(self, keys: Sequence[str]) -> list[int]:
        """Return the rows of `keys`, in that order; unknown keys are left out."""
        return [self.row_by_key[key] for key in keys if key in self.row_by_key]

    @cached_property
    def front(self) -> list[int]:
        """Rows of the front."""
        return self.find(list(dict.fromkeys(self.data.front_keys)))

    @cached_property
    def measured(self) -> list[int]:
        """Rows of the trials that have every objective."""
        return [row for row in self.comparable if self.rows[row].number is not None]

    @cached_property
    def comparable(self) -> list[int]:
        """Rows that have every objective, the baseline's too, which may be on the front."""
        names = [objective.name for objective in self.data.objectives]
        return [
            row
            for row, model in enumerate(self.rows)
            if model.state <= State.OUTSIDE
            and all(math.isfinite(model.measurement.values.get(n, math.nan)) for n in names)
        ]

    @cached_property
    def notable(self) -> list[int]:
        """Rows of the front, the finalists, the chosen, the knee and the baseline."""
        data = self.data
        baseline = [data.baseline.key] if data.baseline is not None else []
        keys = [
            *data.front_keys,
            data.knee_key,
            *data.chosen_keys,
            *data.finals,
            *data.unexported,
            *baseline,
        ]
        return sorted(set(self.find(keys)))

    def count(self, state: State) -> int:
        """Return how many trials are in `state`."""
        return sum(1 for row in self.rows if row.state is state and row.number is not None)

    def _model(
        self, number: int | None, candidate: Candidate | None, measurement: Measurement
    ) -> Model:
        values = measurement.values
        broken = [
            str(bound) if bound.violation(values) else f"{bound} (not measured)"
            for bound in self.data.bounds
            if not bound.is_kept(values)
        ]
        if measurement.status is Status.FAILED:
            state = State.FAILED
        elif measurement.status is Status.INFEASIBLE:
            state = State.INFEASIBLE
        else:
            state = State.OUTSIDE if broken else State.FEASIBLE
        return Model(number, candidate, measurement, state, "; ".join(broken))

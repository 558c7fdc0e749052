"""Evaluation by looking up: candidates are rows of a table of networks measured before."""

import logging
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from math import isfinite
from pathlib import Path

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.core.fidelity import Fidelities
from niwaki.core.measurement import Measurement, Status
from niwaki.core.objectives import Objective
from niwaki.core.randomness import stream
from niwaki.evaluation.base import UnexportedEvaluator
from niwaki.evaluation.registry import Ingredients
from niwaki.evaluation.table.rows import TableRows
from niwaki.evaluation.table.settings import TableSettings
from niwaki.spaces.rows import RowSpace

_log = logging.getLogger(__name__)


class TableEvaluator(UnexportedEvaluator):
    """Looks candidates up in a table.

    The table is read on first use in each process: the evaluator itself is small.

    Args:
        settings: Which file, and what its columns are.
    """

    def __init__(self, settings: TableSettings) -> None:
        self._settings = settings

    def __getstate__(self) -> dict[str, object]:
        """Travel without the table."""
        return {"_settings": self._settings}

    @cached_property
    def rows(self) -> TableRows:
        """What the table holds.

        Raises:
            ConfigError: If a column is unknown, or the baseline is no candidate.
            DataError: If the file is missing, damaged, or holds what cannot be.
        """
        rows = TableRows.read(self._settings)
        if isinstance(cells := self._settings.baseline, Mapping):
            rows.only_one_with(cells)  # a mistake there is told before a search starts
        return rows

    @property
    def space(self) -> RowSpace:
        return self.rows.space

    @property
    def values(self) -> tuple[Objective, ...]:
        return self._settings.objectives

    @property
    def fidelities(self) -> Fidelities:
        return self._settings.fidelities

    def prepare(self, folder: Path) -> None:  # noqa: ARG002
        """Say what is odd about the table; everything was measured already."""
        for sentence in self.rows.oddities:
            _log.warning("%s", sentence)

    def baseline(self) -> Candidate:
        wanted = self._settings.baseline
        if not isinstance(wanted, str):
            return self.space.candidate(self.rows.only_one_with(wanted))
        which, _, name = wanted.partition(":")
        best_first = self.rows.best_first(name or next(iter(self._settings.values)))
        return self.space.candidate(int(best_first[0 if which == "best" else len(best_first) // 2]))

    def initial(self) -> tuple[Candidate, ...]:
        return ()

    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        if not self._settings.cheap:
            return {}
        rows = self.rows.all_of(self.space.row(candidate))
        values = {name: self.rows.known(name, rows) for name in self._settings.cheap}
        return {name: value for name, value in values.items() if isfinite(value)}

    def identity(self, candidate: Candidate) -> str:
        return self._named(self._settings.identity, candidate)

    @property
    def alike(self) -> Callable[[Candidate], str] | None:
        return partial(self._named, self._settings.alike) if self._settings.alike else None

    def _named(self, column: str, candidate: Candidate) -> str:
        return self.rows.name_of(self.space.row(candidate), column) or candidate.key

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        if not self.fidelities.allow(fidelity):
            raise ConfigError(
                f"the table has no columns for fidelity {fidelity}, only for "
                f"{list(self.fidelities.levels)}"
            )
        rng = stream(seed, "table", candidate.key, str(fidelity))
        rows = self.rows.all_of(self.space.row(candidate))
        if self._settings.duplicates == "draw":
            rows = rows[[int(rng.integers(len(rows)))]]
        fault = self.rows.fault(rows)
        found = {name: self.rows.value(name, rows, fidelity) for name in self._settings.values}
        # Noise is drawn for all, so that what one lacks does not change what others have.
        values = {name: self._settings.values[name].read(v, rng) for name, v in found.items()}
        there = {name: value for name, value in values.items() if isfinite(found[name])}
        return Measurement(
            key=candidate.key,
            values={} if fault else there,
            status=Status.FAILED if fault or not there else Status.COMPLETE,
            reason=fault or self.rows.gaps(found, fidelity),
            fidelity=fidelity,
            seed=seed,
            seconds=self.rows.seconds(rows) * fidelity,
        )

    def why_not_exported(self, candidate: Candidate) -> str:
        return f"{candidate.key} is a row of a table: there is no network to export"


def create(settings: TableSettings, ingredients: Ingredients) -> TableEvaluator:
    """Return the evaluator that a configuration describes."""
    ingredients.tell_unread("table", "space", "data", "target")
    return TableEvaluator(settings)

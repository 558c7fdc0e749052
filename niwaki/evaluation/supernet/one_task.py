"""Networks of one task alone: what a slice of a super-network is for who wants one answer."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Objective
from niwaki.core.registry import nearest
from niwaki.evaluation.base import Export, Provenance
from niwaki.evaluation.values import OWN_COSTS, own_costs, own_name
from niwaki.tasks.base import TaskData
from niwaki.tasks.task import Task

if TYPE_CHECKING:
    from niwaki.evaluation.supernet.evaluator import SupernetEvaluator


def only_task(load_data: Callable[[], TaskData], task: str) -> TaskData:
    """Return data that ask one question alone.

    Raises:
        ConfigError: If they do not ask it.
    """
    data = load_data()
    return replace(data, tasks=(replace(named_task(data, task), weight=1.0),))


def named_task(data: TaskData, name: str) -> Task:
    """Return the task of that name.

    Raises:
        ConfigError: If there is none, with those that there are.
    """
    known = [task.name for task in data.tasks]
    if name not in known:
        raise ConfigError(
            f"there is no task '{name}'{nearest(name, known)} The data have {', '.join(known)}"
        )
    return data.tasks[known.index(name)]


class OneTask:
    """Exports the candidates of a super-network as networks that answer one task alone.

    What serves other tasks only, such as their decoders, is left out, with what was decided about
    it; norms, ranges and rounding are those of the network that is left.

    Args:
        make: Makes an evaluator of the same super-network, for data that ask this question alone.
        task: The question.
    """

    def __init__(self, make: "Callable[[], SupernetEvaluator]", task: Task) -> None:
        self._make, self._task = make, task

    @property
    def exported_values(self) -> tuple[Objective, ...]:
        """Every value that is measured of its networks."""
        return (*self._task.objectives, *own_costs(self._task.name))

    @cached_property
    def _evaluator(self) -> "SupernetEvaluator":
        return self._make()

    def identity(self, candidate: Candidate) -> str:
        """Return a name that candidates share if they differ in what serves other tasks alone."""
        return self._own(candidate).key

    def _own(self, candidate: Candidate) -> Candidate:
        """Return what was decided about the network of this task."""
        return self._evaluator.space.canonical(candidate.decisions)

    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        """Write the network of one task under `folder`, as `Evaluator.export` does.

        Raises:
            ExportError: If it cannot be written.
            VerificationError: If the file does not compute what the network computes.
        """
        own = self._own(candidate)
        export = self._evaluator.export(own, folder, provenance=provenance, seed=seed)
        return replace(export, measurement=self._named(export.measurement, candidate.key))

    def has_exported(self, folder: Path) -> bool:
        """Return whether what `export` wrote to a folder is there, whole."""
        return self._evaluator.has_exported(folder)

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        """Time exported models together, in one session, and complete their cards."""
        return [
            replace(export, measurement=self._named(export.measurement, export.measurement.key))
            for export in self._evaluator.measure_exports(exports, seed=seed)
        ]

    def _named(self, measurement: Measurement, key: str) -> Measurement:
        """Return a measurement of a candidate of all tasks, with costs called after this one."""
        own = {cost.name: own_name(self._task.name, cost.name) for cost in OWN_COSTS}
        named = {own.get(name, name): value for name, value in measurement.values.items()}
        known = {value.name for value in self.exported_values}
        values = {name: value for name, value in named.items() if name in known}
        return replace(measurement, key=key, values=values)

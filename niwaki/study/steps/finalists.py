"""The last step of a study: finalists become files, and are measured from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.blame import raised_by
from niwaki.core.errors import NiwakiError, StudyError, TargetLostError
from niwaki.core.excerpt import excerpt
from niwaki.core.goals import Goal
from niwaki.core.measurement import Measurement, Status, Trial, whole
from niwaki.core.pareto import hypervolume, knee
from niwaki.core.randomness import derived_seed
from niwaki.evaluation.base import Export, Exporting, Provenance
from niwaki.study.record.events import Final, Written
from niwaki.study.record.history import History
from niwaki.study.record.recorder import Recorder
from niwaki.study.record.run_folder import RunFolder
from niwaki.study.record.soundness import in_plain_types, sound
from niwaki.study.results.front import Front, FrontModel
from niwaki.study.watching.observer import Observer

# From the front that was searched and the baseline's measurement to keys of its models.
Favourites: TypeAlias = Callable[[Front, Measurement], Sequence[str]]
# From what was searched to trials that are exported whether or not they are on its front.
References: TypeAlias = Callable[[History], Sequence[Trial]]


class NothingExportedError(StudyError):
    """Not one finalist could be exported; which is a result of the others."""


def nobody(front: Front, baseline: Measurement) -> Sequence[str]:  # noqa: ARG001
    """Return no favourites: finalists are spread over the front."""
    return ()


def no_others(history: History) -> Sequence[Trial]:  # noqa: ARG001
    """Return no references: finalists are compared with the baseline alone."""
    return ()


@dataclass
class Finals:
    """Exports finalists, and what to compare them with: the baseline, and further references.

    Attributes:
        evaluator: Writes and measures networks.
        recorder: Takes everything down.
        folder: Where files go.
        provenance: For the cards of models.
        goal: That they are finalists of; of no name if the study has no goals.
        seed: The study's.
        observer: Watches.
        favourites: Models that are finalists before others.
        references: Names what finalists are compared with, beside the baseline.
    """

    evaluator: Exporting
    recorder: Recorder
    folder: RunFolder
    provenance: Provenance
    goal: Goal
    seed: int
    observer: Observer
    favourites: Favourites = nobody
    references: References = no_others

    @cached_property
    def _history(self) -> History:
        return self.recorder.history.of_goal(self.goal)

    def run(self, front: Front, n: int) -> None:
        """Export up to `n` models of the front and the references, unless that was done before.

        A model whose export or verification fails is a failed final, named with its reason; it is
        tried again when the study is continued. Files that are gone or damaged since are written
        and measured anew; those that were written before a kill are only measured.

        Args:
            front: Of what the search measured.
            n: How many.

        Raises:
            NothingExportedError: If not one model could be exported.
            StudyError: If the evaluator answers with others.
        """
        history = self._history
        assert history.baseline is not None
        chosen = self._chosen(front, n, history.baseline)
        finalists = (Trial(m.number, m.candidate, m.searched) for m in chosen)
        wanted = [history.baseline, *self.references(history), *finalists]
        todo = {t.candidate.key: t for t in wanted if not self._is_there(t.candidate.key)}
        exports = [self._export_once(trial) for trial in todo.values()]
        for measurement in self._measured([e for e in exports if e is not None]):
            self._record(todo[measurement.key], whole(sound(measurement), self.goal.wanted))
        if not history.exported:
            reasons = {final.reason for final in history.finals.values()}
            whose = f"front{_for(self.goal.name)}"
            raise NothingExportedError(
                f"no model of the {whose} could be exported: {'; '.join(reasons)}"
            )

    def _is_there(self, key: str) -> bool:
        return key in self._history.exported and self._has_files(key)

    def _has_files(self, key: str) -> bool:
        with raised_by("`has_exported` of the evaluator"):
            return self.evaluator.has_exported(self._folder_of(key))

    def _folder_of(self, key: str) -> Path:
        return self.folder.artifact(key, goal=self.goal.name)

    def _chosen(self, front: Front, n: int, baseline: Trial) -> list[FrontModel]:
        front = self._different(front, baseline)
        if not len(front):
            return []
        rows = {model.key: row for row, model in enumerate(front.models)}
        keys = self.favourites(front, baseline.measurement)
        first = [rows[key] for key in keys if key != baseline.candidate.key]
        return [front.models[row] for row in spread(front.costs, n, first=first)]

    def _different(self, front: Front, baseline: Trial) -> Front:
        """Return the front with one model of each network: of one task alone, many are alike."""
        first: dict[str, str] = {}
        with raised_by("`identity` of the evaluator"):
            there = sorted(front.models, key=lambda model: not self._is_there(model.key))
            for candidate in (baseline.candidate, *(model.candidate for model in there)):
                first.setdefault(self.evaluator.identity(candidate), candidate.key)
        kept = set(first.values())
        return replace(front, models=tuple(m for m in front.models if m.key in kept))

    def _export_once(self, trial: Trial) -> Export | None:
        """Return the export of a session before this one, if its files are there, or a new one."""
        key = trial.candidate.key
        before = self._history.written.get(key)
        if before is not None and self._has_files(key):
            return Export(before, self._folder_of(key))
        return self._export(trial)

    def _export(self, trial: Trial) -> Export | None:
        key = trial.candidate.key
        self.observer.say(f"exporting and verifying {key}{_for(self.goal.name)}")
        seed = derived_seed(self.seed, "export", key)
        try:
            with raised_by("`export` of the evaluator"):
                export = self.evaluator.export(
                    trial.candidate,
                    self._folder_of(key),
                    provenance=self.provenance,
                    seed=seed,
                )
        except TargetLostError:
            raise
        except NiwakiError as error:
            failed = Measurement(key=key, status=Status.FAILED, reason=str(error), seed=seed)
            self._record(trial, failed)
            return None
        _require_same("export", [key], [export])
        with raised_by("`export` of the evaluator"):
            measurement = sound(in_plain_types(export.measurement))
        if measurement.complete:
            self.recorder.record(Written(self._number(trial), measurement, self.goal.name))
        return export

    def _measured(self, exports: list[Export]) -> list[Measurement]:
        """Return what was measured of exported models, together."""
        with raised_by("`measure_exports` of the evaluator"):
            timed = self.evaluator.measure_exports(exports, seed=self.seed)
        _require_same("measure_exports", [e.measurement.key for e in exports], timed)
        with raised_by("`measure_exports` of the evaluator"):
            return [in_plain_types(export.measurement) for export in timed]

    @staticmethod
    def _number(trial: Trial) -> int | None:
        return None if trial.number < 0 else trial.number

    def _record(self, trial: Trial, measurement: Measurement) -> None:
        self.recorder.record(Final(self._number(trial), measurement, self.goal.name))
        if not measurement.complete:
            key = f"{measurement.key}{_for(self.goal.name)}"
            self.observer.say(f"{key} could not be exported: {measurement.reason}")


def _for(goal: str) -> str:
    return f" for '{goal}'" if goal else ""


def _require_same(asked: str, keys: Sequence[str], answer: Sequence[object]) -> None:
    """Raise if exports are not those of the candidates that were asked for."""
    found = [e.measurement.key if isinstance(e, Export) else excerpt(repr(e)) for e in answer]
    if sorted(found) != sorted(keys):
        raise StudyError(
            f"`{asked}` of the evaluator gave exports of {excerpt(', '.join(found)) or 'nothing'}, "
            f"but was asked about {excerpt(', '.join(keys))}: it must give one of each, whose "
            "measurement has the key of its candidate"
        )


def spread(costs: NDArray[np.float64], n: int, *, first: Sequence[int] = ()) -> Sequence[int]:
    """Return up to `n` rows that keep as much of the front's hypervolume as possible, greedily.

    After those that are named come the knee and the best row of each objective; each next row is
    the one that adds most.

    Args:
        costs: (n_rows, m) minimised, all on the front, at least one row.
        n: How many rows are wanted, at least 1.
        first: Rows that are wanted before others.

    Returns:
        Distinct rows in the order of choosing.

    References:
        Nemhauser, Wolsey and Fisher, 1978: greedy choice keeps at least 1 - 1/e of a submodular
        value, and hypervolume is submodular.
    """
    low, high = costs.min(axis=0), costs.max(axis=0)
    scaled = (costs - low) / np.where(high > low, high - low, 1.0)
    reference = np.full(costs.shape[1], 1.1)
    corners = [knee(costs), *(int(row) for row in scaled.argmin(axis=0))]
    chosen = list(dict.fromkeys([*first, *corners]))[:n]
    while len(chosen) < min(n, len(costs)):
        rest = [row for row in range(len(costs)) if row not in chosen]
        gains = [hypervolume(scaled[[*chosen, row]], reference) for row in rest]
        chosen.append(rest[int(np.argmax(gains))])
    return chosen

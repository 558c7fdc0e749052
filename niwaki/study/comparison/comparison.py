"""Runs beside each other, on one scale; those with different seeds together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from niwaki.core.fidelity import FULL
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Status
from niwaki.core.objectives import Objective, in_user_direction
from niwaki.study.comparison.comparable import common_objectives, notes_on
from niwaki.study.comparison.figures import SHARES, best_of, needed_for
from niwaki.study.comparison.grouping import differing, group_names, grouped
from niwaki.study.comparison.reading import NamedRun, read_runs
from niwaki.study.comparison.scale import Scale
from niwaki.study.comparison.spread import Band, Spread, Steps
from niwaki.study.comparison.trace import Trace, trace_of
from niwaki.study.run import Run

EVALUATIONS, SECONDS = "evaluations", "seconds"  # along which a run is followed


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Attributes:
        name: That tells it from the others.
        run: What was read of it.
        trace: Its models that count, by the objectives of the comparison.
        volumes: (n,) hypervolume on the common scale, after each model of `trace`.
        figures: Numbers by name. NaN: there is none. Of `needed_<percent>`, inf: it never came to
            that share.
    """

    name: str
    run: Run
    trace: Trace
    volumes: NDArray[np.float64]
    figures: Mapping[str, float]

    def steps(self, along: str) -> Steps:
        """Return its hypervolume along what it spent, `evaluations` or `seconds`."""
        if along == SECONDS:
            return Steps(self.trace.seconds, self.volumes, self.run.history.seconds)
        return Steps(self.trace.spent, self.volumes, self.run.history.effort)


@dataclass(frozen=True)
class Group:
    """Runs of one search with different seeds; often a single one.

    Attributes:
        name: What the names of its runs have in common.
        runs: At least one.
        settings: By which it differs from the other groups, by dotted name.
    """

    name: str
    runs: tuple[ComparedRun, ...]
    settings: Mapping[str, JSON]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of its runs."""
        return tuple(each.run.description.seed for each in self.runs)

    @cached_property
    def figures(self) -> Mapping[str, Spread]:
        """Median and quartiles of the figures of its runs, by name."""
        names = self.runs[0].figures
        return {name: Spread.of([each.figures[name] for each in self.runs]) for name in names}

    def band(self, along: str) -> Band:
        """Return the hypervolume of its runs along what they spent."""
        return Band.of([each.steps(along) for each in self.runs])


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other.

    What is compared is what the searches measured at full effort, within the bounds of each run.

    Attributes:
        objectives: m that all runs have.
        groups: Of runs, in the order in which these came.
        scale: Common to all.
        within: What all fronts keep to in place of the runs' own constraints; empty for those.
        notes: What has to be known before a conclusion is drawn, a sentence each.
    """

    objectives: tuple[Objective, ...]
    groups: tuple[Group, ...]
    scale: Scale
    within: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def runs(self) -> tuple[ComparedRun, ...]:
        """All of them, group by group."""
        return tuple(each for group in self.groups for each in group.runs)

    @property
    def joined(self) -> NDArray[np.float64]:
        """(k, m) values of the front of all runs together, in the user's own directions."""
        return in_user_direction(self.scale.points, self.objectives)

    def front_of(self, run: ComparedRun) -> NDArray[np.float64]:
        """Return (k, m) values of a run's front, in the user's own directions."""
        return in_user_direction(run.trace.costs[run.trace.front], self.objectives)


def compare_runs(
    folders: Sequence[Path | str],
    *,
    within: Sequence[str] = (),
    goal: str = "",
    apart: bool = False,
) -> Comparison:
    """Compare runs, finished or not, by the objectives that all of them have.

    Args:
        folders: Of at least two runs.
        within: Constraints that all fronts keep to, in place of the runs' own.
        goal: By whose objectives runs are compared, where they have goals.
        apart: Whether runs stay apart that are one search with different seeds.

    Raises:
        RunFolderError: If there is no run at one of the folders, or it is damaged.
        ConfigError: If there are not two runs, they have no objective in common or want one in
            different directions or units, one has goals and none of them is named, no run has that
            goal, or a constraint cannot be read or judged.
    """
    texts = (within,) if isinstance(within, str) else tuple(within)
    reading = read_runs(folders, within=texts, goal=goal)
    objectives = common_objectives(reading.runs)
    parts = [[each] for each in reading.runs] if apart else grouped(reading.runs)
    traces = [[trace_of(each.run, objectives) for each in part] for part in parts]
    scale = Scale.of([trace.costs for some in traces for trace in some])
    names = group_names([[each.name for each in part] for part in parts])
    settings = differing([part[0].run for part in parts])
    had = [[_points(trace) for trace in some] for some in traces]
    groups = tuple(
        Group(
            names[row],
            tuple(
                _compared(each, trace, objectives, scale, others=_others(had, row))
                for each, trace in zip(part, traces[row], strict=True)
            ),
            settings[row],
        )
        for row, part in enumerate(parts)
    )
    found = [(each.name, each.run, len(each.trace.costs)) for g in groups for each in g.runs]
    notes = notes_on(found, objectives, parts, reading.repeated, within=texts)
    return Comparison(objectives, groups, scale, texts, notes)


def _points(trace: Trace) -> set[tuple[float, ...]]:
    return set(map(tuple, trace.costs.tolist()))


def _others(had: Sequence[Sequence[set[tuple[float, ...]]]], row: int) -> set[tuple[float, ...]]:
    """Return what runs of other groups had."""
    return {point for other, some in enumerate(had) if other != row for p in some for point in p}


def _compared(
    named: NamedRun,
    trace: Trace,
    objectives: Sequence[Objective],
    scale: Scale,
    *,
    others: set[tuple[float, ...]],
) -> ComparedRun:
    volumes = scale.volumes(trace.costs)
    volume = float(volumes[-1]) if len(volumes) else 0.0
    on_joined = _points(trace) & set(map(tuple, scale.points.tolist()))
    best = trace.costs.min(axis=0) if len(trace.costs) else np.full(len(objectives), math.nan)
    values = in_user_direction(best[None], objectives)[0].tolist()
    rows = {share: scale.first(volumes, share) for share in SHARES}
    figures = {
        **_spent(named.run),
        **{best_of(o): value for o, value in zip(objectives, values, strict=True)},
        "front": len(trace.front),
        "hypervolume": volume,
        "share": volume / scale.volume if scale.volume else math.nan,
        "on_joined": len(on_joined),
        "alone": len(on_joined - others),
        **{
            needed_for(share): math.inf if row is None else round(float(trace.spent[row]), 6)
            for share, row in rows.items()
        },
    }
    return ComparedRun(named.name, named.run, trace, volumes, figures)


def _spent(run: Run) -> dict[str, float]:
    """Return what became of a run's evaluations, and how long they took."""
    measured = [trial.measurement for trial in run.history.trials]
    complete = [m for m in measured if m.complete]
    return {
        EVALUATIONS: round(run.history.effort, 6),
        "full": sum(m.fidelity >= FULL for m in complete),
        "partial": sum(m.fidelity < FULL for m in complete),
        "failed": len(run.failures),
        "infeasible": sum(m.status is Status.INFEASIBLE for m in measured),
        SECONDS: round(run.history.seconds, 3),
    }

"""Runs beside each other, on one scale; those with different seeds together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ExportError
from niwaki.core.jsonable import JSON
from niwaki.core.objectives import Objective, in_user_direction
from niwaki.study.comparison.common import common_objectives
from niwaki.study.comparison.compared_run import ComparedRun, compared, points_of
from niwaki.study.comparison.figures import Figure, figures_for
from niwaki.study.comparison.grouping import differing, group_names, grouped
from niwaki.study.comparison.notes import measured_alike, notes_on
from niwaki.study.comparison.reading import read_runs
from niwaki.study.comparison.scale import Scale
from niwaki.study.comparison.spread import Band, Spread
from niwaki.study.comparison.trace import exported_trace_of, trace_of


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

    What is compared is what the searches measured at full effort, or what exported files did,
    within the bounds of each run.

    Attributes:
        objectives: m that all runs have.
        groups: Of runs, in the order in which these came.
        scale: Common to all.
        within: What all fronts keep to in place of the runs' own constraints; empty for those.
        exported: Whether the models are files, and their values what these measured.
        alike: Whether values of one name mean the same in all runs, as far as is known.
        notes: What has to be known before a conclusion is drawn, a sentence each.
    """

    objectives: tuple[Objective, ...]
    groups: tuple[Group, ...]
    scale: Scale
    within: tuple[str, ...]
    exported: bool
    alike: bool
    notes: tuple[str, ...]

    @property
    def runs(self) -> tuple[ComparedRun, ...]:
        """All of them, group by group."""
        return tuple(each for group in self.groups for each in group.runs)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What each run has a number of, in the order in which it is shown."""
        return figures_for(self.objectives, followed=not self.exported)

    @property
    def joined(self) -> NDArray[np.float64]:
        """(k, m) values of the front of all runs together, in the user's own directions."""
        return in_user_direction(self.scale.points, self.objectives)

    @property
    def narrow(self) -> tuple[str, ...]:
        """Names of objectives in which the joined front has no width: all models give the scale."""
        which = zip(self.objectives, self.scale.narrow.tolist(), strict=True)
        return tuple(objective.name for objective, narrow in which if narrow)

    def front_of(self, run: ComparedRun) -> NDArray[np.float64]:
        """Return (k, m) values of a run's front, in the user's own directions."""
        return in_user_direction(run.trace.costs[run.trace.front], self.objectives)


def compare_runs(
    folders: Sequence[Path | str],
    *,
    within: Sequence[str] = (),
    goal: str = "",
    apart: bool = False,
    exported: bool = False,
) -> Comparison:
    """Compare runs, finished or not, by the objectives that all of them have.

    Args:
        folders: Of at least two runs.
        within: Constraints that all fronts keep to, in place of the runs' own.
        goal: By whose objectives runs are compared, where they have goals.
        apart: Whether runs stay apart that are one search with different seeds.
        exported: Whether to compare what files of exported models measured, in place of what the
            searches did: of each run, the front that it hands back.

    Raises:
        RunFolderError: If there is no run at one of the folders, or it is damaged.
        ConfigError: If there are not two runs, they have no objective in common or want one in
            different directions or units, one has goals and none of them is named, no run has that
            goal, or a constraint cannot be read or judged.
        ExportError: If exported models are wanted and no run has any.
    """
    texts = (within,) if isinstance(within, str) else tuple(within)
    reading = read_runs(folders, within=texts, goal=goal)
    if exported and not any(each.run.history.exported for each in reading.runs):
        raise ExportError(
            "none of the runs has an exported model: compare what they searched, without "
            "`--exported`, or `exported=` in Python"
        )
    objectives = common_objectives(reading.runs)
    parts = [[each] for each in reading.runs] if apart else grouped(reading.runs)
    traced = exported_trace_of if exported else trace_of
    traces = [[traced(each.run, objectives) for each in part] for part in parts]
    scale = Scale.of([trace.costs for some in traces for trace in some])
    names = group_names([[each.name for each in part] for part in parts])
    settings = differing([part[0] for part in parts])
    had = [set().union(*map(points_of, some)) for some in traces]
    n_groups = Counter(point for some in had for point in some & scale.rows)
    groups = tuple(
        Group(
            names[row],
            tuple(
                compared(
                    each,
                    trace,
                    objectives,
                    scale,
                    others={point for point, n in n_groups.items() if n > (point in had[row])},
                    followed=not exported,
                )
                for each, trace in zip(part, traces[row], strict=True)
            ),
            settings[row],
        )
        for row, part in enumerate(parts)
    )
    notes = notes_on(
        [group.runs for group in groups],
        objectives,
        reading,
        within=texts,
        exported=exported,
    )
    alike = measured_alike([each for group in groups for each in group.runs], exported=exported)
    return Comparison(objectives, groups, scale, texts, exported, alike, notes)

"""Reading a run folder: what was found, finished or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from niwaki.core.constraints import Bound, Constraint
from niwaki.core.errors import ConfigError
from niwaki.core.goals import goal_named
from niwaki.core.measurement import Measurement, Status
from niwaki.core.objectives import minimised
from niwaki.core.pareto import growing_volume, non_dominated, scale_of
from niwaki.core.registry import nearest
from niwaki.study.description import StudyDescription
from niwaki.study.record.history import History
from niwaki.study.record.ledger import read_ledger
from niwaki.study.record.run_folder import RunFolder
from niwaki.study.record.run_lock import is_locked
from niwaki.study.results.choice import Choice
from niwaki.study.results.front import Front, FrontModel, front_of, front_of_study
from niwaki.study.results.growth import Growth, counts


@dataclass(frozen=True, repr=False)
class Run:
    """A snapshot of a run folder. Reading never disturbs a search that is going on.

    Attributes:
        folder: Where it lives.
        description: What it is about.
        history: What happened so far.
        weights: Of objectives by name, where the knee is looked for.
        n_wished: How many of the description's constraints, the last, are no part of the study.
    """

    folder: RunFolder
    description: StudyDescription
    history: History
    weights: Mapping[str, float] = field(default_factory=dict)
    n_wished: int = 0

    def __repr__(self) -> str:
        """Return one line, for notebooks."""
        of = f" by goal '{self.goal}'" if self.goal else ""
        return f"<Run {str(self.folder.path)!r}{of}: {len(self.history.trials)} trials told>"

    @property
    def goal(self) -> str:
        """That the run is seen by; empty for the study as a whole."""
        return self.description.only.name if self.description.only else ""

    @classmethod
    def read(cls, path: Path | str, *, goal: str = "") -> "Run":
        """Read the run at `path`, as one of its goals sees it if one is named.

        Raises:
            RunFolderError: If there is no run there, or it is damaged.
            ConfigError: If it has no such goal.
        """
        folder = RunFolder(Path(path))
        description = StudyDescription.load(folder.path)
        folder.require_its_ledger()
        events = read_ledger(folder.trials) if folder.trials.exists() else []
        run = cls(folder, description, History.of(events))
        return run.of_goal(goal) if goal else run

    @cached_property
    def goals(self) -> tuple["Run", ...]:
        """The run as each of its goals sees it; none if it has one front."""
        return tuple(self.of_goal(goal.name) for goal in self.description.named_goals)

    def of_goal(self, name: str) -> "Run":
        """Return the run as one of its goals sees it: with that goal's objectives and finalists.

        Raises:
            ConfigError: If the run has no such goal.
        """
        seen = self.history.of_goal(goal_named(name, self.description.named_goals))
        return replace(self, description=self.description.of_goal(name), history=seen)

    def wishing(
        self, within: Sequence[str] = (), weights: Mapping[str, float] | None = None
    ) -> "Run":
        """Return the run as if more had been wished for: a budget and preferences chosen after it.

        Args:
            within: Further constraints on any measured value, such as `latency_ms <= 2`.
            weights: How much each objective matters where the knee is looked for; 1 if not said.

        Raises:
            ConfigError: If a constraint cannot be read, or is on a value that nothing has, or there
                are weights, and several goals.
        """
        if weights and self.description.named_goals:
            names = ", ".join(goal.name for goal in self.description.named_goals)
            raise ConfigError(
                f"weights are of one goal's objectives: choose one of {names}, with `--goal`, or "
                "`goal=` in Python"
            )
        texts = [within] if isinstance(within, str) else within
        further = [Constraint.parse(text) for text in texts]
        self._require_measured(further)
        described = self.description.bounded_by(further)
        n_wished = self.n_wished + len(further)
        return replace(self, description=described, weights=weights or {}, n_wished=n_wished)

    def _require_measured(self, constraints: Sequence[Constraint]) -> None:
        known = self._values_of_models()
        for constraint in constraints:
            if known and constraint.name not in known:
                of = f" of goal '{self.goal}'" if self.goal else ""
                raise ConfigError(
                    f"constraint '{constraint}' is on a value that no model{of} has"
                    f"{nearest(constraint.name, known)} There are {', '.join(sorted(known))}"
                )
            self._require_judged(constraint)
            if constraint.relative and self.history.baseline is None:
                raise ConfigError(
                    f"constraint '{constraint}' is relative to the baseline, which was not "
                    "measured: give a number"
                )

    def _values_of_models(self) -> list[str]:
        """Return the names of values that models have: those of any goal."""
        goals = [self.description.only] if self.description.only else self.description.goals
        if all(goal.values for goal in goals):
            return list(dict.fromkeys(name for goal in goals for name in goal.values))
        baseline = [] if self.history.baseline is None else [self.history.baseline]
        measured = [trial.measurement for trial in (*self.history.full_trials, *baseline)]
        for goal in goals:
            measured += self.history.of_goal(goal).exported.values()
        return list(dict.fromkeys(name for each in measured for name in each.values))

    def _require_judged(self, constraint: Constraint) -> None:
        """Raise if models of a goal have no such value, where others have it."""
        if self.description.only:
            return
        goals = self.description.goals
        blind = [goal for goal in goals if not goal.judges(constraint)]
        if blind:
            able = ", ".join(goal.name for goal in goals if goal.judges(constraint))
            whose = f"'{blind[0].task}' alone" if blind[0].task else "all tasks"
            raise ConfigError(
                f"constraint '{constraint}': files of networks of {whose} have no "
                f"'{constraint.name}'. Choose a goal whose networks have it, with `--goal`, or "
                f"`goal=` in Python: {able}"
            )

    @property
    def running(self) -> bool:
        """Whether a process is writing to the folder now."""
        return is_locked(self.folder.lock)

    @cached_property
    def bounds(self) -> tuple[Bound, ...]:
        """What the search keeps to: all constraints, or the absolute ones before the baseline."""
        return self.history.bounds(self.description.constraints)

    @cached_property
    def front_bounds(self) -> tuple[Bound, ...]:
        """What models of the front keep to: see `front_of`."""
        return self.history.bounds(self.description.constraints, exported=True)

    @cached_property
    def front(self) -> Front:
        """The front so far; of a run with goals, those of all, joined."""
        found = front_of_study(self.history, self.description, self.folder.path)
        choice = Choice.load(self.folder.chosen)
        return replace(found, choice=choice, weights=self.weights, goal=self.goal)

    @cached_property
    def spare(self) -> tuple[FrontModel, ...]:
        """Models of the search's front that no finalist was made of, once a search is over.

        Of the front under the study's own constraints, which finalists are chosen from: those that
        keep what was wished for besides.
        """
        if self.running or not self.history.exported:
            return ()
        searched = self.searched_front
        spare = [model for model in searched.models if model.key not in self.history.finals]
        only = self.description.only
        if only is not None and only.task:  # several candidates may be one network
            spare = _without_copies(spare, searched)
        return tuple(m for m in spare if all(bound.is_kept(m.values) for bound in self.bounds))

    @cached_property
    def searched_front(self) -> Front:
        """The front of what the search measured, which finalists are chosen from."""
        constraints = self.description.constraints
        return front_of(
            self.history,
            objectives=self.description.objectives,
            constraints=constraints[: len(constraints) - self.n_wished],
            folder=self.folder.path,
            exported=False,
        )

    @property
    def failures(self) -> Sequence[Measurement]:
        """Evaluations that failed, in the order of telling."""
        measurements = [trial.measurement for trial in self.history.trials]
        return [m for m in measurements if m.status is Status.FAILED]

    @cached_property
    def growth(self) -> Growth:
        """How much the front of the search has grown."""
        growth = Growth(len(self.description.objectives))
        first = [] if self.history.baseline is None else [self.history.baseline]
        for trial in [*first, *self.history.trials]:
            if counts(trial.measurement, self.bounds):
                growth.add(minimised([trial.measurement.values], self.description.objectives)[0])
        return growth

    @cached_property
    def hypervolume(self) -> list[float]:
        """Hypervolume after each trial, in [0, 1.1^m]; see `hypervolume_curve`.

        What was measured with less than the full effort adds nothing.
        """
        trials = self.history.trials
        costs = minimised([trial.measurement.values for trial in trials], self.front.objectives)
        usable = [counts(trial.measurement, self.bounds) for trial in trials]
        return hypervolume_curve(costs, np.array(usable, dtype=bool))


def _without_copies(models: Sequence[FrontModel], front: Front) -> list[FrontModel]:
    """Return those of a front's models whose costs are no other one's, nor of one before."""
    keys = [model.key for model in models]
    costs = {m.key: tuple(row) for m, row in zip(front.models, front.costs.tolist(), strict=True)}
    first: dict[tuple[float, ...], str] = {}
    for key in (*(costs.keys() - set(keys)), *keys):
        first.setdefault(costs[key], key)
    return [model for model in models if first[costs[model.key]] == model.key]


def hypervolume_curve(costs: NDArray[np.float64], usable: NDArray[np.bool_]) -> list[float]:
    """Return the hypervolume of the usable rows seen so far, after each row.

    Objectives are scaled so that the final front's ideal is 0 and its worst corner 1, or, where it
    has no width, the worst of all that was usable; the reference point is 1.1 in each. So the curve
    ends at 1.1^m at most, and only fronts of one study compare.

    Args:
        costs: (n, m) minimised, in the order of telling.
        usable: (n,) whether the row is complete and feasible.
    """
    masked = np.where(usable[:, None], costs, np.nan)
    final = masked[non_dominated(masked)]
    if len(final) == 0:
        return [0.0] * len(costs)
    known = masked[~np.isnan(masked).any(axis=1)]
    scaled = (masked - final.min(axis=0)) / scale_of(final, known)
    volumes: list[float] = growing_volume(scaled, np.full(costs.shape[1], 1.1)).tolist()
    return volumes


def load_front(
    folder: Path | str,
    *,
    within: Sequence[str] = (),
    weights: Mapping[str, float] | None = None,
    goal: str = "",
) -> Front:
    """Read the front of a run, finished or not.

    Args:
        folder: Of the run.
        within: Further constraints that models of the front keep, as text.
        weights: How much each objective matters where the knee is looked for; 1 if not said.
        goal: Whose front; if empty, that of the study, which joins those of its goals if there are
            any.

    Raises:
        RunFolderError: If there is no run at `folder`.
        ConfigError: If a constraint or a weight is wrong, or the run has no such goal.
    """
    return Run.read(Path(folder), goal=goal).wishing(within, weights).front

"""The study: a search that can be killed at any moment, and continues from what it wrote."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TypeAlias

from niwaki.core.blame import raised_by
from niwaki.core.constraints import Constraint
from niwaki.core.errors import ConfigError, RunFolderError, StudyError
from niwaki.core.fidelity import Fidelities
from niwaki.core.files import cannot_write, write_text_atomically
from niwaki.core.goals import Goal, of_all
from niwaki.core.jsonable import JSON
from niwaki.core.limits import require_counts
from niwaki.core.objectives import Objective
from niwaki.core.randomness import derived_seed
from niwaki.core.registry import nearest
from niwaki.core.user_modes import usual_modes
from niwaki.evaluation.base import Evaluator, Exporting, Provenance
from niwaki.search.base import Problem, Searcher
from niwaki.search.earlier import informed
from niwaki.search.schedulers.base import Scheduler
from niwaki.search.schedulers.full import FullEffort
from niwaki.search.schedulers.full_effort_view import FullEffortView
from niwaki.search.several_goals import SeveralGoals
from niwaki.spaces.described import space_to_json
from niwaki.spaces.many import faults
from niwaki.study.budget import Budget
from niwaki.study.description import StudyDescription
from niwaki.study.executors.base import Executor, Job
from niwaki.study.executors.in_process import InProcessExecutor
from niwaki.study.record.environment import USER_FILES, describe_environment
from niwaki.study.record.events import Baseline, Note, Started
from niwaki.study.record.history import SESSION, History
from niwaki.study.record.ledger import Ledger
from niwaki.study.record.recorder import Recorder
from niwaki.study.record.run_folder import RunFolder, config_hash
from niwaki.study.record.soundness import whole_for_any
from niwaki.study.results.front import Front, front_of_study
from niwaki.study.steps.earlier_runs import EarlierRun, keep_earlier, read_earlier
from niwaki.study.steps.finalists import (
    Favourites,
    Finals,
    NothingExportedError,
    References,
    no_others,
    nobody,
)
from niwaki.study.steps.search_loop import SearchLoop
from niwaki.study.steps.vetting import (
    require_answers,
    require_declared,
    vetted_baseline,
    vetted_cheap,
)
from niwaki.study.watching.notices import forwarded
from niwaki.study.watching.observer import Observer, Silence
from niwaki.study.wishes import GoalSettings, require_goals, require_wishes, wished_goals

SearcherFactory: TypeAlias = Callable[[Problem], Searcher]
SchedulerFactory: TypeAlias = Callable[[Problem, Fidelities], Scheduler]
ExecutorFactory: TypeAlias = Callable[[Evaluator], Executor]

BASELINE_NUMBER = -1
# What may change between two sessions of one study: no single result depends on it. `subject` is
# what a compression calls its model and data, which it knows by their fingerprints.
FREE_SETTINGS = (
    "budget",
    "executor",
    "finalists",
    "name",
    "subject",
    "target.connection",
    "target.lock_timeout_seconds",
    "target.patience_seconds",
    "target.silence_seconds",
)


def _in_reach() -> None:
    """Know nothing that evaluations need beyond this machine."""


@dataclass(frozen=True)
class StudySettings:
    """What is wanted of a study.

    Attributes:
        objectives: Values to make good, by name (with the evaluator's direction) or in full; none
            if there are goals.
        constraints: Bounds as text; with goals, on the networks of all.
        budget: When to stop.
        n_finalists: Models of the front that are exported and measured from their files.
        seed: Of everything random.
        searcher: Name of the searcher, for people.
        scheduler: Name of the scheduler, for people; empty if every evaluation is a full one.
        config: The configuration as resolved, for the record; what it is compared with on resuming.
        learn_from: Folders of earlier runs of the same space, the most alike first. Every searcher
            begins with the best of them, and `surrogate` learns from all that they measured.
        goals: By name, if one search shall give several fronts: each has objectives and
            `n_finalists` of its own, and every evaluation counts for all.

    Raises:
        ConfigError: If `seed` or `n_finalists` is no whole number from 0 on, a list is a text, or
            goals are not settings by name.
    """

    objectives: Sequence[str | Objective] = ()
    constraints: Sequence[str] = ()
    budget: Budget = field(default_factory=Budget)
    n_finalists: int = 12
    seed: int = 0
    searcher: str = ""
    scheduler: str = ""
    config: Mapping[str, JSON] | None = None
    learn_from: Sequence[Path | str] = ()
    goals: Mapping[str, GoalSettings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.budget, Budget):
            raise ConfigError(f"'budget' is {self.budget!r}: give a Budget, such as Budget(100)")
        require_counts(self, "seed", "n_finalists")
        require_wishes(self.objectives, self.constraints)
        require_goals(self.goals)


class Study:
    """A search that outlives its process.

    Running it again on the same folder continues it: results are read from the ledger, what was in
    flight is evaluated first, and nothing is evaluated twice.

    Args:
        folder: The run folder; created if need be.
        evaluator: Scores candidates.
        make_searcher: Builds the searcher for the problem.
        settings: What is wanted.
        make_executor: Builds what runs evaluations; in this process if not given.
        check_executor: Called before the evaluator prepares anything, if nothing was evaluated yet;
            raises if what runs evaluations is out of reach.
        make_scheduler: Builds what decides on the effort of each evaluation; all are full ones if
            not given.
        favourites: Names models of the front that are finalists before others.
        references: Names trials that are exported beside the finalists, to compare them with.
        observer: Watches.

    Raises:
        ConfigError: If the settings name a scheduler, and nothing makes one.
    """

    def __init__(
        self,
        folder: Path | str,
        evaluator: Evaluator,
        make_searcher: SearcherFactory,
        settings: StudySettings,
        *,
        make_executor: ExecutorFactory = InProcessExecutor,
        check_executor: Callable[[], None] = _in_reach,
        make_scheduler: SchedulerFactory = FullEffort,
        favourites: Favourites = nobody,
        references: References = no_others,
        observer: Observer | None = None,
    ) -> None:
        # Absolute: what an evaluator does to the working directory should move no results.
        self.folder = RunFolder(Path(folder).absolute())
        self._evaluator, self._settings = evaluator, settings
        self._make_searcher, self._make_scheduler = make_searcher, make_scheduler
        self._make_executor, self._check_executor = make_executor, check_executor
        self._favourites, self._references = favourites, references
        self._observer = observer or Silence()
        if settings.scheduler and make_scheduler is FullEffort:
            raise ConfigError(
                f"'scheduler' of the settings is '{settings.scheduler}', which is a name for "
                "people, but nothing makes one: every evaluation would be a full one. Give "
                "`Study(..., make_scheduler=ASHA)`, of niwaki.search.schedulers.asha, or leave "
                "the name out"
            )

    @usual_modes()
    def run(self) -> Front:
        """Search until the budget is spent, export the finalists, and return the front.

        Raises:
            ConfigError: If an objective or constraint names an unknown value, or a run to learn
                from has nothing to say.
            SpaceError: If the space's settings allow no network.
            RunFolderError: If the folder is in use, damaged, of another study, or not writable.
            StudyError: If the search cannot go on.
        """
        # A mistake here should cost no super-network, nor leave a run folder behind.
        self.folder.require_run_or_nothing()
        require_declared(self._evaluator)
        description = self.description
        for goal in description.goals:
            self._exporting(goal)
        self._make_scheduler(
            Problem(self._evaluator.space, description.objectives), self._evaluator.fidelities
        )
        if not self.folder.earlier.exists():
            self._earlier_runs(self._all_constraints)
        config = self._settings.config or self._own_config(description)
        with self.folder.claim(config, free=FREE_SETTINGS):
            changed = self.folder.record_environment(describe_environment())
            description.save(self.folder.path)
            with Ledger.open(self.folder.trials) as ledger:
                recorder = Recorder(ledger, History.of(ledger.events))
                self._start(recorder, config)
                self._observer.begin(description, recorder.history)
                self._warn_of(changed, recorder)
                try:
                    # Where nobody watches, what is logged is left to the log.
                    watched = not isinstance(self._observer, Silence)
                    with forwarded(self._observer.say) if watched else nullcontext():
                        return self._run(recorder)
                finally:
                    self._observer.end()

    @cached_property
    def description(self) -> StudyDescription:
        """What the study is about.

        Raises:
            ConfigError: If an objective or constraint names an unknown value, or a goal a task of
                which there are no networks.
        """
        settings = self._settings
        # Tasks before values: of a task that is not there, `<task>_macs` is no value either.
        own = {name: self._own_values(goal.task) for name, goal in settings.goals.items()}
        values = self._evaluator.values
        wished = wished_goals(settings.objectives, settings.constraints, settings.goals, values)
        goals = tuple(replace(goal, values=own.get(goal.name, ())) for goal in wished)
        return StudyDescription(
            name=self.folder.path.name,
            objectives=of_all(goals),
            constraints=tuple(map(Constraint.parse, settings.constraints)),
            values=values,
            searcher=settings.searcher,
            scheduler=settings.scheduler,
            n_evaluations=settings.budget.evaluations,
            seconds=settings.budget.seconds if math.isfinite(settings.budget.seconds) else 0.0,
            seed=settings.seed,
            named_goals=goals if settings.goals else (),
            exports=self._evaluator.exports,
        )

    def _own_values(self, task: str) -> tuple[str, ...]:
        """Return the names of what exported models of a goal have; none if that is everything."""
        evaluator = self._evaluator
        exporting = evaluator.alone(task) if task else evaluator
        own = exporting.exported_values
        return () if own == evaluator.values else tuple(value.name for value in own)

    def _own_config(self, description: StudyDescription) -> dict[str, JSON]:
        """Return what stands for the configuration of a study that was built from Python."""
        return {
            "seed": description.seed,
            "objectives": [f"{o.name}: {o.direction}" for o in description.objectives],
            "constraints": [constraint.text for constraint in description.constraints],
            "evaluator": type(self._evaluator).__qualname__,
            "searcher": description.searcher,
            "learn_from": [str(path) for path in self._settings.learn_from] or None,
            "goals": [replace(g, values=()).to_json() for g in description.named_goals] or None,
        }

    def _start(self, recorder: Recorder, config: Mapping[str, JSON]) -> None:
        if recorder.history.started is None:
            fingerprint = config_hash(config, free=FREE_SETTINGS)
            recorder.record(Started(self.description.name, fingerprint, self._settings.seed))
        n_told = len(recorder.history.trials)
        recorder.record(Note(f"{SESSION} starts with {n_told} trials told"))

    def _warn_of(self, changed: Sequence[str], recorder: Recorder) -> None:
        """Say which files of the user are not what they were in the last session."""
        prefix = f"{USER_FILES}."
        files = [path.removeprefix(prefix) for path in changed if path.startswith(prefix)]
        if files and recorder.history.trials:
            sentence = (
                f"changed since the last session: {', '.join(files)}. If what it computes has "
                "changed, give the run another name: old and new results would not compare"
            )
            recorder.record(Note(sentence))
            self._observer.say(sentence)

    def _run(self, recorder: Recorder) -> Front:
        settings = self._settings
        begun = recorder.history.baseline is not None
        keep_earlier(self.folder, settings.learn_from, begun=begun)
        if not begun:
            for run in self._earlier_runs(self._all_constraints):
                self._observer.say(str(run))
            self._check_executor()
        with raised_by("`prepare` of the evaluator"):
            self._evaluator.prepare(self.folder.artifacts)
        require_answers(self._evaluator)
        self._require_same_space(recorder.history)
        if (space := space_to_json(self._evaluator.space)) is not None:
            write_text_atomically(self.folder.space, json.dumps(space) + "\n")
        else:  # an earlier session, which measured nothing, may have had another one
            try:
                self.folder.space.unlink(missing_ok=True)
            except OSError as error:
                raise cannot_write(self.folder.space, error) from error
        with self._make_executor(self._evaluator) as executor:
            self._measure_baseline(recorder, executor)
            problem = self._problem(recorder.history)
            problems = self._problems_of_goals(problem, recorder.history)
            searcher, scheduler = self._resumed(problem, problems, recorder.history)
            if isinstance(scheduler, FullEffort):  # others promote as it goes
                self._announce(searcher, recorder.history)
            SearchLoop(
                problem,
                [each.bounds for each in problems],
                self._evaluator.fidelities,
                executor,
                searcher,
                scheduler,
                recorder,
                [goal.wanted for goal in self.description.goals],
                settings.budget,
                self._observer,
            ).run()
        if self._evaluator.exports and settings.n_finalists:
            self._export_finalists(recorder)
        front = self._front(recorder.history)
        front.save()
        return front

    def _export_finalists(self, recorder: Recorder) -> None:
        """Export the finalists of every goal, before saying which goals have none.

        Raises:
            StudyError: If not one model of a goal could be exported.
        """
        searched = self._front(recorder.history, exported=False)
        faults: list[StudyError] = []
        for goal in self.description.goals:
            finals = Finals(
                self._exporting(goal),
                recorder,
                self.folder,
                self._provenance(recorder.history, goal),
                goal,
                self._settings.seed,
                self._observer,
                self._favourites,
                self._references,
            )
            try:
                finals.run(searched.goals.get(goal.name, searched), self._settings.n_finalists)
            except NothingExportedError as error:
                faults.append(error)
        if faults:
            self._front(recorder.history).save()
            raise StudyError("; ".join(map(str, faults)))

    def _exporting(self, goal: Goal) -> Exporting:
        """Return what exports the networks of a goal.

        Raises:
            ConfigError: If the goal is about one task, and there are no networks of that, or
                exported models of it lack a value that is wanted.
        """
        for name in goal.wanted:
            if goal.values and name not in goal.values:
                shared = [c for c in self.description.constraints if c.name == name][:1]
                why = "".join(
                    f"constraint '{c}' is on the networks of all goals, and " for c in shared
                )
                remedy = "; give that constraint to the goals that it is for" if shared else ""
                whose = f"'{goal.task}' alone" if goal.task else "all tasks"
                raise ConfigError(
                    f"{why}goal '{goal.name}' is about networks of {whose}, whose files have no "
                    f"'{name}'{nearest(name, goal.values)} They have "
                    f"{', '.join(goal.values)}{remedy}"
                )
        return self._evaluator.alone(goal.task) if goal.task else self._evaluator

    def _problem(self, history: History) -> Problem:
        """Return what all goals have in common, or the only one's problem."""
        return Problem(
            self._evaluator.space,
            self.description.objectives,
            history.bounds(self.description.shared_constraints),
            self._settings.seed,
            self._evaluator.initial(),
            vetted_cheap(self._evaluator),
            self._evaluator.identity,
            self._evaluator.alike,
            self._evaluator.promises,
        )

    def _problems_of_goals(self, common: Problem, history: History) -> list[Problem]:
        """Return the problem of each goal, with what earlier runs say about it."""
        problems = []
        for goal in self.description.goals:
            bounds = history.bounds(goal.constraints)
            own = replace(common, objectives=goal.objectives, bounds=bounds)
            earlier = self._earlier_runs(goal.constraints)
            problems.append(informed(own, [run.search for run in earlier]))
        return problems

    def _require_same_space(self, history: History) -> None:
        """Raise if what was asked before is of another space."""
        candidates = [asked.candidate for asked in history.asked.values()]
        found = faults(self._evaluator.space, candidates)
        for number, fault in zip(history.asked, found, strict=True):
            if fault:
                raise RunFolderError(
                    f"'{self.folder.path}' holds a run over another space: of trial {number}, "
                    f"{fault}. Give this run another name, or restore the space"
                )

    def _earlier_runs(self, constraints: Sequence[Constraint]) -> tuple[EarlierRun, ...]:
        return read_earlier(
            self.folder, self._settings.learn_from, self._evaluator.space, constraints
        )

    @property
    def _all_constraints(self) -> list[Constraint]:
        """The constraints of all goals, each once."""
        return list(dict.fromkeys(c for goal in self.description.goals for c in goal.constraints))

    def _announce(self, searcher: Searcher, history: History) -> None:
        """Tell how many evaluations there will be, if that is known to be less than the budget."""
        if searcher.n_left is None:
            return
        n_evaluations = min(len(history.asked) + searcher.n_left, self._settings.budget.evaluations)
        replace(self.description, n_evaluations=n_evaluations).save(self.folder.path)
        self._observer.plan(n_evaluations)

    def _resumed(
        self, problem: Problem, problems: Sequence[Problem], history: History
    ) -> tuple[Searcher, Scheduler]:
        """Return a searcher and a scheduler that know what happened so far."""
        if self.description.named_goals:
            problem = replace(problem, goals=tuple(problems))
        scheduler = self._make_scheduler(problem, self._evaluator.fidelities)
        make = self._make_searcher
        if not isinstance(scheduler, FullEffort):
            make = partial(_seeing_all_efforts, make)
        searcher = make(problems[0]) if len(problems) == 1 else SeveralGoals(problems, make)
        # The baseline was paid for: what it says is learned from, and it is not asked for again.
        known = history.baseline_of(problem.space)
        with raised_by("the searcher, which was told what earlier sessions found"):
            searcher.resume(history.candidates_asked())
            searcher.tell([trial.copied() for trial in (*known, *history.trials)])
        with raised_by("the scheduler, which was told what earlier sessions found"):
            for number in sorted(history.asked):
                asked = history.asked[number]
                scheduler.asked(asked.candidate, asked.fidelity)
            scheduler.told([trial.copied() for trial in history.trials])
        return searcher, scheduler

    def _measure_baseline(self, recorder: Recorder, executor: Executor) -> None:
        """Measure the baseline, unless that was done before."""
        history = recorder.history
        if history.baseline is None:
            candidate = vetted_baseline(self._evaluator)
            seed = derived_seed(self._settings.seed, "evaluation", BASELINE_NUMBER)
            executor.submit(Job(BASELINE_NUMBER, candidate, seed=seed))
            wanted = [goal.wanted for goal in self.description.goals]
            measurement = whole_for_any(executor.wait()[0].measurement, wanted)
            if not measurement.complete:
                raise StudyError(
                    f"the baseline could not be evaluated: {measurement.cause}. "
                    "Mend the cause and start again: nothing is searched without a baseline"
                )
            for constraint in self._all_constraints:
                constraint.resolve(measurement.values)  # or say so while nothing is written yet
            recorder.record(Baseline(candidate, measurement))
        assert history.baseline is not None
        self._observer.baseline(history.baseline.measurement.values)

    def _provenance(self, history: History, goal: Goal) -> Provenance:
        assert history.started is not None
        return Provenance(self.description.name, goal.objectives, history.started.config_hash)

    def _front(self, history: History, *, exported: bool = True) -> Front:
        return front_of_study(history, self.description, self.folder.path, exported=exported)


def _seeing_all_efforts(make: SearcherFactory, problem: Problem) -> Searcher:
    """Return a searcher that learns from trials of little effort too."""
    searcher = make(problem)
    return searcher if searcher.sees_fidelities else FullEffortView(problem, make)

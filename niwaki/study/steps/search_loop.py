"""The loop: promote or ask, turn away or evaluate, record, tell. No worker waits for another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from niwaki.core.blame import raised_by
from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound
from niwaki.core.errors import StudyError
from niwaki.core.fidelity import FULL, Fidelities
from niwaki.core.measurement import Measurement, Status
from niwaki.core.numerals import numeral
from niwaki.core.randomness import derived_seed
from niwaki.core.refusals import INFEASIBLE_IN_A_ROW, refusal
from niwaki.search.base import Problem, Searcher
from niwaki.search.schedulers.base import Scheduler, Step
from niwaki.search.vetting import proposed
from niwaki.study.budget import ROUNDING, Budget, spent
from niwaki.study.executors.base import Executor, Finished, Job
from niwaki.study.record.events import Asked, Told
from niwaki.study.record.recorder import Recorder
from niwaki.study.record.soundness import whole_for_any
from niwaki.study.results.misses import LOOSEN, nearest_miss
from niwaki.study.steps.vetting import miscounted, planned
from niwaki.study.watching.observer import Observer

FAILURES_IN_A_ROW = 20
MEND = "Mend the cause and start again under another name; every failure is in the ledger"


@dataclass
class SearchLoop:
    """One session of searching.

    Attributes:
        problem: What the searcher was made for; of several goals, what they have in common.
        bounds: Of each goal. What breaks a bound of every goal is turned away.
        fidelities: That the evaluator can be asked for.
        executor: Runs evaluations.
        searcher: Already told what earlier sessions found.
        scheduler: Told as well.
        recorder: Takes everything down.
        wanted: Values of objectives and constraints, for each goal: a complete measurement has
            those of one goal at least.
        budget: When to stop asking.
        observer: Watches.
    """

    problem: Problem
    bounds: Sequence[Sequence[Bound]]
    fidelities: Fidelities
    executor: Executor
    searcher: Searcher
    scheduler: Scheduler
    recorder: Recorder
    wanted: Sequence[Sequence[str]]
    budget: Budget
    observer: Observer
    _exhausted: bool = field(default=False, init=False)  # whether there is nothing more to ask for
    _turned_away: bool = field(default=False, init=False)  # whether that is for a cheap count
    _planless: bool = field(default=False, init=False)  # whether the scheduler had no step last
    _counts: dict[int, Mapping[str, float]] = field(default_factory=dict, init=False)
    _miscounted: bool = field(default=False, init=False)  # whether that was told

    def run(self) -> None:
        """Search until the budget is spent or the space has no more.

        Raises:
            StudyError: If everything fails, or everything is infeasible.
        """
        for asked in self.recorder.history.pending:
            self._place(asked)
        while True:
            while self.executor.n_free and self._start_another():
                pass
            if not self.executor.n_unfinished:
                break
            for finished in self.executor.wait():
                self._check_counts(finished)
                found = whole_for_any(finished.measurement, self.wanted)
                self._tell(finished.job.number, found)
        self._check_anything_found()
        if self._is_out_of_time:
            self._say_out_of_time()

    def _start_another(self) -> bool:
        """Place one more evaluation. False if there is none, or the budget does not cover it."""
        step = self._next_step()
        self._planless = step is None and not self._exhausted
        if step is None or not self._affords(step):
            return False
        candidate = step.candidate or self._new_candidate()
        if candidate is None:
            self._exhausted = True
            return self._start_another()
        self._ask(candidate, step.fidelity)
        return True

    def _next_step(self) -> Step | None:
        """Return what the scheduler has planned."""
        may_start = not self._exhausted
        with raised_by("`next` of the scheduler"):
            answer = self.scheduler.next(may_start=may_start)
        return planned(answer, self.recorder.history, self.fidelities, may_start=may_start)

    def _affords(self, step: Step) -> bool:
        """Whether the budget covers one more evaluation, counting those in flight."""
        history = self.recorder.history
        committed = history.effort + history.pending_effort + self._effort(step)
        within = committed <= self.budget.evaluations + ROUNDING
        return within and history.seconds < self.budget.seconds

    def _effort(self, step: Step) -> float:
        """Return what a step costs, in full evaluations."""
        last = step.candidate and self.recorder.history.last_asked(step.candidate)
        reached = last.fidelity if last else 0.0
        return self.fidelities.effort(step.fidelity, reached=reached)

    def _new_candidate(self) -> Candidate | None:
        """Return what the searcher proposes; None if the space has no more."""
        history = self.recorder.history
        with raised_by("`ask` of the searcher"):
            answer = self.searcher.ask(1, [asked.candidate for asked in history.pending])
        return proposed(answer, self.problem.space, history.last_asked)

    def _ask(self, candidate: Candidate, fidelity: float) -> None:
        history = self.recorder.history
        number = len(history.asked)
        last = history.last_asked(candidate)
        # One seed for all evaluations of a candidate: so training can go on where it stopped.
        seed = last.seed if last else derived_seed(self.problem.seed, "evaluation", number)
        effort = self._effort(Step(fidelity, candidate))
        asked = Asked(number, candidate, fidelity, seed=seed, effort=effort)
        self.recorder.record(asked)
        with raised_by("`asked` of the scheduler"):
            self.scheduler.asked(candidate, fidelity)
        self._place(asked)

    def _place(self, asked: Asked) -> None:
        """Submit a candidate, or turn it away if a cheap count already breaks a bound."""
        with raised_by("`cheap` of the evaluator"):
            counts = self.problem.cheap(asked.candidate)
        refused = self._refusal(asked.candidate, counts)
        if refused is None:
            self._counts[asked.number] = counts
            self.executor.submit(Job(asked.number, asked.candidate, asked.fidelity, asked.seed))
        else:
            refused = replace(refused, fidelity=asked.fidelity, seed=asked.seed)
            self._tell(asked.number, refused)

    def _refusal(self, candidate: Candidate, counts: Mapping[str, float]) -> Measurement | None:
        """Return what a candidate is turned away with that no goal can use, or None."""
        refused = [refusal(candidate, counts, bounds) for bounds in self.bounds]
        found = [each for each in refused if each is not None]
        if len(found) < len(refused):
            return None
        if of_all := refusal(candidate, counts, self.problem.bounds):
            return of_all
        reasons = dict.fromkeys(each.reason for each in found)
        return replace(found[0], reason="; or else ".join(reasons))

    def _check_counts(self, finished: Finished) -> None:
        """Say once that what was known without an evaluation is not what it gave."""
        job, measurement = finished.job, finished.measurement
        counts = self._counts.pop(job.number)
        if self._miscounted or not measurement.complete or measurement.fidelity < FULL:
            return
        if sentence := miscounted(job.candidate, counts, measurement.values):
            self._miscounted = True
            self.observer.say(sentence)

    def _tell(self, number: int, measurement: Measurement) -> None:
        self.recorder.record(Told(number, measurement))
        trial = self.recorder.history.trials[-1]
        with raised_by("`tell` of the searcher"):
            self.searcher.tell([trial.copied()])
        with raised_by("`told` of the scheduler"):
            self.scheduler.told([trial.copied()])
        self.observer.told(trial)
        self._check_hope(measurement)

    def _check_hope(self, last: Measurement) -> None:
        history = self.recorder.history
        if history.n_complete == 0 and history.n_paid >= FAILURES_IN_A_ROW:
            raise StudyError(
                f"the first {history.n_paid} evaluations all failed, the last one because "
                f"{last.cause}. {MEND}"
            )
        if history.n_infeasible_in_a_row < INFEASIBLE_IN_A_ROW:
            return
        if history.n_complete == 0:
            raise StudyError(
                f"{INFEASIBLE_IN_A_ROW} candidates in a row were infeasible by a cheap count; of "
                f"the nearest, {self._nearest_miss}: {LOOSEN}"
            )
        self._exhausted = self._turned_away = True

    def _check_anything_found(self) -> None:
        history = self.recorder.history
        if not history.trials:
            if self._exhausted:
                self.observer.say(
                    "the searcher had no candidate to propose: there is the baseline alone"
                )
            return
        if history.n_complete:
            self._say_ended_early()
            return
        failed = [t.measurement for t in history.trials if t.measurement.status is Status.FAILED]
        last = f", the last one because {failed[-1].cause}" if failed else ""
        if self._has_no_more and self._baseline_serves:
            self.observer.say(
                f"no candidate but the baseline can be used: of the others, {len(failed)} failed"
                f"{last}, and {len(history.trials) - len(failed)} break constraints"
            )
            return
        if not history.n_paid:
            raise StudyError(
                f"none of {len(history.trials)} candidates keeps to the constraints"
                f"{', and no more were found' if self._has_no_more else ''}; of the nearest, "
                f"{self._nearest_miss}: {'allow more minutes, or ' if self._is_out_of_time else ''}"
                f"{LOOSEN}"
            )
        raise StudyError(
            f"none of {len(history.trials)} candidates could be evaluated{last}. {MEND}"
        )

    @property
    def _baseline_serves(self) -> bool:
        """Whether the baseline keeps to the bounds of a goal."""
        baseline = self.recorder.history.baseline
        if baseline is None or not baseline.measurement.complete:
            return False
        values = baseline.measurement.values
        return any(all(bound.is_kept(values) for bound in bounds) for bounds in self.bounds)

    def _say_ended_early(self) -> None:
        """Say why nothing is asked for any more though the budget allows it, if that is so."""
        history = self.recorder.history
        if self.budget.evaluations - history.effort <= ROUNDING:
            return
        if self._turned_away:
            why = f"{INFEASIBLE_IN_A_ROW} candidates in a row were infeasible by a cheap count"
        elif self._planless:
            why = "the scheduler plans no more"
        # Who knows how many there are left, such as a list, has told from the start.
        elif self._exhausted and self.searcher.n_left is None:
            why = "the searcher has no more candidates to propose"
        else:
            return
        after = spent(history, self.budget.evaluations)
        self.observer.say(f"{why}: the search ends after {after} evaluations")

    @property
    def _is_out_of_time(self) -> bool:
        """Whether time ended the search, which may be before its first candidate."""
        history, budget = self.recorder.history, self.budget
        is_over = history.seconds >= budget.seconds
        return is_over and budget.evaluations - history.effort > ROUNDING and not self._has_no_more

    @property
    def _has_no_more(self) -> bool:
        """Whether all is asked for, also if time was over before the searcher could say so."""
        history, space = self.recorder.history, self.problem.space
        known = [*history.candidates_asked(), *(t.candidate for t in history.baseline_of(space))]
        n_known = len({candidate.key for candidate in known})
        none_new = self._exhausted or self.searcher.n_left == 0 or n_known >= space.size
        with raised_by("`next` of the scheduler"):
            return none_new and self.scheduler.next(may_start=False) is None

    def _say_out_of_time(self) -> None:
        history, budget = self.recorder.history, self.budget
        self.observer.say(
            f"the budget's {numeral(budget.seconds / 60)} minutes, preparation included, are over "
            f"after {spent(history, budget.evaluations)} evaluations: to search on, allow more and "
            "start the same search again"
        )

    @property
    def _nearest_miss(self) -> str:
        trials = self.recorder.history.trials
        misses = (nearest_miss(trials, bounds) for bounds in self.bounds)
        return "; or else ".join(filter(None, dict.fromkeys(misses)))

"""The loop: ask, turn away or evaluate, record, tell. No generations, so no worker waits."""

from dataclasses import dataclass

from niwaki.core.constraints import Bound
from niwaki.core.errors import StudyError
from niwaki.core.measurement import Measurement, Status
from niwaki.core.randomness import derived_seed
from niwaki.evaluation.base import Evaluator
from niwaki.search.base import Searcher
from niwaki.study.budget import Budget
from niwaki.study.events import Asked, Told
from niwaki.study.executors.base import Executor, Job
from niwaki.study.observer import Observer
from niwaki.study.recorder import Recorder

FAILURES_IN_A_ROW = 20
INFEASIBLE_IN_A_ROW = 10_000


@dataclass
class SearchLoop:
    """One session of searching.

    Attributes:
        evaluator: For cheap counts; the executor has its own.
        executor: Runs evaluations.
        searcher: Already told what earlier sessions found.
        recorder: Takes everything down.
        bounds: Constraints with their numbers.
        budget: When to stop asking.
        seed: The study's.
        observer: Watches.
    """

    evaluator: Evaluator
    executor: Executor
    searcher: Searcher
    recorder: Recorder
    bounds: tuple[Bound, ...]
    budget: Budget
    seed: int
    observer: Observer

    def run(self) -> None:
        """Search until the budget is spent or the space has no more.

        Raises:
            StudyError: If everything fails, or everything is infeasible.
        """
        for asked in self.recorder.history.pending:
            self._place(asked)
        exhausted = False
        while True:
            while self.executor.n_free and not exhausted and self._affords_another():
                exhausted = not self._ask()
            if not self.executor.n_unfinished:
                break
            for finished in self.executor.wait():
                self._tell(finished.job.number, finished.measurement)
        self._check_anything_found()

    def _affords_another(self) -> bool:
        """Whether the budget covers one more evaluation, counting those in flight."""
        history = self.recorder.history
        n_committed = history.n_paid + history.n_pending
        return n_committed < self.budget.evaluations and history.seconds < self.budget.seconds

    def _ask(self) -> bool:
        """Ask for one candidate and place it. False if the space has no more."""
        history = self.recorder.history
        proposals = self.searcher.ask(1, [asked.candidate for asked in history.pending])
        if not proposals:
            return False
        number = len(history.asked)
        seed = derived_seed(self.seed, "evaluation", number)
        asked = Asked(number, proposals[0], seed=seed)
        self.recorder.record(asked)
        self._place(asked)
        return True

    def _place(self, asked: Asked) -> None:
        """Submit a candidate, or turn it away if a cheap count already breaks a bound."""
        counts = self.evaluator.cheap(asked.candidate)
        broken = [bound for bound in self.bounds if bound.violation(counts) > 0.0]
        if not broken:
            self.executor.submit(Job(asked.number, asked.candidate, asked.fidelity, asked.seed))
            return
        reasons = [f"{bound.name} is {counts[bound.name]:.6g}, wanted {bound}" for bound in broken]
        refusal = Measurement(
            key=asked.candidate.key,
            values=counts,
            status=Status.INFEASIBLE,
            reason="; ".join(reasons),
            fidelity=asked.fidelity,
            seed=asked.seed,
        )
        self._tell(asked.number, refusal)

    def _tell(self, number: int, measurement: Measurement) -> None:
        self.recorder.record(Told(number, measurement))
        trial = self.recorder.history.trials[-1]
        self.searcher.tell([trial])
        self.observer.told(trial)
        self._check_hope(measurement)

    def _check_hope(self, last: Measurement) -> None:
        history = self.recorder.history
        if history.n_complete == 0 and history.n_paid >= FAILURES_IN_A_ROW:
            raise StudyError(
                f"the first {history.n_paid} evaluations all failed, the last one because "
                f"{last.reason}. Mend the cause and start again under another name; every failure "
                "is in the ledger"
            )
        if history.n_infeasible_in_a_row >= INFEASIBLE_IN_A_ROW:
            raise StudyError(
                f"{INFEASIBLE_IN_A_ROW} candidates in a row were infeasible by a cheap count, the "
                f"last one because {last.reason}: loosen that constraint"
            )

    def _check_anything_found(self) -> None:
        history = self.recorder.history
        if history.trials and history.n_complete == 0:
            raise StudyError(
                f"none of {len(history.trials)} candidates could be evaluated, the last one "
                f"because {history.trials[-1].measurement.reason}"
            )

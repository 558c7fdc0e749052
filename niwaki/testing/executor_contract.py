"""What every executor must do. Subclass `ExecutorContract` and implement `make`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.errors import StudyError, TargetLostError
from niwaki.core.measurement import Status
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors.base import Executor, Finished, Job
from niwaki.testing.scripted_evaluator import ScriptedEvaluator, script

PATIENCE_S = 60.0


def run_all(executor: Executor, candidates: list[Candidate]) -> dict[int, Finished]:
    """Run the candidates as jobs 0, 1, ... and return what came of each number.

    Raises:
        AssertionError: If a job finishes twice, or not at all.
    """
    for number, candidate in enumerate(candidates):
        executor.submit(Job(number, candidate))
    finished: dict[int, Finished] = {}
    while executor.n_unfinished:
        several = executor.wait(PATIENCE_S)
        assert several, "nothing finished in a minute"
        for one in several:
            assert one.job.number not in finished
            finished[one.job.number] = one
    assert sorted(finished) == list(range(len(candidates)))
    return finished


class ExecutorContract(ABC):
    """Laws of executors."""

    @abstractmethod
    def make(self, evaluator: Evaluator) -> Executor:
        """Return a new executor of the kind under test."""

    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        with self.make(ScriptedEvaluator()) as executor:
            yield executor

    def test_every_job_finishes_exactly_once(self, executor: Executor) -> None:
        finished = run_all(executor, [script("return", value=value) for value in range(20)])
        assert [finished[n].measurement.values["value"] for n in range(20)] == list(range(20))

    def test_a_measurement_belongs_to_its_job(self, executor: Executor) -> None:
        job = Job(7, script("return"), fidelity=0.5, seed=11)
        executor.submit(job)
        [finished] = executor.wait(PATIENCE_S)
        measurement = finished.measurement
        assert finished.job == job
        assert measurement.key == job.candidate.key
        assert (measurement.fidelity, measurement.seed) == (0.5, 11)
        assert (measurement.values["fidelity"], measurement.values["seed"]) == (0.5, 11)

    def test_the_worker_fills_in_its_name_and_the_seconds(self, executor: Executor) -> None:
        measurement = run_all(executor, [script("sleep", seconds=0.05)])[0].measurement
        assert measurement.worker
        assert measurement.seconds >= 0.05

    def test_an_exception_is_a_failed_measurement(self, executor: Executor) -> None:
        candidate = script("raise", message="the loss exploded")
        measurement = run_all(executor, [candidate])[0].measurement
        assert measurement.status is Status.FAILED
        assert measurement.key == candidate.key
        assert measurement.reason == "ValueError: the loss exploded"
        assert "the loss exploded" in str(measurement.details["traceback"])

    def test_a_lost_target_condemns_no_candidate(self, executor: Executor) -> None:
        executor.submit(Job(0, script("return")))
        assert executor.wait(PATIENCE_S)
        executor.submit(Job(1, script("lose")))
        with pytest.raises(TargetLostError, match="the board is gone"):
            executor.wait(PATIENCE_S)

    def test_exiting_is_a_failed_measurement(self, executor: Executor) -> None:
        assert not run_all(executor, [script("exit", code=0)])[0].measurement.complete

    @pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
    def test_a_value_that_is_not_finite_is_a_failure(self, executor: Executor, text: str) -> None:
        measurement = run_all(executor, [script("return", value=text)])[0].measurement
        assert measurement.status is Status.FAILED
        assert f"'value' is {text}" in measurement.reason
        assert "value" not in measurement.values

    def test_the_evaluator_is_used_again_after_a_failure(self, executor: Executor) -> None:
        finished = run_all(executor, [script("raise"), script("return", value=3)])
        assert finished[1].measurement.values["value"] == 3

    def test_a_used_candidate_can_be_submitted(self, executor: Executor) -> None:
        candidate = script("return")
        assert candidate.decisions["do"] == "return"  # fills the candidate's caches
        assert run_all(executor, [candidate])[0].job.candidate == candidate

    def test_free_places_shrink_and_come_back(self, executor: Executor) -> None:
        n_free = executor.n_free
        assert n_free >= 1
        executor.submit(Job(0, script("return")))
        assert (executor.n_free, executor.n_unfinished) == (n_free - 1, 1)
        executor.wait(PATIENCE_S)
        assert (executor.n_free, executor.n_unfinished) == (n_free, 0)

    def test_waiting_for_nothing_returns_at_once(self, executor: Executor) -> None:
        assert executor.wait() == []

    def test_the_busy_share_is_a_share(self, executor: Executor) -> None:
        assert executor.busy_share == 0.0
        run_all(executor, [script("sleep", seconds=0.01)])
        assert 0.0 < executor.busy_share <= 1.0

    def test_closing_twice_is_closing_once(self, executor: Executor) -> None:
        run_all(executor, [script("return")])
        executor.close()
        executor.close()
        assert executor.n_free == 0

    def test_closing_drops_unfinished_jobs(self, executor: Executor) -> None:
        executor.submit(Job(0, script("hang")))
        executor.submit(Job(1, script("hang")))
        executor.close()
        assert (executor.n_unfinished, executor.wait()) == (0, [])

    def test_a_closed_executor_takes_no_jobs(self, executor: Executor) -> None:
        executor.close()
        with pytest.raises(StudyError, match="closed"):
            executor.submit(Job(0, script("return")))

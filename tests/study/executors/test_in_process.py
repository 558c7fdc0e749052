"""What the in-process executor promises beyond the contract."""

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement
from niwaki.study.executors import InProcessExecutor, Job
from niwaki.testing.scripted_evaluator import ScriptedEvaluator, script


def test_jobs_run_one_per_wait_in_the_order_of_submission() -> None:
    executor = InProcessExecutor(ScriptedEvaluator())
    for number in (2, 0, 1):
        executor.submit(Job(number, script("return")))
    assert [[done.job.number for done in executor.wait()] for _ in range(4)] == [[2], [0], [1], []]


def test_an_interrupted_job_runs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Candidate] = []
    evaluate = ScriptedEvaluator.evaluate

    def interrupted_once(
        self: ScriptedEvaluator, candidate: Candidate, *, fidelity: float, seed: int
    ) -> Measurement:
        calls.append(candidate)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return evaluate(self, candidate, fidelity=fidelity, seed=seed)

    monkeypatch.setattr(ScriptedEvaluator, "evaluate", interrupted_once)
    executor = InProcessExecutor(ScriptedEvaluator())
    executor.submit(Job(0, script("return")))
    with pytest.raises(KeyboardInterrupt):
        executor.wait()
    assert [done.job.number for done in executor.wait()] == [0]

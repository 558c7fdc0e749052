"""The shipped executors obey the law."""

from niwaki.evaluation.base import Evaluator
from niwaki.study.executors import (
    Executor,
    InProcessExecutor,
    LocalProcessExecutor,
    LocalProcessSettings,
)
from niwaki.testing.executor_contract import ExecutorContract


class TestInProcessExecutor(ExecutorContract):
    def make(self, evaluator: Evaluator) -> Executor:
        return InProcessExecutor(evaluator)


class TestLocalProcessExecutor(ExecutorContract):
    def make(self, evaluator: Evaluator) -> Executor:
        return LocalProcessExecutor(evaluator, LocalProcessSettings(n_workers=2))


class TestOneLocalProcess(ExecutorContract):
    def make(self, evaluator: Evaluator) -> Executor:
        return LocalProcessExecutor(evaluator, LocalProcessSettings(n_workers=1))

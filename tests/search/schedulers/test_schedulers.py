"""Our schedulers keep the contract."""

from niwaki.core.fidelity import Fidelities
from niwaki.search.base import Problem
from niwaki.search.schedulers.asha import ASHA
from niwaki.search.schedulers.base import Scheduler
from niwaki.search.schedulers.full import FullEffort
from niwaki.search.schedulers.hyperband import Hyperband
from niwaki.search.schedulers.ladder import LadderSettings
from niwaki.testing.scheduler_contract import SchedulerContract


class TestFullEffort(SchedulerContract):
    def make(self, problem: Problem, fidelities: Fidelities) -> Scheduler:
        return FullEffort(problem, fidelities)


class TestASHA(SchedulerContract):
    def make(self, problem: Problem, fidelities: Fidelities) -> Scheduler:
        return ASHA(problem, fidelities)


class TestASHAThatSpreads(SchedulerContract):
    def make(self, problem: Problem, fidelities: Fidelities) -> Scheduler:
        return ASHA(problem, fidelities, LadderSettings(tie_break="spread", keep=0.5))


class TestHyperband(SchedulerContract):
    def make(self, problem: Problem, fidelities: Fidelities) -> Scheduler:
        return Hyperband(problem, fidelities)

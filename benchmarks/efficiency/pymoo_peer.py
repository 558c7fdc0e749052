"""pymoo's NSGA-II as its users run it: its own loop, its own integer operators."""

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling

from benchmarks.efficiency.scenario import Meter, Scenario

POPULATION = 40
SETTINGS = f"population {POPULATION}, SBX (eta 3) and PM (eta 3) with rounding, no duplicates"


class TableProblem(Problem):  # type: ignore[misc]
    """The table as pymoo sees it: integers; a failed evaluation breaks a constraint."""

    def __init__(self, meter: Meter) -> None:
        scenario = meter.scenario
        highest = np.array([len(options) - 1 for options in scenario.space.options])
        n_objectives = len(scenario.objectives)
        super().__init__(
            n_var=len(highest), n_obj=n_objectives, n_ieq_constr=1, xl=0, xu=highest, vtype=int
        )
        self._meter = meter

    def _evaluate(
        self, x: NDArray[np.int64], out: dict[str, NDArray[np.float64]], *_: object, **__: object
    ) -> None:
        answers = [self._meter.evaluate(point) for point in x]
        failed = np.array([answer.costs is None for answer in answers])
        # Of a failed one pymoo only looks at the constraint, yet it wants finite objectives.
        nothing = np.zeros(self.n_obj)
        costs = [nothing if answer.costs is None else answer.costs for answer in answers]
        out["F"], out["G"] = np.array(costs), failed[:, None].astype(float)


class NearestRow(Repair):  # type: ignore[misc]
    """Moves individuals onto rows of the table."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        self._scenario = scenario

    def _do(self, problem: Problem, X: NDArray[np.int64], **_: object) -> NDArray[np.int64]:
        return np.array([self._scenario.grid[self._scenario.row(point)] for point in X])


def run_nsga2(meter: Meter, seed: int) -> None:
    """Search until the meter is done."""
    rounding = RoundingRepair()
    algorithm = NSGA2(
        pop_size=POPULATION,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=rounding),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=rounding),
        repair=None if meter.scenario.complete else NearestRow(meter.scenario),
        eliminate_duplicates=True,
    )
    algorithm.setup(TableProblem(meter), seed=seed, termination=("n_gen", 1_000_000))
    while not meter.done and algorithm.has_next():
        algorithm.next()

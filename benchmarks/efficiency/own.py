"""niwaki's own searchers on a table, through their public interface: one candidate at a time."""

from dataclasses import replace

from benchmarks.efficiency.proxies import ProxyColumns
from benchmarks.efficiency.scenario import Answer, Meter, Scenario
from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import in_user_direction
from niwaki.search.base import Problem
from niwaki.search.registry import SEARCHERS


def run(meter: Meter, seed: int, *, searcher: str, columns: ProxyColumns | None = None) -> None:
    """Search until the meter is done, or the space has no more.

    Args:
        meter: What is searched.
        seed: Of the searcher.
        searcher: Its name.
        columns: Scores of untrained networks that it is told beside the cheap values of the table.
    """
    scenario = meter.scenario
    problem = problem_of(scenario, seed)
    if columns is not None:
        problem = replace(problem, cheap=columns.cheap(scenario))
    asker = SEARCHERS.find(searcher).load()(problem)
    number = 0
    while not meter.done:
        asked = asker.ask(1)
        if not asked:
            return
        answer = meter.evaluate_row(scenario.space.row(asked[0]))
        asker.tell([Trial(number, asked[0], _measured(scenario, asked[0], answer))])
        number += 1


def problem_of(scenario: Scenario, seed: int) -> Problem:
    """Return the scenario as our searchers see it.

    Isomorphic rows were measured apart and are paid for one by one, and the true front holds the
    best of them: our searchers are told that they are alike, not that they are the same.
    """
    return Problem(
        scenario.space,
        scenario.objectives,
        seed=seed,
        cheap=scenario.evaluator.cheap,
        alike=scenario.networks,
    )


def _measured(scenario: Scenario, candidate: Candidate, answer: Answer) -> Measurement:
    if answer.costs is None:
        return Measurement(candidate.key, status=Status.FAILED, reason="it had to fail")
    values = in_user_direction(answer.costs, scenario.objectives).tolist()
    return Measurement(candidate.key, dict(zip(scenario.wanted, values, strict=True)))

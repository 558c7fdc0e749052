"""niwaki's own searchers on a table, through their public interface: one candidate at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.efficiency.proxies import ProxyColumns
from benchmarks.efficiency.scenario import Answer, Meter, Scenario
from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import in_user_direction
from niwaki.predictors.gaussian.layout import Layout
from niwaki.search.base import Earlier, Problem, Searcher
from niwaki.search.earlier import informed
from niwaki.search.registry import SEARCHERS
from niwaki.search.surrogate.catalogue import Catalogue
from niwaki.search.surrogate.pool import Pool


def run(
    meter: Meter,
    seed: int,
    *,
    searcher: str,
    columns: ProxyColumns | None = None,
    earlier: Sequence[Earlier] = (),
    initial: tuple[Candidate, ...] = (),
) -> None:
    """Search until the meter is done, or the space has no more.

    Args:
        meter: What is searched.
        seed: Of the searcher.
        searcher: Its name.
        columns: Scores of untrained networks that it is told beside the cheap values of the table.
        earlier: Searches that it learns from.
        initial: Candidates that it begins with.
    """
    scenario = meter.scenario
    problem = informed(replace(problem_of(scenario, seed), initial=initial), earlier)
    if columns is not None:
        problem = replace(problem, cheap=columns.cheap(scenario))
    for _ in steps(meter, SEARCHERS.find(searcher).load()(problem)):
        pass


def steps(meter: Meter, asker: Searcher) -> Iterator[int]:
    """Ask and tell until the meter is done, or the space has no more; yield each row when told."""
    scenario, number = meter.scenario, 0
    while not meter.done:
        asked = asker.ask(1)
        if not asked:
            return
        answer = meter.evaluate_row(scenario.space.row(asked[0]))
        asker.tell([Trial(number, asked[0], measured(scenario, asked[0], answer))])
        number += 1
        yield answer.row


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


@lru_cache(maxsize=1)
def listed(scenario: Scenario) -> tuple[Pool, NDArray[np.int64], NDArray[np.float64]]:
    """Return all n candidates with their features, their rows, and what a search is told of them.

    Returns:
        The pool, (n,) rows of the table, and (n, m) minimised costs; NaN where an evaluation fails.
    """
    pool = Catalogue(problem_of(scenario, 0), learns_from_cheap=True).everything()
    rows = np.array([scenario.space.row(candidate) for candidate in pool.candidates])
    return pool, rows, np.where(scenario.failing[:, None], np.nan, scenario.told)[rows]


def layout(scenario: Scenario, n_columns: int) -> Layout:
    """Return how `n_columns` features belong together."""
    return Catalogue(problem_of(scenario, 0), learns_from_cheap=True).layout(n_columns)


def measured(scenario: Scenario, candidate: Candidate, answer: Answer) -> Measurement:
    """Return an answer as our searchers are told it."""
    if answer.costs is None:
        return Measurement(candidate.key, status=Status.FAILED, reason="it had to fail")
    values = in_user_direction(answer.costs, scenario.objectives).tolist()
    return Measurement(candidate.key, dict(zip(scenario.wanted, values, strict=True)))

"""LINAS: rounds of measuring a population, learning from it, and evolving on what was learned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.limits import require_at_least
from niwaki.core.measurement import Trial
from niwaki.core.pareto import non_dominated
from niwaki.core.randomness import stream
from niwaki.search.asked import Asked
from niwaki.search.base import Problem, Searcher
from niwaki.search.linas_predictor import LinasPredictor
from niwaki.search.ranking import ranking
from niwaki.search.surrogate.catalogue import Catalogue
from niwaki.search.surrogate.history import History, signs_of
from niwaki.search.surrogate.pool import Pool
from niwaki.search.threads import one_thread

Array = NDArray[np.float64]

MOST_TRIALS = 1_000  # learned from: support vectors take time with the square of them and more

# (n, m) costs and (n,) violations of candidates, as predicted.
Predict: TypeAlias = Callable[[Pool], tuple[Array, Array]]


@dataclass(frozen=True)
class LinasSettings:
    """Settings of `Linas`.

    Attributes:
        population_size: Of a round, and of the evolution inside.
        inner_evaluations: Predictions per round.
        n_grid: Strengths tried for ridge, and penalties for support vectors.
        faithful: As published: the evolution starts from the same random population in each round,
            crosses over only (which is what rounding leaves of the published operators), its last
            population is measured as it is, cheap values are predicted like others, penalties are
            learned as they are, from all trials however many, and folds are not shuffled.
            Otherwise these are mended.

    Raises:
        ConfigError: On a number out of its range.
    """

    population_size: int = 50
    inner_evaluations: int = 5_000
    n_grid: int = 8
    faithful: bool = False

    def __post_init__(self) -> None:
        require_at_least(self, {"population_size": 2, "inner_evaluations": 2, "n_grid": 1})


class Linas(Searcher):
    """Evolves on predictors of everything measured so far; a round never waits for the last one.

    The round of the i-th candidate learns from as many trials as were asked for before it. Mended,
    if not `faithful`: evolution starts from the measured front too, mutates as well as crosses
    over, looks at computed cheap values, the best that were never asked for make the next round,
    penalties are taken for failures, which teach nothing, and of more than 1,000 trials an even
    share and the best are learned from.

    References:
        Cummings, Sridhar, Sarah and Szankin, 2022, "A hardware-aware framework for accelerating
        neural architecture search across modalities", algorithm 1. Sridhar et al., 2023,
        "SimQ-NAS: simultaneous quantization policy and neural architecture search".
    """

    def __init__(self, problem: Problem, settings: LinasSettings | None = None) -> None:
        self._problem = problem
        self._settings = settings or LinasSettings()
        self._asked = Asked(problem)
        self._catalogue = Catalogue(problem)
        self._history = History(problem)
        self._names: list[str] = []  # identities, in order of asking
        self._basis = (0, 0)  # of what is planned: the round, and how many trials it learned from
        self._planned: Sequence[Candidate] = ()

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:  # noqa: ARG002
        found: list[Candidate] = []
        with one_thread():
            while len(found) < n and (drawn := self._asked.draw(1, self._propose)):
                self._names += map(self._problem.identity, drawn)
                found += drawn
        return found

    def tell(self, trials: Sequence[Trial]) -> None:
        self._asked.told(trials)
        for trial in trials:
            self._history.add([trial], self._catalogue.pool([trial.candidate]).features)

    def resume(self, asked: Sequence[Candidate]) -> None:
        self._asked.resume(asked)
        self._names += map(self._problem.identity, asked)

    def _propose(self, rng: np.random.Generator) -> Candidate:
        size = self._settings.population_size
        number, place = divmod(len(self._asked), size)
        # What was pending when a round began is learned from as it arrives, so that a plan follows
        # from what was asked and told, whoever makes it.
        basis = (number, min(len(self._history), number * size))
        if basis != self._basis:
            self._planned, self._basis = self._plan(number), basis
        if self._settings.faithful:  # place by place, as in rounds that wait for each other
            left = iter(self._planned[place:])
        else:
            left = (candidate for candidate in self._planned if candidate not in self._asked)
        found = next(left, None)
        return self._problem.space.sample(rng) if found is None else found

    def _plan(self, number: int) -> list[Candidate]:
        """Return the candidates of a round, best first; none if there is nothing to learn from."""
        n_before = number * self._settings.population_size
        history = self._history.first(n_before)
        predict = self._learn(history, number)
        if predict is None:
            return []
        met = self._evolve(predict, number)
        if not self._settings.faithful:
            told = (self._problem.identity(trial.candidate) for trial in history.trials)
            met = met.without({*self._names[:n_before], *told})
        best = self._best(met, predict)
        return [met.candidates[row] for row in best[: self._settings.population_size]]

    def _learn(self, history: History, number: int) -> Predict | None:
        """Return what predicts; a value is learned once one is wanted that is not computed."""
        faithful = self._settings.faithful
        objectives = [objective.name for objective in self._problem.objectives]
        signs = signs_of(self._problem)
        if not faithful:
            history = history.condensed(MOST_TRIALS).without_penalties(signs)
        lessons = {name: history.known(name) for name in signs}
        lessons = {name: (X, values) for name, (X, values) in lessons.items() if len(values)}
        if not lessons.keys() >= set(objectives):
            return None

        @cache
        def learned(name: str) -> LinasPredictor:
            rng = None if faithful else stream(self._problem.seed, "folds", number, name)
            predictor = LinasPredictor(self._settings.n_grid, rng)
            predictor.fit(*lessons[name])
            return predictor

        def expected(pool: Pool, name: str) -> Array:
            values = np.full(len(pool), np.nan)
            if not faithful:
                values = signs[name] * pool.cheap.get(name, values)
            unknown = np.isnan(values)
            if unknown.any():
                values = np.where(unknown, learned(name).predict(pool.features), values)
            return values

        def predict(pool: Pool) -> tuple[Array, Array]:
            found = {name: expected(pool, name) for name in lessons}
            violations = np.zeros(len(pool))
            for bound in self._problem.bounds:
                if bound.name in found:
                    violations += bound.violations(signs[bound.name] * found[bound.name])
            return np.stack([found[name] for name in objectives], axis=1), violations

        return predict

    def _evolve(self, predict: Predict, number: int) -> Pool:
        """Return what NSGA-II met on the predictions; if faithful, its last population."""
        size = self._settings.population_size
        faithful = self._settings.faithful
        rng = stream(self._problem.seed, "evolve", 0 if faithful else number)
        first = [self._problem.space.sample(rng) for _ in range(size)]
        if not faithful:
            candidates, costs = self._history.first(number * size).feasible()
            first += [candidates[row] for row in np.flatnonzero(non_dominated(costs))]
        population = self._catalogue.pool(first)
        met = list(population.candidates)
        for _ in range(self._settings.inner_evaluations // size):
            children = [self._child(population, rng) for _ in range(size)]
            joined = population.joined(self._catalogue.pool(children))
            population = joined.at(self._best(joined, predict)[:size])
            met += population.candidates
        return population if faithful else self._catalogue.pool(met)

    def _child(self, population: Pool, rng: np.random.Generator) -> Candidate:
        """Breed from a population, best first, by binary tournaments."""
        parents = rng.integers(len(population), size=(2, 2)).min(axis=1)
        first, second = (population.candidates[row] for row in parents)
        space = self._problem.space
        if not self._settings.faithful and rng.random() < 0.5:
            return space.mutate(first, rng)
        return space.crossover(first, second, rng)

    def _best(self, pool: Pool, predict: Predict) -> NDArray[np.int64]:
        """Return rows, best first."""
        if len(pool) == 0:
            return np.zeros(0, dtype=np.int64)
        costs, violations = predict(pool)
        return ranking(costs, violations).best_first()

"""Looking candidates up: everything about them that costs nothing."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.predictors.gaussian.layout import Layout
from niwaki.search.base import Problem
from niwaki.search.surrogate.descriptions import Descriptions, forget_oldest
from niwaki.search.surrogate.hints import Hints
from niwaki.search.surrogate.pool import Pool
from niwaki.search.threads import one_thread
from niwaki.spaces.collector import collector_paused

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


class Catalogue:
    """Looks candidates up: identities, features and cheap values, each computed once or seldom.

    Features are the encoding of the space, tallies of its decisions and, if wanted, cheap values
    and hints: what earlier searches say.

    Args:
        problem: What is searched.
        learns_from_cheap: Whether cheap values and hints are features: what is expensive mostly
            goes with them, and they are known of every candidate.
        described: What is known of candidates, hints apart, if other goals know it too.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        learns_from_cheap: bool = False,
        described: Descriptions | None = None,
    ) -> None:
        self.problem = problem
        self.described = described or Descriptions(problem, learns_from_cheap)
        self._hinted: dict[str, Array] = {}

    def pool(self, candidates: Sequence[Candidate]) -> Pool:
        """Return candidates as a pool; of equal identities the first stands for all."""
        return self.hinted(self.described.pool(candidates))

    def everything(self) -> Pool:
        """Return all candidates of the space, which has to be small.

        Different spellings of one network have different features; their mean is the network's.
        """
        return self.hinted(self.described.everything())

    def hinted(self, pool: Pool) -> Pool:
        """Return candidates that are described already with the hints about them."""
        if len(self._hints) == 0:
            return pool
        named = zip(pool.identities, pool.candidates, strict=True)
        entries = [self.described.entry(identity, candidate) for identity, candidate in named]
        new = [row for row, entry in enumerate(entries) if entry not in self._hinted]
        if new:
            # Row by row, but for the list, as the last digits hang on what else is asked about.
            blocks = [new] if self.described.is_listed else [[row] for row in new]
            with one_thread():
                hints = np.concatenate([self._hints.encode(pool.features[rows]) for rows in blocks])
            self._hinted.update(zip([entries[row] for row in new], hints, strict=True))
        hints = np.array([self._hinted[entry] for entry in entries])
        hints = hints.reshape(len(entries), len(self._hints))
        if not self.described.is_listed:
            forget_oldest(self._hinted, entries)
        return replace(pool, features=np.concatenate([pool.features, hints], axis=1))

    def views(self, n_columns: int) -> tuple[slice, ...]:
        """Return where of `n_columns` features hints are, and the means over a candidate's kin.

        Behind a candidate's own. Accuracy goes with the kin, latency mostly with the candidate
        itself. None if there are neither hints nor kin.
        """
        n_plain = n_columns - len(self._hints)
        views = self._plain_views(n_plain)
        if len(self._hints) == 0:
            return views
        return (*(views or (slice(0, n_plain),)), slice(n_plain, n_columns))

    def _plain_views(self, n_columns: int) -> tuple[slice, ...]:
        n = (n_columns - self.described.n_counts) // 2
        return (slice(0, n), slice(n, 2 * n)) if self.problem.alike else ()

    def kinds(self, n_columns: int) -> Rows:
        """Return (d,) kinds of features: 0 encoded, 1 a tally, 2 a cheap value, 3 a hint."""
        n_tallies = len(self.described.known.tallies.columns)
        n_counts, n_times = self.described.n_counts, 2 if self.problem.alike else 1
        n_encoded = (n_columns - n_counts - len(self._hints)) // n_times - n_tallies
        n_of_each = [n_encoded, n_tallies] * n_times + [n_counts, len(self._hints)]
        return np.repeat([0, 1] * n_times + [2, 3], n_of_each)

    def layout(self, n_columns: int) -> Layout:
        """Return how `n_columns` features belong together: by decision, and in views.

        A tally belongs to those of decisions with the same options, a cheap value and a hint to
        none, and what kin decide in the mean to no decision of the candidate's own.
        """
        groups = self._plain_groups()
        if groups is not None:
            groups = np.append(groups, groups.max(initial=-1) + 1 + np.arange(len(self._hints)))
        return Layout(self.views(n_columns), groups)

    def _plain_layout(self, n_columns: int) -> Layout:
        return Layout(self._plain_views(n_columns), self._plain_groups())

    def _plain_groups(self) -> Rows | None:
        paths = self.problem.space.encoded_paths
        if paths is None:
            return None
        tallies = self.described.known.tallies.columns
        names: list[object] = [*paths, *(group for group, _ in tallies)]
        if self.problem.alike:
            names += [("kin", name) for name in names]
        names += [("count", number) for number in range(self.described.n_counts)]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        return np.array([numbers[name] for name in names], dtype=np.int64)

    @cached_property
    def _hints(self) -> Hints:
        """What earlier searches say, in the features of candidates as they are met here."""
        if not self.described.learns_from_cheap:
            return Hints()
        cheap = frozenset(self.described.known.counts.units)
        with one_thread():
            return Hints.of(self.problem, self.described.features, cheap, self._plain_layout)

    def violations(self, pool: Pool) -> Array:
        """Return (n,) by how much cheap values break the bounds; 0 if they do not."""
        total = np.zeros(len(pool))
        for bound in self.problem.bounds:
            if bound.name in pool.cheap:
                total += bound.violations(pool.cheap[bound.name])
        return total

    def least_violating(self, pool: Pool) -> Pool:
        """Return the candidates of which cheap values break the bounds least."""
        if len(pool) == 0:
            return pool
        violations = self.violations(pool)
        return pool.at(np.flatnonzero(violations == violations.min()))


def listed(problem: Problem) -> tuple[Catalogue, Pool]:
    """Return such a catalogue as `unlisted` does, and all candidates of a small space."""
    described, pool = problem.in_common(_listed)
    catalogue = Catalogue(problem, described=described)
    return catalogue, catalogue.hinted(pool)


def _listed(problem: Problem) -> tuple[Descriptions, Pool]:
    described = Descriptions(problem, learns_from_cheap=True)
    pool = described.everything()
    # Of those that promise the same the first is asked for, and how a table is sorted says nothing.
    order = stream(problem.seed, "order").permutation(len(pool))
    return described, pool.at(order)


def unlisted(problem: Problem) -> Catalogue:
    """Return a catalogue that learns from cheap values and from earlier searches."""
    return Catalogue(problem, described=problem.in_common(_unlisted))


def _unlisted(problem: Problem) -> Descriptions:
    return Descriptions(problem, learns_from_cheap=True)


@collector_paused()
def grow(
    catalogue: Catalogue,
    parents: Sequence[Candidate],
    rng: np.random.Generator,
    *,
    size: int,
    score: Callable[[Pool], Array],
    roams: bool = True,
) -> Pool:
    """Return candidates that score well, found by evolution from `parents`.

    Args:
        catalogue: Of the problem.
        parents: The best that were measured.
        rng: Source of all chance.
        size: About how many candidates to look at.
        score: (n,) larger is better, of the pool so far.
        roams: Whether samples of the whole space are among them; else all descend from `parents`.

    References:
        Evolution on a surrogate between two measurements is that of LINAS (Cummings et al., 2022,
        "A hardware-aware framework for accelerating neural architecture search across modalities");
        here it starts from the measured front, and its generations breed from all that were met.
    """
    space = catalogue.problem.space
    share = max(size // 5, 1)
    met = [space.sample(rng) for _ in range(share if roams else 0)]
    n_mutants = share if roams else 2 * share
    met += [space.mutate(_any(parents, rng), rng) for _ in range(n_mutants if parents else 0)]
    pool = catalogue.pool([*parents, *met])
    for _ in range(3):
        best = np.argsort(-score(pool), kind="stable")[: max(share // 2, 2)]
        breeders = [pool.candidates[row] for row in best]
        pool = pool.joined(catalogue.pool([_child(catalogue, breeders, rng) for _ in range(share)]))
    return pool


def _child(
    catalogue: Catalogue, breeders: Sequence[Candidate], rng: np.random.Generator
) -> Candidate:
    space = catalogue.problem.space
    if rng.random() < 0.5:
        return space.mutate(_any(breeders, rng), rng)
    return space.crossover(_any(breeders, rng), _any(breeders, rng), rng)


def _any(candidates: Sequence[Candidate], rng: np.random.Generator) -> Candidate:
    return candidates[int(rng.integers(len(candidates)))]

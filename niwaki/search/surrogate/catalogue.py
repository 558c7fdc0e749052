"""Looking candidates up: everything about them that costs nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.search.base import Problem
from niwaki.search.surrogate.hints import Hints
from niwaki.search.surrogate.pool import Pool
from niwaki.search.threads import one_thread
from niwaki.spaces.collector import collector_paused
from niwaki.spaces.features import Features
from niwaki.spaces.walks import every_candidate

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

MOST_NUMBERS = 2**25  # that features take, 256 MB: in a space of no list, what is oldest goes
FEWEST_KEPT = 2_000  # candidates, however many features they have


@dataclass
class Catalogue:
    """Looks candidates up: identities, features and cheap values, each computed once or seldom.

    Features are the encoding of the space, tallies of its decisions and, if wanted, cheap values
    and hints: what earlier searches say.

    Attributes:
        problem: What is searched.
        learns_from_cheap: Whether cheap values and hints are features: what is expensive mostly
            goes with them, and they are known of every candidate.
    """

    problem: Problem
    learns_from_cheap: bool = False
    _plain: dict[str, Array] = field(default_factory=dict)  # features, hints apart
    _hinted: dict[str, Array] = field(default_factory=dict)
    _cheap: dict[str, Mapping[str, float]] = field(default_factory=dict)
    _is_listed: bool = False  # whether `everything` was called: then by identity, else by spelling

    def pool(self, candidates: Sequence[Candidate]) -> Pool:
        """Return candidates as a pool; of equal identities the first stands for all."""
        first: dict[str, Candidate] = {}
        entries: dict[str, Candidate] = {}
        for candidate in candidates:
            name = self.problem.identity(candidate)
            if name not in first:
                first[name] = candidate
                entries[self._met(name, candidate)] = candidate
        self._describe(entries)
        pool = self._assembled(first, list(entries))
        if not self._is_listed:
            self._forget(entries)
        return pool

    def _forget(self, latest: Iterable[str]) -> None:
        """Forget what was not asked about for longest, so that a long search fills no memory."""
        for entry in latest:
            self._plain[entry] = self._plain.pop(entry)
        n_columns = max(1, len(next(iter(self._plain.values()), ())))
        n_too_many = len(self._plain) - max(FEWEST_KEPT, MOST_NUMBERS // n_columns)
        for entry in list(islice(self._plain, max(0, n_too_many))):
            for known in (self._plain, self._hinted, self._cheap):
                known.pop(entry, None)

    def _met(self, identity: str, candidate: Candidate) -> str:
        """Return the entry of a candidate, whose cheap values are known from here on."""
        # At once: spaces remember the last few networks that they were asked about.
        entry = self._entry(identity, candidate)
        if entry not in self._cheap:
            self._cheap[entry] = self.problem.cheap(candidate)
        return entry

    def _describe(self, entries: Mapping[str, Candidate]) -> None:
        """Encode candidates that were met, hints apart."""
        new = [entry for entry in entries if entry not in self._plain]
        if new:
            rows = self._known.of_decisions([entries[entry] for entry in new])
            # Without a list of all, a candidate is the only one of its kin that is known.
            self._take_down(new, np.tile(rows, 2) if self.problem.alike else rows)

    def _entry(self, identity: str, candidate: Candidate) -> str:
        """Return the name under which a candidate is kept: never what depends on who came first."""
        return identity if self._is_listed else candidate.key

    def everything(self) -> Pool:
        """Return all candidates of the space, which has to be small.

        Different spellings of one network have different features; their mean is the network's.
        """
        spellings: dict[str, list[Candidate]] = {}
        for candidate in every_candidate(self.problem.space):
            spellings.setdefault(self.problem.identity(candidate), []).append(candidate)
        rows = self._known.of_decisions([c for alike in spellings.values() for c in alike])
        ends = np.cumsum([len(alike) for alike in spellings.values()])
        means = np.add.reduceat(rows, np.concatenate([[0], ends[:-1]]), axis=0)
        means /= np.diff(ends, prepend=0)[:, None]
        for name, alike in spellings.items():
            self._cheap.setdefault(name, self.problem.cheap(alike[0]))
        self._take_down(list(spellings), self._with_kin(list(spellings.values()), means))
        self._is_listed = True
        return self.pool([alike[0] for alike in spellings.values()])

    def _with_kin(self, spellings: Sequence[Sequence[Candidate]], encoded: Array) -> Array:
        """Return (n, d) features beside their means over the candidates that are alike."""
        if self.problem.alike is None:
            return encoded
        names = [self.problem.alike(each[0]) for each in spellings]
        _, kin, sizes = np.unique(names, return_inverse=True, return_counts=True)
        sums = np.zeros((len(sizes), encoded.shape[1]))
        np.add.at(sums, kin, encoded)
        return np.concatenate([encoded, (sums / sizes[:, None])[kin]], axis=1)

    def _take_down(self, names: Sequence[str], encoded: Array) -> None:
        """Keep the features of networks whose cheap values are known."""
        if self.learns_from_cheap:
            counts = self._known.counts.encode([self._cheap[name] for name in names])
            encoded = np.concatenate([encoded, counts], axis=1)
        self._plain.update(zip(names, encoded, strict=True))

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
        n = (n_columns - self._n_counts) // 2
        return (slice(0, n), slice(n, 2 * n)) if self.problem.alike else ()

    def kinds(self, n_columns: int) -> Rows:
        """Return (d,) kinds of features: 0 encoded, 1 a tally, 2 a cheap value, 3 a hint."""
        n_tallies, n_times = len(self._known.tallies.columns), 2 if self.problem.alike else 1
        n_encoded = (n_columns - self._n_counts - len(self._hints)) // n_times - n_tallies
        n_of_each = [n_encoded, n_tallies] * n_times + [self._n_counts, len(self._hints)]
        return np.repeat([0, 1] * n_times + [2, 3], n_of_each)

    @property
    def _n_counts(self) -> int:
        return len(self._known.counts.units) if self.learns_from_cheap else 0

    @cached_property
    def _hints(self) -> Hints:
        """What earlier searches say, in the features of candidates as they are met here."""
        if not self.learns_from_cheap:
            return Hints()
        cheap = frozenset(self._known.counts.units)
        with one_thread():
            return Hints.of(self.problem, self._without_hints, cheap, self._plain_views)

    def _without_hints(self, candidates: Sequence[Candidate]) -> Array:
        """Return (n, d) features of n candidates."""
        entries = [self._met(self.problem.identity(each), each) for each in candidates]
        self._describe(dict(zip(entries, candidates, strict=True)))
        return np.array([self._plain[entry] for entry in entries])

    @cached_property
    def _known(self) -> Features:
        return Features(self.problem.space, self.problem.cheap)

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

    def _assembled(self, first: Mapping[str, Candidate], entries: Sequence[str]) -> Pool:
        names = dict.fromkeys(name for entry in entries for name in self._cheap[entry])
        cheap = {
            name: np.array([self._cheap[entry].get(name, np.nan) for entry in entries])
            for name in names
        }
        return Pool(list(first.values()), list(first), self._features(entries), cheap)

    def _features(self, entries: Sequence[str]) -> Array:
        """Return (n, d) features of candidates that were met."""
        n_plain = len(next(iter(self._plain.values()), ()))
        plain = np.array([self._plain[entry] for entry in entries])
        plain = plain.reshape(len(entries), n_plain)
        if not self._plain or len(self._hints) == 0:
            return plain
        new = [row for row, entry in enumerate(entries) if entry not in self._hinted]
        if new:
            # Row by row, but for the list, as the last digits hang on what else is asked about.
            blocks = [new] if self._is_listed else [[row] for row in new]
            with one_thread():
                hints = np.concatenate([self._hints.encode(plain[rows]) for rows in blocks])
            self._hinted.update(zip([entries[row] for row in new], hints, strict=True))
        hints = np.array([self._hinted[entry] for entry in entries])
        return np.concatenate([plain, hints.reshape(len(entries), len(self._hints))], axis=1)


def listed(problem: Problem) -> tuple[Catalogue, Pool]:
    """Return such a catalogue as `unlisted` does, and all candidates of a small space."""
    catalogue = unlisted(problem)
    pool = catalogue.everything()
    # Of those that promise the same the first is asked for, and how a table is sorted says nothing.
    order = stream(problem.seed, "order").permutation(len(pool))
    return catalogue, pool.at(order)


def unlisted(problem: Problem) -> Catalogue:
    """Return a catalogue that learns from cheap values and from earlier searches."""
    return Catalogue(problem, learns_from_cheap=True)


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

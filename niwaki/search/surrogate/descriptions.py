"""What is known of candidates before anything is measured, whatever they are wanted for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.search.base import Problem
from niwaki.search.surrogate.pool import Pool
from niwaki.spaces.features import Features
from niwaki.spaces.walks import every_candidate

Array = NDArray[np.float64]

MOST_NUMBERS = 2**25  # that features take, 256 MB: in a space of no list, what is oldest goes
FEWEST_KEPT = 2_000  # candidates, however many features they have


@dataclass
class Descriptions:
    """Identities, features and cheap values, each computed once or seldom.

    Attributes:
        problem: Of the candidates. What is wanted of them does not matter, so that problems which
            differ in that alone may share descriptions.
        learns_from_cheap: Whether cheap values are features.
        is_listed: Whether `everything` was called: then things are kept by identity.
    """

    problem: Problem
    learns_from_cheap: bool = False
    is_listed: bool = field(default=False, init=False)
    _features: dict[str, Array] = field(default_factory=dict, init=False)
    _cheap: dict[str, Mapping[str, float]] = field(default_factory=dict, init=False)

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
        if not self.is_listed:
            for entry in forget_oldest(self._features, entries):
                self._cheap.pop(entry, None)
        return pool

    def features(self, candidates: Sequence[Candidate]) -> Array:
        """Return (n, d) features of n candidates, of one identity or not."""
        entries = [self._met(self.problem.identity(each), each) for each in candidates]
        self._describe(dict(zip(entries, candidates, strict=True)))
        return np.array([self._features[entry] for entry in entries])

    def _met(self, identity: str, candidate: Candidate) -> str:
        """Return the entry of a candidate, whose cheap values are known from here on."""
        # At once: spaces remember the last few networks that they were asked about.
        entry = self.entry(identity, candidate)
        if entry not in self._cheap:
            self._cheap[entry] = self.problem.cheap(candidate)
        return entry

    def entry(self, identity: str, candidate: Candidate) -> str:
        """Return the name under which a candidate is kept: never what depends on who came first."""
        return identity if self.is_listed else candidate.key

    def _describe(self, entries: Mapping[str, Candidate]) -> None:
        """Encode candidates that were met."""
        new = [entry for entry in entries if entry not in self._features]
        if new:
            rows = self.known.of_decisions([entries[entry] for entry in new])
            # Without a list of all, a candidate is the only one of its kin that is known.
            self._take_down(new, np.tile(rows, 2) if self.problem.alike else rows)

    def everything(self) -> Pool:
        """Return all candidates of the space, which has to be small.

        Different spellings of one network have different features; their mean is the network's.
        """
        spellings: dict[str, list[Candidate]] = {}
        for candidate in every_candidate(self.problem.space):
            spellings.setdefault(self.problem.identity(candidate), []).append(candidate)
        rows = self.known.of_decisions([c for alike in spellings.values() for c in alike])
        ends = np.cumsum([len(alike) for alike in spellings.values()])
        means = np.add.reduceat(rows, np.concatenate([[0], ends[:-1]]), axis=0)
        means /= np.diff(ends, prepend=0)[:, None]
        for name, alike in spellings.items():
            self._cheap.setdefault(name, self.problem.cheap(alike[0]))
        self._take_down(list(spellings), self._with_kin(list(spellings.values()), means))
        self.is_listed = True
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
            counts = self.known.counts.encode([self._cheap[name] for name in names])
            encoded = np.concatenate([encoded, counts], axis=1)
        self._features.update(zip(names, encoded, strict=True))

    def _assembled(self, first: Mapping[str, Candidate], entries: Sequence[str]) -> Pool:
        names = dict.fromkeys(name for entry in entries for name in self._cheap[entry])
        cheap = {
            name: np.array([self._cheap[entry].get(name, np.nan) for entry in entries])
            for name in names
        }
        n_columns = len(next(iter(self._features.values()), ()))
        features = np.array([self._features[entry] for entry in entries])
        features = features.reshape(len(entries), n_columns)
        return Pool(list(first.values()), list(first), features, cheap)

    @cached_property
    def known(self) -> Features:
        """How candidates are encoded."""
        return Features(self.problem.space, self.problem.cheap)

    @property
    def n_counts(self) -> int:
        """How many of the features are cheap values."""
        return len(self.known.counts.units) if self.learns_from_cheap else 0


def forget_oldest(kept: dict[str, Array], latest: Iterable[str]) -> list[str]:
    """Forget what was not asked about for longest, so that a long search fills no memory.

    Args:
        kept: Rows of one length, by entry; the latest are moved to its end.
        latest: Entries that were asked about just now.

    Returns:
        The entries that are forgotten.
    """
    for entry in latest:
        kept[entry] = kept.pop(entry)
    n_columns = max(1, len(next(iter(kept.values()), ())))
    n_too_many = len(kept) - max(FEWEST_KEPT, MOST_NUMBERS // n_columns)
    forgotten = list(islice(kept, max(0, n_too_many)))
    for entry in forgotten:
        del kept[entry]
    return forgotten

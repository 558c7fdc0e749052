"""Candidates of which the model chooses where guesses have sorted out most of them already.

A model of a dozen trials cannot tell which of a grammar's trees learn anything; zero-cost proxies
can. So many trees are drawn, the few that promise most are kept, and among these the model chooses.
Mutants of what was good are mostly good: of these only those that promise least are left out.

Where a known network is hard to match, most samples are not worth their training; where it is poor,
they are what finds a better one. So samples and mutants have turns as often as theirs turned out
well so far.

References:
    Thierens, GECCO 2005, "An adaptive pursuit strategy for allocating operator probabilities", for
    probability matching with a least share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.search.promising import most_promising
from niwaki.search.surrogate.catalogue import Catalogue
from niwaki.search.surrogate.pool import Pool, Rows

FIRST_DRAWN = 64  # samples of the space that are looked at for the first candidate
DRAWN_PER_ASK = 8  # and how many more for each further one
MOST_DRAWN = 512  # the latest
FIRST_MUTANTS = 16  # of each parent
MOST_MUTANTS = 48
ASKS_PER_MUTANT = 4
MOST_KEPT = 3  # samples
LEAST_SHARE_KEPT = 0.5  # of samples, where there are several objectives
KIN_SHARE_KEPT = 0.875  # the last are those that learn nothing; of the others guesses know little
GOOD_SHARE = 0.25  # of all trials, the best ones, if no known network is better: what turns are for
PRIOR_TRIALS = 2.0  # of either kind, of which `GOOD_SHARE` are taken to be good
LEAST_SHARE_OF_TURNS = 0.125


@dataclass(frozen=True)
class Told:
    """What was measured so far.

    Attributes:
        candidates: n of them, known networks left out.
        ranks: (n,) of each, less is better.
        known_rank: Of the best known network; n or more if none was measured.
    """

    candidates: Sequence[Candidate]
    ranks: Rows
    known_rank: int


class Guessed:
    """Draws of the space and mutants of parents, the same ones for as long as they are looked at.

    So a guess is paid for once, and what was promising stays in sight until it is measured.

    Args:
        catalogue: Of a problem with guesses.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._seed = catalogue.problem.seed
        self._drawn: dict[int, Candidate] = {}
        self._mutants: dict[str, list[Candidate]] = {}

    def anywhere(self, n_asked: int, out: "set[str]") -> Pool:
        """Return samples of the whole space.

        Args:
            n_asked: Candidates asked for so far.
            out: Identities that are not wanted.
        """
        pool = self._open(self._samples(n_asked), out)
        # Guesses speak of what is learned; who is fast may promise less.
        several = len(self._catalogue.problem.objectives) > 1
        most = max(MOST_KEPT, int(LEAST_SHARE_KEPT * len(pool))) if several else MOST_KEPT
        return self._kept(pool, most)

    def _samples(self, n_asked: int) -> list[Candidate]:
        space = self._catalogue.problem.space
        end, known = FIRST_DRAWN + DRAWN_PER_ASK * n_asked, self._drawn
        self._drawn = {
            number: known.get(number) or space.sample(stream(self._seed, "anywhere", number))
            for number in range(max(0, end - MOST_DRAWN), end)
        }
        return list(self._drawn.values())

    def share_of_samples(self, told: Told, n_asked: int) -> float:
        """Return how often a sample should have its turn.

        Args:
            told: What was measured.
            n_asked: Candidates asked for so far.
        """
        identity, ranks = self._catalogue.problem.identity, told.ranks
        samples = {identity(candidate) for candidate in self._samples(n_asked)}
        is_sample = np.array([identity(each) in samples for each in told.candidates], dtype=bool)
        limit = np.sort(ranks)[ceil(GOOD_SHARE * len(ranks)) - 1] if len(ranks) else 0
        good = ranks <= min(limit, told.known_rank)
        # Before anything is known, both are as good.
        chances = [
            (PRIOR_TRIALS * GOOD_SHARE + good[each].sum()) / (PRIOR_TRIALS + each.sum())
            for each in (is_sample, ~is_sample)
        ]
        return max(float(chances[0] / sum(chances)), LEAST_SHARE_OF_TURNS)

    def kin(self, parents: Sequence[Candidate], n_asked: int, out: "set[str]") -> Pool:
        """Return mutants of each of some parents.

        Args:
            parents: At least one.
            n_asked: Candidates asked for so far.
            out: Identities that are not wanted.
        """
        problem = self._catalogue.problem
        known, self._mutants = self._mutants, {}
        for parent in parents:
            name = problem.identity(parent)
            mutants = self._mutants[name] = known.get(name, [])
            wanted = min(MOST_MUTANTS, FIRST_MUTANTS + n_asked // ASKS_PER_MUTANT)
            for number in range(len(mutants), wanted):
                rng = stream(self._seed, "kin", name, number)
                mutants.append(problem.space.mutate(parent, rng))
        pool = self._open([each for some in self._mutants.values() for each in some], out)
        return self._kept(pool, ceil(KIN_SHARE_KEPT * len(pool)))

    def _open(self, candidates: Sequence[Candidate], out: "set[str]") -> Pool:
        """Return those that are wanted, and that break bounds least."""
        return self._catalogue.least_violating(self._catalogue.pool(candidates).without(out))

    def _kept(self, pool: Pool, most: int) -> Pool:
        return pool.at(most_promising(self._catalogue.problem, pool.candidates, most))

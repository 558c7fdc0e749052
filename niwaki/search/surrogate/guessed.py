"""Candidates of which the model chooses where guesses have sorted out most of them already.

A model of a dozen trials cannot tell which of a grammar's trees learn anything; zero-cost proxies
can. So many are drawn, the few that promise most are kept, and among these the model chooses.
"""

from collections.abc import Sequence

from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.search.promising import most_promising
from niwaki.search.surrogate.pool import Catalogue, Pool

FIRST_DRAWN = 64  # samples of the space that are looked at for the first candidate
DRAWN_PER_ASK = 8  # and how many more for each further one
FIRST_MUTANTS = 16  # of each parent
ASKS_PER_MUTANT = 4
MOST_KEPT = 8
KEPT_SHARE = 0.5  # at least, of those drawn, where there are several objectives


class Guessed:
    """Draws of the space and mutants of parents, the same ones for as long as they are looked at.

    So a guess is paid for once, and what was promising stays in sight until it is measured.

    Args:
        catalogue: Of a problem with guesses.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._seed = catalogue.problem.seed
        self._drawn: list[Candidate] = []
        self._mutants: dict[str, list[Candidate]] = {}

    def anywhere(self, n_asked: int, out: "set[str]") -> Pool:
        """Return samples of the whole space.

        Args:
            n_asked: Candidates asked for so far.
            out: Identities that are not wanted.
        """
        space = self._catalogue.problem.space
        for number in range(len(self._drawn), FIRST_DRAWN + DRAWN_PER_ASK * n_asked):
            self._drawn.append(space.sample(stream(self._seed, "anywhere", number)))
        return self._kept(self._drawn, out)

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
            for number in range(len(mutants), FIRST_MUTANTS + n_asked // ASKS_PER_MUTANT):
                rng = stream(self._seed, "kin", name, number)
                mutants.append(problem.space.mutate(parent, rng))
        return self._kept([each for some in self._mutants.values() for each in some], out)

    def _kept(self, candidates: Sequence[Candidate], out: "set[str]") -> Pool:
        """Return those that promise most, of those that break bounds least."""
        pool = self._catalogue.pool(candidates).without(out)
        pool = self._catalogue.least_violating(pool)
        problem, most = self._catalogue.problem, MOST_KEPT
        if len(problem.objectives) > 1:
            # Guesses speak of what is learned; who is fast may promise less.
            most = max(most, int(KEPT_SHARE * len(pool)))
        return pool.at(most_promising(problem, pool.candidates, most))

"""What earlier searches say of a candidate, as features.

Latencies of two devices, and scores on two data sets, rank networks alike, but nobody knows how
alike before something was measured. So what a search of old would believe now is one more feature:
where it is right, the model leans on it after a few measurements, and where it is not, it does not.

References:
    Feurer, Letham, Hutter and Bakshy, 2018, "Practical transfer learning for Bayesian
    optimization", for models of earlier searches that help where they rank what was measured
    alike. Here one Gaussian process weighs them, as Kennedy and O'Hagan (Biometrika 2000) do with
    cheaper codes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.predictors.gaussian.layout import Layout
from niwaki.search.base import Problem
from niwaki.search.earlier import problem_of
from niwaki.search.surrogate.beliefs import Learned
from niwaki.search.surrogate.history import History
from niwaki.search.surrogate.learning import lessons

Array = NDArray[np.float64]
Describe: TypeAlias = Callable[[Sequence[Candidate]], Array]

MOST_TRIALS = 300  # of each search


@dataclass(frozen=True)
class Hints:
    """Beliefs of earlier searches.

    Attributes:
        beliefs: Of k values.
    """

    beliefs: Sequence[Learned] = ()

    @classmethod
    def of(
        cls,
        problem: Problem,
        described: Describe,
        cheap: frozenset[str],
        layout: Callable[[int], Layout],
    ) -> "Hints":
        """Learn what earlier searches of a problem measured.

        Args:
            problem: What is searched now.
            described: Gives the (n, d) features of candidates, hints apart.
            cheap: Names of values that cost nothing to know: of these there are no hints.
            layout: Of so many features.
        """
        beliefs: list[Learned] = []
        for earlier in problem.earlier:
            history = History(problem_of(earlier, problem))
            history.add(earlier.trials, np.empty((len(earlier.trials), 0)))
            history = history.condensed(MOST_TRIALS)  # before features, which may be thousands each
            features = described([trial.candidate for trial in history.trials])
            history = replace(history, features=list(features))
            learned = lessons(history, cheap, layout(len(history.features[0])))
            if learned is not None:
                beliefs += learned.values.values()
        return cls(beliefs)

    def __len__(self) -> int:
        return len(self.beliefs)

    def encode(self, features: Array) -> Array:
        """Return (n, k) expected values, each on the scale on which it was easiest to learn."""
        columns = [_expected(learned, features) for learned in self.beliefs]
        return np.array(columns).reshape(len(columns), len(features)).T


def _expected(learned: Learned, features: Array) -> Array:
    likeliest = learned.parts[int(np.argmax(learned.weights))]
    return likeliest.belief(features).mean

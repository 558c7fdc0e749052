"""How lucky a true front is: by how much its rows are better than all others foretell.

What no model of other rows foretells is found by measuring, row after row: it bounds what any
searcher that learns can save.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from benchmarks.efficiency.own import layout, listed
from benchmarks.efficiency.scenario import Scenario
from niwaki.core.pareto import non_dominated
from niwaki.core.randomness import stream
from niwaki.search.surrogate.beliefs import learn

N_OTHERS = 500  # rows off the front that the model learns from


@dataclass(frozen=True)
class Luck:
    """The front of a table, seen by one who knows many other rows.

    Attributes:
        deviations: For half of the front's rows, some value is at least so many standard deviations
            better than the other rows foretell; NaN if every objective is cheap.
        by_chance: The largest of as many normal draws as there are rows.
        n_others: Rows off the front that the model learned from.
    """

    deviations: float
    by_chance: float
    n_others: int

    @classmethod
    def of(cls, scenario: Scenario) -> "Luck":
        """Look at a scenario: at what a search is told."""
        pool, _, costs = listed(scenario)
        front = non_dominated(costs)
        others = np.flatnonzero(np.isfinite(costs).all(axis=1) & ~front)
        seen = stream(0, "luck").permutation(others)[:N_OTHERS]
        known = np.sort(np.concatenate([np.flatnonzero(front), seen]))
        features = pool.features[known]
        parts = layout(scenario, features.shape[1])
        deviations = [np.full(int(front.sum()), np.nan)]
        for axis, name in enumerate(scenario.wanted):
            if name not in pool.cheap:
                learned = learn(features, costs[known, axis], parts)
                likeliest = learned.parts[int(np.argmax(learned.weights))]
                mean, spread = likeliest.column.left_out()
                better = (mean - likeliest.warp.warped(costs[known, axis])) / spread
                deviations.append(better[front[known]])
        by_chance = NormalDist().inv_cdf(1.0 - 1.0 / (len(others) + int(front.sum())))
        return cls(float(np.median(np.fmax.reduce(deviations))), by_chance, len(seen))

    def line(self) -> str:
        """Return it as a sentence."""
        return (
            f"Half of the front's rows are {self.deviations:.1f} deviations or more better, in "
            f"some value, than all others with {self.n_others} rows off the front foretell; chance "
            f"alone makes {self.by_chance:.1f} of the best row."
        )

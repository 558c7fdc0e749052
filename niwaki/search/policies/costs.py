"""What networks of a policy cost on average, and the price that keeps it to a budget."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.jsonable import JSON
from niwaki.search.policies.decisions import Decisions
from niwaki.search.policies.fading import Fading

_N_DRAWS = 8  # for each task and step: costs are arithmetic, and cost next to nothing themselves
_PRICE_STEP = 0.2
_MOST_KNOWN = 1 << 14


class ExpectedCosts:
    """The expected costs of policies, with a price for each task that rises beyond the budget.

    Args:
        tasks: Names of T tasks.
        budget: Most that a network may cost on average, as a share of the largest one.
        relative_costs: Of a candidate, by task.

    References:
        Boyd and Vandenberghe, "Convex optimization", section 5.5: a price that rises as long as a
        constraint is broken, dual ascent. The gradient is REINFORCE on draws of each policy, with
        the mean of the other draws as a baseline (Kool, van Hoof and Welling, ICLR 2019 workshop).
    """

    def __init__(
        self,
        tasks: Sequence[str],
        budget: float,
        relative_costs: Callable[[Candidate], Mapping[str, float]],
    ) -> None:
        self._tasks, self._budget, self._relative_costs = tasks, budget, relative_costs
        self._prices, self._means = np.zeros(len(tasks)), Fading(len(tasks))
        self._known: dict[object, NDArray[np.float64]] = {}

    @property
    def expected(self) -> NDArray[np.float64]:
        """What networks of each policy cost of late, (T,); NaN before anything was drawn."""
        return self._means.means

    def of(self, candidate: Candidate) -> NDArray[np.float64]:
        """Return the costs of a candidate, (T,)."""
        name = candidate.items  # known sooner than its key
        if name not in self._known:
            if len(self._known) == _MOST_KNOWN:
                self._known.clear()
            costs = self._relative_costs(candidate)
            self._known[name] = np.array([costs[task] for task in self._tasks])
        return self._known[name]

    def gradient(
        self, decisions: Decisions, probabilities: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return how what is to be paid changes with logits, (T, d), and raise or lower prices.

        Args:
            decisions: What candidates are drawn from.
            probabilities: Of the options, (T, d).
            rng: Draws them.
        """
        gradient, means = np.zeros(probabilities.shape), np.zeros(len(self._tasks))
        for task, own in enumerate(probabilities):
            drawn = decisions.draw(own, _N_DRAWS, rng)
            costs = np.array([self.of(candidate)[task] for candidate in drawn])  # (n,)
            means[task] = costs.mean()
            taken = decisions.encode(drawn)
            scores = taken - decisions.active(taken) * own  # (n, d)
            slope = (costs - means[task]) @ scores / (_N_DRAWS - 1)
            gradient[task] = self._prices[task] * slope / self._budget
        self._means.add(means)
        over = means / self._budget - 1.0
        self._prices = np.maximum(0.0, self._prices + _PRICE_STEP * over)
        return gradient

    def state(self) -> dict[str, JSON]:
        """Return what the next prices depend on."""
        return {"prices": self._prices.tolist(), "means": self._means.state()}

    def restore(self, state: Mapping[str, JSON]) -> None:
        """Continue from what `state` returned."""
        self._prices = np.array(state["prices"])
        self._means.restore(state["means"])  # type: ignore[arg-type]

"""A distribution over the networks of one space for each of several tasks, learned in one run."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.core.jsonable import JSON
from niwaki.search.policies.adam import Adam
from niwaki.search.policies.costs import ExpectedCosts
from niwaki.search.policies.decisions import Decisions
from niwaki.search.policies.doubts import doubts
from niwaki.search.policies.fading import Fading
from niwaki.search.policies.lessons import Lessons
from niwaki.search.policies.settings import PolicySettings
from niwaki.spaces.choices import ChoiceSpace

Pair = tuple[Candidate, Candidate]
_N_DRAWS = 64  # for each candidate that is wanted, at each heat
_HEATS = (1.0, 2.0, 4.0, 8.0)
_CERTAIN = 100.0  # a logit beside which others do not count


class TaskPolicies:
    """Policies of all tasks, which learn from the same pairs of networks.

    A pair is drawn from the policy of a task that is drawn first, and both its networks are run on
    one batch; all tasks learn from what they lose there. A task takes the pair as often as its own
    policy would have drawn it, over how often it is drawn at all, so whatever the number of tasks,
    no network is run for one of them alone.

    Args:
        space: d options, all decisions taken together.
        tasks: Names of T tasks.
        settings: How they learn.
        relative_costs: Of a candidate, by task: what it costs who wants that task alone, as a share
            of what the largest one does.
        matters: Whether a task's network may depend on the decision at a path. A task that does not
            care leaves it to the first one that does.
        own: What of a candidate the network of a task does depend on: its decisions, but for those
            that reach the task in other candidates only.

    References:
        arXiv 2111.10007 (FBNetV5): one sample per step for all tasks, by importance sampling, with
        REINFORCE (Williams, Machine Learning 1992). Ours has weights that are bounded by the number
        of tasks, those of the balance heuristic (Veach and Guibas, SIGGRAPH 1995, section 3.3), and
        pairs on one batch, of which the difference is learned from, in the place of a baseline.
    """

    def __init__(
        self,
        space: ChoiceSpace,
        tasks: Sequence[str],
        settings: PolicySettings,
        *,
        relative_costs: Callable[[Candidate], Mapping[str, float]],
        matters: Callable[[str, str], bool] = lambda task, path: True,  # noqa: ARG005
        own: Callable[[str, Candidate], Candidate] = lambda task, candidate: candidate,  # noqa: ARG005
    ) -> None:
        self.tasks, self._settings, self._own = tuple(tasks), settings, own
        self._decisions = Decisions(space)
        cared = np.array([[matters(task, c.path) for c in space.choices] for task in self.tasks])
        deciding = np.where(cared, np.arange(len(cared))[:, None], cared.argmax(axis=0))
        self._matters = cared[:, self._decisions.of_column].astype(np.float64)  # (T, d)
        self._deciding = deciding[:, self._decisions.of_column]  # (T, d) whose odds a task draws by
        self._cared = cared & np.array([len(choice.options) > 1 for choice in space.choices])
        self._logits = np.zeros(self._matters.shape)
        self._adam = Adam(self._logits.shape, settings.learning_rate)
        n_tasks = len(self.tasks)
        self._gaps, self._weighed = Fading(n_tasks), (Fading(n_tasks), Fading(n_tasks))
        self._lessons = Lessons()
        self._costs = ExpectedCosts(self.tasks, settings.budget, relative_costs)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """How likely each option is where its decision is active, (T, d), in columns of `encode`.

        Of a decision that does not matter to a task, those of the task that decides in its place.
        """
        return np.exp(self._log_probabilities)

    @property
    def _log_probabilities(self) -> NDArray[np.float64]:
        own = self._decisions.log_probabilities(self._logits)
        return np.take_along_axis(own, self._deciding, axis=0)

    def pair(self, rng: np.random.Generator) -> Pair:
        """Draw two candidates from the policy of a task that is drawn first."""
        probabilities = self.probabilities[int(rng.integers(len(self.tasks)))]
        first, second = self._decisions.draw(probabilities, 2, rng)
        return first, second

    def draw(self, task: str, rng: np.random.Generator) -> Candidate:
        """Draw a candidate from a task's policy."""
        return self._decisions.draw(self.probabilities[self._index(task)], 1, rng)[0]

    def likeliest(self, task: str) -> Candidate:
        """Return the candidate of each decision's likeliest option."""
        return self._decisions.likeliest(self.probabilities[self._index(task)])

    def candidates(
        self, task: str, n: int, rng: np.random.Generator, *, within: float = 0.5
    ) -> list[Candidate]:
        """Return up to `n` networks that keep to a task's budget, the best by what pairs told.

        They are drawn by the policy, and at less sure odds: less and less, if it is sure of
        networks beyond the budget. They differ in what matters to the task.

        Args:
            task: Whose.
            n: How many at most; fewer if there hardly are any.
            rng: Draws them.
            within: Share of the budget that they make use of, at least.
        """
        index, budget = self._index(task), self._settings.budget
        likeliest, cares = self.likeliest(task), self._matters[index] > 0.0
        kept = self._decisions.encode([likeliest])[0]
        logs = np.where(cares, self._log_probabilities[index], _CERTAIN * kept)
        found: set[Candidate] = {likeliest}
        for heat in _HEATS:
            odds = np.exp(self._decisions.log_probabilities(np.where(cares, logs / heat, logs)))
            found |= {*self._decisions.draw(odds, _N_DRAWS * n, rng)}
            spent = {each: self.relative_cost(task, each) / budget for each in found}
            found = {each for each in found if within <= spent[each] <= 1.0}
            if heat > 1.0 and len({self._own(task, each).key for each in found}) >= n:
                break
        ordered = sorted(found, key=lambda candidate: candidate.key)
        if not ordered:
            return []
        losses = self._lessons.losses(self._decisions.encode(ordered), index)
        best: dict[str, Candidate] = {}  # by what the task's network depends on
        for row in np.argsort(losses, kind="stable"):
            best.setdefault(self._own(task, ordered[row]).key, ordered[row])
        return [*best.values()][:n]

    def relative_cost(self, task: str, candidate: Candidate) -> float:
        """Return what a candidate costs a task, as a share of its largest network."""
        return float(self._costs.of(candidate)[self._index(task)])

    def weights(self, pair: Sequence[Candidate]) -> NDArray[np.float64]:
        """Return how much candidates that were drawn together count for each task, (T,).

        Over all draws their mean is 1, and none is more than T. Decisions that a task's networks do
        not depend on do not count.
        """
        taken = self._taken(pair).sum(axis=1)  # (T, d)
        # (T, T): what a task, the column, cares about, under the policy of each task, the row.
        logs = self._log_probabilities @ taken.T
        shares = np.exp(logs - logs.max(axis=0))
        weights: NDArray[np.float64] = shares.diagonal() / shares.mean(axis=0)
        return weights

    def gradient(self, pair: Pair, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return an estimate of how the tasks' expected losses change with their logits, (T, d).

        Its mean over pairs is that gradient.

        Args:
            pair: As it was drawn.
            losses: (2, T), of both networks on the same batch.
        """
        taken = self._taken(pair)  # (T, 2, d)
        active = self._decisions.active(taken)
        expected = self.probabilities * (active[:, 0] - active[:, 1])
        scores = taken[:, 0] - taken[:, 1] - expected  # (T, d)
        steepness = 0.5 * self.weights(pair) * (losses[0] - losses[1])
        gradient: NDArray[np.float64] = steepness[:, None] * scores
        return gradient

    def _taken(self, pair: Sequence[Candidate]) -> NDArray[np.float64]:
        """Return what was decided, as far as a task's networks depend on it, (T, 2, d)."""
        own = [[self._own(task, candidate) for candidate in pair] for task in self.tasks]
        return np.stack([self._decisions.encode(each) for each in own]) * self._matters[:, None]

    def learn(
        self, pairs: Sequence[Pair], losses: NDArray[np.float64], *, rng: np.random.Generator
    ) -> None:
        """Take in what the tasks lost by pairs that were drawn by the policies as they are.

        Args:
            pairs: n of them, that `pair` returned since policies learned last.
            losses: (n, 2, T), of both networks on the same batch, in the order of `tasks`.
            rng: Draws networks of which the costs alone are looked at.
        """
        for pair, lost in zip(pairs, losses, strict=True):
            self._lessons.add(self._decisions.encode(pair), lost)
            weights = self.weights(pair)
            self._gaps.add((lost[0] - lost[1]) ** 2, weights)
            for fading, values in zip(self._weighed, (weights, weights**2), strict=True):
                fading.add(values)
        # In units of a usual difference, so that a price of 1 is much for every task.
        unit = np.sqrt(self._gaps.means)
        unit = np.where(unit > 0.0, unit, 1.0)
        slopes = [self.gradient(pair, lost) for pair, lost in zip(pairs, losses, strict=True)]
        gradient = np.mean(slopes, axis=0) / unit[:, None]
        gradient += self._costs.gradient(self._decisions, self.probabilities, rng) * self._matters
        self._logits += self._adam.step(gradient)

    @property
    def effective_share(self) -> NDArray[np.float64]:
        """Share of the last draws that each task learned from, (T,); at least 1/T on average.

        References:
            Kish, "Survey sampling", 1965: the square of the sum of weights over that of squares.
        """
        mean, square = (fading.means for fading in self._weighed)
        return mean**2 / np.where(square > 0.0, square, 1.0)

    def warning(self) -> str:
        """Return what should be known before the policies are relied on; empty if nothing."""
        sureness = self._decisions.sureness(self.probabilities)
        return doubts(
            self.tasks,
            effective_share=self.effective_share,
            sureness=(sureness * self._cared).sum(axis=1) / np.maximum(1, self._cared.sum(axis=1)),
            spent=self._costs.expected / self._settings.budget,
        )

    def state(self) -> dict[str, JSON]:
        """Return everything that the rest of learning depends on."""
        return {
            "tasks": list(self.tasks),
            "logits": self._logits.tolist(),
            "adam": self._adam.state(),
            "gaps": self._gaps.state(),
            "weighed": [fading.state() for fading in self._weighed],
            "costs": self._costs.state(),
            "lessons": self._lessons.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned.

        Raises:
            ConfigError: If it is of other tasks, or of another space.
        """
        logits = np.array(state["logits"], dtype=np.float64)
        if tuple(state["tasks"]) != self.tasks or logits.shape != self._logits.shape:
            n_told, n_own = logits[:1].size, self._logits[:1].size
            raise ConfigError(
                f"policies of {', '.join(state['tasks'])} over {n_told} options do not fit "
                f"{', '.join(self.tasks)} and {n_own} options: begin a new run (--name)"
            )
        self._logits = logits
        self._adam.restore(state["adam"])
        self._gaps.restore(state["gaps"])
        for fading, told in zip(self._weighed, state["weighed"], strict=True):
            fading.restore(told)
        self._costs.restore(state["costs"])
        self._lessons.restore(state["lessons"])

    def _index(self, task: str) -> int:
        return self.tasks.index(task)

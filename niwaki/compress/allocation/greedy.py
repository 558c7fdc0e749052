"""Allocation over all groups at once, to a budget, with a bound on the skill of every task."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from niwaki.compress.allocation.base import (
    Allocation,
    Counts,
    Floats,
    Ladder,
    Oracle,
    Price,
    Verdict,
    with_count,
)
from niwaki.core.limits import require_at_least, require_share

_N_HALVINGS = 4
_LEAST_DAMAGE = 1e-4
_LEAST_RELATIVE_DAMAGE = 0.1  # of the median group
_PROBE = 0.75  # of a group's units: enough to tell damage from noise
_LEAST_PER_ROUND = 0.5  # of a group's units: further is not known from a probe


@dataclass(frozen=True)
class GreedySettings:
    """Settings of `GreedyAllocator`.

    Attributes:
        least_skill: Skill that every task keeps by the oracle's judgement, from 0 (chance) to 1 (as
            good as the network that was given). The oracle judges before fine-tuning, which brings
            much of it back; so there is no floor, None, unless one is asked for.
        n_rounds: Steps to the budget; sensitivities are measured anew in each.
        worst_task: How much the worst-hit task counts beside the mean over tasks.
        curvature: Exponent of the damage as a function of the logarithm of what is kept: small
            cuts cost less than in proportion, and the last units more than all others.

    Raises:
        ConfigError: On a number out of its range.
    """

    least_skill: float | None = None
    n_rounds: int = 4
    worst_task: float = 1.0
    curvature: float = 1.5

    def __post_init__(self) -> None:
        if self.least_skill is not None:
            require_share(self, "least_skill")
        require_at_least(self, {"n_rounds": 1, "worst_task": 0, "curvature": 1})


@dataclass(frozen=True)
class _Goal:
    """What a round goes to, and what all of them do, in the price's unit."""

    target: float
    budget: float


class GreedyAllocator:
    """Walks to the budget in rounds; in each, the cheapest damage per saving goes first.

    A round measures what every group's removal alone does to every task, from where the network
    stands. From that, steps are taken one by one, always that of the least damage per cost saved,
    until the round's share of the way is gone; no group loses more than half in a round, if that
    is enough. Then the whole is judged: if a task has fallen below its floor, the round is halved.
    What is saved beyond the budget counts for nothing, and where steps are wide, what still fits
    the budget in the end is given back: always the step whose return mends most, by the oracle.

    Damage is what a task loses of the skill that it has left above its floor, so a task that has
    little left is spared, and how far its answers drift, in equal parts: skills on few items are
    coarse. No group is taken to be worth less than a tenth of the median one: the damage before
    fine-tuning does not tell all that a layer's width is good for.

    Args:
        oracle: Judges states by their skills.
        price: What is saved.
        ladder: Counts that groups may have.
        settings: Floors and steps.

    References:
        The order by gain per cost is that of Dantzig, Operations Research 1957, for knapsacks.
        Judging by performance, one bound per task, is PAGCP's (arXiv 2303.11923); skills, budgets
        and all groups at once are ours.
    """

    def __init__(
        self,
        oracle: Oracle,
        price: Price,
        ladder: Ladder,
        settings: GreedySettings | None = None,
    ) -> None:
        self._oracle, self._price, self._ladder = oracle, price, ladder
        self._settings = settings or GreedySettings()

    def allocate(
        self, budget: float, *, progress: Callable[[Counts], None] | None = None
    ) -> Allocation:
        """Return counts whose cost is at most `budget`, or as close as floors and ladder allow.

        Args:
            budget: In the price's unit.
            progress: Told the state after each round: the place to rank channels anew, or to train.
        """
        state = self._ladder.whole
        whole = verdict = self._oracle.judge([state])
        start, n_judged = float(self._price.of(state)), 1
        for number in range(1, self._settings.n_rounds + 1):
            if float(self._price.of(state)) <= budget:
                break
            share = number / self._settings.n_rounds
            target = budget if share == 1.0 else start * (budget / start) ** share
            damages, n_probes = self._damages(state, verdict)
            goal = _Goal(target, budget)
            state, verdict, n_checks = self._round(state, verdict, damages, goal)
            n_judged += n_probes + n_checks
            if progress is not None:
                progress(state)
        state, verdict, n_returns = self._given_back(state, verdict, whole, budget)
        n_judged += n_returns
        cost, skills = float(self._price.of(state)), verdict.skills[0]
        return Allocation(state, skills, cost, cost <= budget, n_judged, self._note(state, budget))

    def _damages(self, state: Counts, verdict: Verdict) -> tuple[Floats, int]:
        """Return (n_groups,) damage per unit of what `_removed` says, extrapolated from a part."""
        probed = [g for g in range(len(state)) if self._ladder.below(g, state[g])]
        counts = [self._probe(g, int(state[g])) for g in probed]
        states = [with_count(state, g, count) for g, count in zip(probed, counts, strict=True)]
        damages = np.full(len(state), np.inf)
        if not states:
            return damages, 0
        removed = np.array(
            [self._removed(state[g], count) for g, count in zip(probed, counts, strict=True)]
        )
        found = self._damage(verdict, self._oracle.judge(states)) / removed
        damages[probed] = np.maximum(found, _LEAST_RELATIVE_DAMAGE * np.median(found))
        return damages, len(states)

    def _probe(self, group: int, count: int) -> int:
        """Return a count about a quarter lower."""
        return min(self._ladder.at_most(group, _PROBE * count), self._ladder.below(group, count)[0])

    def _removed(self, start: int, count: int) -> float:
        """Return how much is removed of a group: what damage is taken to be proportional to."""
        return float(np.log(start / count) ** self._settings.curvature)

    def _damage(self, before: Verdict, after: Verdict) -> Floats:
        """Return (n,) damage of going from one verdict to n."""
        skills = before.skills[0]
        left = np.maximum(skills - (self._settings.least_skill or 0.0), 0.05)
        lost = np.maximum(skills - np.nan_to_num(after.skills, nan=-1.0), 0.0) / left  # (n, t)
        drifted = np.maximum(np.nan_to_num(after.drifts, nan=2.0) - before.drifts[0], 0.0)
        harm = 0.5 * (lost + drifted)
        total: Floats = harm.mean(axis=1) + self._settings.worst_task * harm.max(axis=1)
        return np.maximum(total, _LEAST_DAMAGE)

    def _round(
        self, state: Counts, verdict: Verdict, damages: Floats, goal: "_Goal"
    ) -> tuple[Counts, Verdict, int]:
        """Go to the target, or half the way, or a quarter, ... as far as every floor holds."""
        cost = float(self._price.of(state))
        for halving in range(_N_HALVINGS):
            aim = replace(goal, target=cost - (cost - goal.target) / 2.0**halving)
            reached = self._descend(state, state, damages, aim, least=_LEAST_PER_ROUND)
            reached = self._descend(state, reached, damages, aim, least=0.0)
            after = self._oracle.judge([reached])
            if self._holds(after)[0]:
                return reached, after, halving + 1
        return state, verdict, _N_HALVINGS

    def _given_back(
        self, state: Counts, verdict: Verdict, whole: Verdict, budget: float
    ) -> tuple[Counts, Verdict, int]:
        """Return ladder steps to the groups while the cost is at most the budget, and it helps."""
        n_judged = 0
        while returned := self._returns(state, budget):
            after = self._oracle.judge(returned)
            n_judged += len(returned)
            damages = np.where(self._holds(after), self._damage(whole, after), np.inf)
            best = int(np.argmin(damages))
            if damages[best] >= self._damage(whole, verdict)[0]:
                break
            state, verdict = returned[best], _row(after, best)
        return state, verdict, n_judged

    def _returns(self, state: Counts, budget: float) -> list[Counts]:
        """Return the states of one ladder step more, of one group, within the budget."""
        above = [(g, self._ladder.above(g, int(state[g]))[:1]) for g in range(len(state))]
        states = [with_count(state, g, counts[0]) for g, counts in above if counts]
        return [each for each in states if float(self._price.of(each)) <= budget]

    def _holds(self, verdict: Verdict) -> NDArray[np.bool_]:
        """Return (n,) whether every task is above its floor."""
        floor = self._settings.least_skill
        if floor is None:
            return np.ones(len(verdict.skills), np.bool_)
        held: NDArray[np.bool_] = np.all(verdict.skills >= floor, axis=1)
        return held

    def _descend(
        self, start: Counts, state: Counts, damages: Floats, goal: "_Goal", *, least: float
    ) -> Counts:
        """Take ladder steps of the least damage per saving until the target is met.

        Args:
            start: Where the round began, which damages were measured from.
            state: Where to go on from.
            damages: (n_groups,).
            goal: How far.
            least: Share of its units at the start that each group keeps.
        """
        cost = float(self._price.of(state))
        while cost > goal.target:
            steps = [(g, self._ladder.below(g, int(state[g]))[:1]) for g in range(len(state))]
            allowed = [(g, c[0]) for g, c in steps if c and c[0] >= least * start[g]]
            if not allowed:
                break
            states = np.array([with_count(state, g, count) for g, count in allowed])
            saved = np.minimum(cost - self._price.of(states), cost - goal.budget)
            added = [
                damages[g] * (self._removed(start[g], count) - self._removed(start[g], state[g]))
                for g, count in allowed
            ]
            best = int(np.argmin(np.array(added) / np.maximum(saved, 1e-12)))
            state = states[best]
            cost = float(self._price.of(state))
        return state

    def _note(self, state: Counts, budget: float) -> str:
        cost = float(self._price.of(state))
        if cost <= budget:
            return ""
        least = float(self._price.of(self._ladder.least))
        floor = self._settings.least_skill
        while_kept = "" if floor is None else f" while every task keeps {floor:.0%} of its skill"
        return (
            f"the budget of {budget:.4g} {self._price.unit} cannot be met{while_kept}: "
            f"{cost:.4g} was reached, and the smallest network of all costs {least:.4g}"
        )


def _row(verdict: Verdict, index: int) -> Verdict:
    """Return the verdict on one of several states."""
    chosen = slice(index, index + 1)
    return Verdict(verdict.skills[chosen], verdict.losses[chosen], verdict.drifts[chosen])

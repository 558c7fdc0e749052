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
_MOST_ROUNDS = 4  # times `n_rounds`, where floors make them shorter
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
        n_rounds: Steps to the budget; sensitivities are measured anew in each. Where a floor makes
            steps shorter there are more of them, up to four times as many.
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


@dataclass(frozen=True, eq=False)
class _Walk:
    """Where the rounds stand.

    Attributes:
        state: Counts.
        verdict: On them.
        n_judged: States judged so far.
    """

    state: Counts
    verdict: Verdict
    n_judged: int

    def on(self, state: Counts, verdict: Verdict, *, n_judged: int) -> "_Walk":
        """Return the walk after a step that took so many judgements."""
        return _Walk(state, verdict, self.n_judged + n_judged)


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
    is enough. Then the whole is judged: if a task has fallen below its floor, the round is halved,
    and another one follows. From where no such round holds, the groups whose next step alone holds
    take it, as many together as hold, until the budget is met or no step is left.
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
        """Return counts whose cost is at most `budget`, or as close as it came to it.

        Args:
            budget: In the price's unit.
            progress: Told the state after each round: the place to rank channels anew, or to train.
        """
        whole = self._oracle.judge([self._ladder.whole])
        walk = self._walked(_Walk(self._ladder.whole, whole, 1), budget, progress)
        walk = self._given_back(walk, whole, budget)
        cost, skills = float(self._price.of(walk.state)), walk.verdict.skills[0]
        note = self._note(walk.state, budget)
        return Allocation(walk.state, skills, cost, cost <= budget, walk.n_judged, note)

    def _walked(
        self, walk: _Walk, budget: float, progress: Callable[[Counts], None] | None
    ) -> _Walk:
        """Go to the budget in rounds; from where none holds, by single steps of the groups."""
        n_rounds, n_whole, by_steps = self._settings.n_rounds, 0, False
        start = float(self._price.of(walk.state))
        for _ in range(_MOST_ROUNDS * n_rounds):
            cost = float(self._price.of(walk.state))
            if cost <= budget:
                break
            share = min(n_whole + 1, n_rounds) / n_rounds
            target = budget if share == 1.0 else start * (budget / start) ** share
            before = walk.state
            if cost <= target:
                n_whole += 1
                continue
            if not by_steps:
                walk, is_whole = self._round(walk, _Goal(target, budget))
                n_whole += is_whole
                by_steps = np.array_equal(walk.state, before)
            if by_steps:
                walk = self._stepped(walk, _Goal(target, budget))
                if np.array_equal(walk.state, before):
                    break
            if progress is not None:
                progress(walk.state)
        return walk

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
        lost[:, np.isnan(skills)] = 0.0  # who could not be scored before is judged by drifts
        drifted = np.maximum(np.nan_to_num(after.drifts, nan=2.0) - before.drifts[0], 0.0)
        harm = 0.5 * (lost + drifted)
        total: Floats = harm.mean(axis=1) + self._settings.worst_task * harm.max(axis=1)
        return np.maximum(total, _LEAST_DAMAGE)

    def _round(self, walk: _Walk, goal: _Goal) -> tuple[_Walk, bool]:
        """Go to the target, or half the way, or a quarter, ... as far as every floor holds.

        Returns:
            Where that leads, and whether it is the whole way.
        """
        damages, n_probes = self._damages(walk.state, walk.verdict)
        walk = walk.on(walk.state, walk.verdict, n_judged=n_probes)
        cost = float(self._price.of(walk.state))
        for halving in range(_N_HALVINGS):
            aim = replace(goal, target=cost - (cost - goal.target) / 2.0**halving)
            reached = self._descend(walk.state, walk.state, damages, aim, least=_LEAST_PER_ROUND)
            reached = self._descend(walk.state, reached, damages, aim, least=0.0)
            after = self._oracle.judge([reached])
            if self._holds(walk.verdict, after)[0]:
                return walk.on(reached, after, n_judged=halving + 1), halving == 0
        return walk.on(walk.state, walk.verdict, n_judged=_N_HALVINGS), False

    def _stepped(self, walk: _Walk, goal: _Goal) -> _Walk:
        """Take a ladder step of each group whose step alone holds, or of half of them, ...

        They go in the order of their damage per saving, until the target is met.
        """
        below = [(g, self._ladder.below(g, int(n))[:1]) for g, n in enumerate(walk.state)]
        states = [with_count(walk.state, g, counts[0]) for g, counts in below if counts]
        if not states:
            return walk
        alone = self._oracle.judge(states)
        walk = walk.on(walk.state, walk.verdict, n_judged=len(states))
        cost = float(self._price.of(walk.state))
        saved = np.minimum(cost - self._price.of(np.array(states)), cost - goal.budget)
        rates = self._damage(walk.verdict, alone) / np.maximum(saved, 1e-12)
        holds = self._holds(walk.verdict, alone)
        order = [int(i) for i in np.argsort(rates, kind="stable") if holds[i]]
        together = [walk.state]
        for i in order:
            if float(self._price.of(together[-1])) <= goal.target:
                break
            together.append(np.minimum(together[-1], states[i]))
        n_steps = len(together) - 1
        while n_steps > 1:
            after = self._oracle.judge([together[n_steps]])
            walk = walk.on(walk.state, walk.verdict, n_judged=1)
            if self._holds(walk.verdict, after)[0]:
                return walk.on(together[n_steps], after, n_judged=0)
            n_steps //= 2
        return walk.on(together[1], _row(alone, order[0]), n_judged=0) if n_steps else walk

    def _given_back(self, walk: _Walk, whole: Verdict, budget: float) -> _Walk:
        """Return ladder steps to the groups while the cost is at most the budget, and it helps."""
        while returned := self._returns(walk.state, budget):
            after = self._oracle.judge(returned)
            damages = np.where(self._holds(whole, after), self._damage(whole, after), np.inf)
            best = int(np.argmin(damages))
            is_better = damages[best] < self._damage(whole, walk.verdict)[0]
            state, verdict = (
                (returned[best], _row(after, best)) if is_better else (walk.state, walk.verdict)
            )
            walk = walk.on(state, verdict, n_judged=len(returned))
            if not is_better:
                break
        return walk

    def _returns(self, state: Counts, budget: float) -> list[Counts]:
        """Return the states of one ladder step more, of one group, within the budget."""
        above = [(g, self._ladder.above(g, int(state[g]))[:1]) for g in range(len(state))]
        states = [with_count(state, g, counts[0]) for g, counts in above if counts]
        return [each for each in states if float(self._price.of(each)) <= budget]

    def _holds(self, before: Verdict, after: Verdict) -> NDArray[np.bool_]:
        """Return (n,) whether every task that can be scored is above its floor."""
        floor = self._settings.least_skill
        if floor is None:
            return np.ones(len(after.skills), np.bool_)
        held: NDArray[np.bool_] = np.all(
            (after.skills >= floor) | np.isnan(before.skills[0]), axis=1
        )
        return held

    def _descend(
        self, start: Counts, state: Counts, damages: Floats, goal: _Goal, *, least: float
    ) -> Counts:
        """Take ladder steps of the least damage per saving until the target is met.

        A step's saving never grows while other groups shrink, so what it was is a bound, and only
        the steps that look best are priced anew (Minoux, 1978, "Accelerated greedy algorithms").

        Args:
            start: Where the round began, which damages were measured from.
            state: Where to go on from.
            damages: (n_groups,).
            goal: How far.
            least: Share of its units at the start that each group keeps.
        """
        cost = float(self._price.of(state))
        rates = np.full(len(state), -np.inf)  # bounds: damage per saving of each group's next step
        while cost > goal.target and len(state):
            known = np.zeros(len(state), np.bool_)
            while not known[best := int(np.argmin(rates))]:
                known[best], rates[best] = True, np.inf
                before, below = int(state[best]), self._ladder.below(best, int(state[best]))
                if below and below[0] >= least * start[best]:
                    saved = cost - float(self._price.of(with_count(state, best, below[0])))
                    added = damages[best] * (
                        self._removed(start[best], below[0]) - self._removed(start[best], before)
                    )
                    rates[best] = added / max(min(saved, cost - goal.budget), 1e-12)
            if np.isinf(rates[best]):
                break
            state = with_count(state, best, self._ladder.below(best, int(state[best]))[0])
            cost, rates[best] = float(self._price.of(state)), -np.inf
        return state

    def _note(self, state: Counts, budget: float) -> str:
        cost = float(self._price.of(state))
        if cost <= budget:
            return ""
        least = float(self._price.of(self._ladder.least))
        floor = self._settings.least_skill
        while_kept = "" if floor is None else f" while every task keeps {floor:.0%} of its skill"
        could, remedy = "was not", ". A lower least_skill goes further, and more n_rounds may"
        if least > budget:
            could, remedy = "cannot be", ""
        return (
            f"the budget of {budget:.4g} {self._price.unit} {could} met: {cost:.4g} was reached"
            f"{while_kept}, and the smallest network of all costs {least:.4g}{remedy}"
        )


def _row(verdict: Verdict, index: int) -> Verdict:
    """Return the verdict on one of several states."""
    chosen = slice(index, index + 1)
    return Verdict(verdict.skills[chosen], verdict.losses[chosen], verdict.drifts[chosen])

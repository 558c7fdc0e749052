"""Toy problems with known fronts: free to evaluate, shaped like the real ones.

A toy network has up to ten layers. Each has a width, and may run in fp32 or int8; a layer that is
not there has neither. Error and cost are sums over the layers, so that the exact front follows from
adding one layer after the other, without searching.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate, Value
from niwaki.core.constraints import Bound
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.core.pareto import hypervolume, non_dominated
from niwaki.search.base import Problem
from niwaki.spaces import Choice, ChoiceSpace, Condition, DependentSpace, JointSpace, Space

OBJECTIVES = (Objective("accuracy", Direction.MAXIMIZE), Objective("cost", Direction.MINIMIZE))
DEPTHS = (4, 7, 10)
WIDTHS = (8, 16, 24, 32, 48)
PRECISIONS = ("fp32", "int8")

# Per layer: error if absent, share of it that width 8 leaves, error of int8, cost of width 8.
LAYERS = (
    (4.0, 0.30, 0.90, 1.0),
    (3.0, 0.60, 0.05, 2.0),
    (2.5, 0.40, 0.40, 0.5),
    (2.0, 0.90, 0.02, 0.3),
    (1.5, 0.50, 0.02, 3.0),
    (1.2, 0.80, 0.60, 0.2),
    (1.0, 0.20, 0.30, 1.5),
    (0.9, 0.60, 0.01, 2.5),
    (0.8, 0.70, 0.01, 0.8),
    (0.6, 0.90, 0.20, 0.4),
)


@dataclass(frozen=True)
class Toy:
    """A problem that costs nothing to evaluate.

    Attributes:
        name: For people.
        space: Where its candidates come from.
        bounds: Constraints on its values.
        relabel: What a candidate really means; the identity in a tidy toy.
        trouble: What goes wrong with its measurement; nothing in a tidy toy.
    """

    name: str
    space: Space
    bounds: tuple[Bound, ...] = ()
    relabel: Callable[[Candidate], Candidate] = lambda candidate: candidate
    trouble: Callable[[Measurement], Measurement] = lambda measurement: measurement

    def problem(self, *, seed: int) -> Problem:
        """Return the problem that a searcher is given."""
        return Problem(self.space, OBJECTIVES, self.bounds, seed=seed)

    def measure(self, candidate: Candidate) -> Measurement:
        """Return what a searcher is told: perhaps noisy, failed or infeasible."""
        return self.trouble(self.truth(candidate))

    def truth(self, candidate: Candidate) -> Measurement:
        """Return the true accuracy and cost."""
        error, cost = 0.0, 0.0
        layers = _layers(self.relabel(candidate))
        for index, (absent, *_) in enumerate(LAYERS):
            if index in layers:
                layer_error, layer_cost = _of_layer(index, *layers[index])
                error, cost = error + layer_error, cost + layer_cost
            else:
                error += absent
        return Measurement(candidate.key, {"accuracy": -error, "cost": cost})

    def score(self, candidates: Sequence[Candidate]) -> float:
        """Return the share of the true front's hypervolume that candidates reach.

        Args:
            candidates: Those whose measurement failed, and those that truly break a bound, do not
                count; of the others the true values do.
        """
        trials = [
            Trial(number, candidate, self.truth(candidate))
            for number, candidate in enumerate(candidates)
            if self.measure(candidate).status is not Status.FAILED
        ]
        problem = self.problem(seed=0)
        costs = problem.costs(trials)[problem.violations(trials) == 0.0]
        whole = hypervolume(self.front, self.reference)
        return hypervolume(costs.reshape(-1, len(OBJECTIVES)), self.reference) / whole

    @property
    def reference(self) -> NDArray[np.float64]:
        """The worst corner of the true front, in minimised costs: (2,)."""
        return np.asarray(self.front.max(axis=0) * 1.01)

    @cached_property
    def front(self) -> NDArray[np.float64]:
        """The true front in minimised costs: (k, 2), without noise, failures and bounds."""
        wholes = [_added_up(range(depth)) for depth in DEPTHS]
        for depth, whole in zip(DEPTHS, wholes, strict=True):
            whole[:, 0] += sum(absent for absent, *_ in LAYERS[depth:])
        return _best(np.concatenate(wholes))


def flat_toy() -> Toy:
    """Return the toy as one space of choices with conditions: ten thousand million candidates."""
    choices = [Choice("depth", DEPTHS)]
    for index in range(len(LAYERS)):
        when = _when_there(index)
        choices.append(Choice(f"layer{index}.width", WIDTHS, when))
        choices.append(Choice(f"layer{index}.precision", PRECISIONS, when))
    return Toy("flat", ChoiceSpace(tuple(choices)))


def joint_toy() -> Toy:
    """Return the same toy as architecture x quantization."""
    choices = [Choice("depth", DEPTHS)]
    for index in range(len(LAYERS)):
        choices.append(Choice(f"layer{index}.width", WIDTHS, _when_there(index)))
    return Toy(
        "joint",
        JointSpace({"architecture": ChoiceSpace(tuple(choices)), "quantization": ToyPrecisions()}),
    )


@dataclass(frozen=True)
class ToyPrecisions(DependentSpace):
    """A precision for each layer that the architecture has."""

    @property
    def reads(self) -> Mapping[str, frozenset[str]]:
        return {"architecture": frozenset({"depth"})}

    def given(self, earlier: Mapping[str, Candidate]) -> Space:
        depth = earlier["architecture"].decisions["depth"]
        assert isinstance(depth, int)
        return _precisions(depth)

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        return _precisions(len(LAYERS)).encode(candidates)


def _precisions(depth: int) -> ChoiceSpace:
    return ChoiceSpace(
        tuple(Choice(f"layer{index}.precision", PRECISIONS) for index in range(depth))
    )


def _when_there(index: int) -> tuple[Condition, ...]:
    depths = tuple(depth for depth in DEPTHS if depth > index)
    return () if depths == DEPTHS else (Condition("depth", depths),)


def _layers(candidate: Candidate) -> dict[int, tuple[int, Value]]:
    """Return width and precision of each layer, whatever the spelling of the paths."""
    by_name = {path.rpartition("/")[2]: value for path, value in candidate.items}
    layers: dict[int, tuple[int, Value]] = {}
    for index in range(len(LAYERS)):
        width = by_name.get(f"layer{index}.width")
        if isinstance(width, int):
            layers[index] = (width, by_name[f"layer{index}.precision"])
    return layers


def _of_layer(index: int, width: int, precision: Value) -> tuple[float, float]:
    absent, share, quantized, cost = LAYERS[index]
    error = absent * share * WIDTHS[0] / width
    if precision == "int8":
        return error + quantized, 0.4 * cost * width / WIDTHS[0]
    return error, cost * width / WIDTHS[0]


def _added_up(indices: Iterable[int]) -> NDArray[np.float64]:
    """Return the front of all ways to choose these layers: sums of fronts, pruned at each step."""
    sums = np.zeros((1, 2))
    for index in indices:
        options = [
            _of_layer(index, width, precision) for width in WIDTHS for precision in PRECISIONS
        ]
        sums = _best((sums[:, None] + np.array(options)).reshape(-1, 2))
    return sums


def _best(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(costs[non_dominated(costs)])

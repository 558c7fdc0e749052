"""Spaces too large for a table, made up: the values of a candidate are computed by a formula.

Each follows the rules of thumb of its kind, with constants that a draw decides, as the tables of
`made.py` do. There is no noise, so that a front can be known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem as PymooProblem
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

from benchmarks.efficiency.true_front import TrueFront
from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.spaces.choices import Condition

Array: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.int64]  # (n, k) positions of options

ACCURACY, LATENCY, MACS = "accuracy", "latency", "macs"
WIDTHS = np.array([8.0, 16.0, 24.0, 32.0, 48.0, 64.0])  # that each of 24 layers may have
PIXELS = np.repeat([16.0, 4.0, 1.0, 0.25], 6)  # that each of them sees
LONG_RUNS, GENERATIONS, POPULATION = 3, 1_200, 300  # of the evolution that looks for the front


@dataclass(frozen=True)
class Formula:
    """What is searched.

    Attributes:
        choices: k of them.
        values: Gives (n,) accuracies in percent, latencies in ms and, perhaps, MACs from codes;
            those of choices that do not exist are ignored.
    """

    choices: Sequence[Choice]
    values: Callable[[Codes], Mapping[str, Array]]


def widths(rng: np.random.Generator) -> Formula:
    """24 layers of six widths, as the six layers of `made.widths`."""
    weight = rng.lognormal(0.0, 0.8, 24)

    def values(codes: Codes) -> Mapping[str, Array]:
        width = WIDTHS[codes]
        worth = np.log(width / 8.0) @ weight / 24.0
        uneven = np.abs(np.diff(np.log(width), axis=1)).clip(0.5).mean(axis=1)
        return {
            ACCURACY: 95.0 - 8.0 * np.exp(-worth) - 3.0 * uneven,
            LATENCY: 0.3 + _times(width).sum(axis=1),
            MACS: (width[:, :-1] * width[:, 1:]) @ PIXELS[1:],
        }

    choices = [Choice(f"layer{i}.width", tuple(int(w) for w in WIDTHS)) for i in range(24)]
    return Formula(choices, values)


def policies(rng: np.random.Generator) -> Formula:
    """40 layers in three precisions: few hurt, some together; each change takes time."""
    in_int8 = rng.lognormal(-3.5, 1.3, 40)
    in_int4 = in_int8 * rng.lognormal(1.2, 0.5, 40)
    together = np.triu(rng.exponential(0.03, (40, 40)) * (rng.random((40, 40)) < 0.08), 1)
    times = rng.lognormal(0.0, 0.8, 40)
    saved8 = rng.uniform(0.3, 0.7, 40)
    saved4 = saved8 * rng.uniform(0.5, 1.05, 40)

    def values(codes: Codes) -> Mapping[str, Array]:
        int8, int4 = (codes == 1).astype(float), (codes == 2).astype(float)
        lost = int8 + 2.0 * int4
        drop = int8 @ in_int8 + int4 @ in_int4 + ((lost @ together) * lost).sum(axis=1)
        left = (codes == 0) + int8 * saved8 + int4 * saved4
        changes = (np.diff(codes, axis=1) != 0).sum(axis=1)
        return {
            ACCURACY: 76.0 - drop - 0.02 * drop**2,
            LATENCY: left @ times + 0.05 * changes,
        }

    return Formula([Choice(f"layer{i}", ("fp16", "int8", "int4")) for i in range(40)], values)


def both(rng: np.random.Generator) -> Formula:
    """The 24 widths, and whether each layer runs in int8."""
    shape = widths(rng)
    drops, saved = rng.lognormal(-2.5, 1.3, 24) / 4.0, rng.uniform(0.2, 0.75, 24)

    def values(codes: Codes) -> Mapping[str, Array]:
        plain, int8 = shape.values(codes[:, :24]), codes[:, 24:].astype(float)
        times = _times(WIDTHS[codes[:, :24]])
        changes = np.abs(np.diff(int8, axis=1)).sum(axis=1)
        return {
            ACCURACY: plain[ACCURACY] - int8 @ drops,
            LATENCY: 0.3 + (times * (1.0 - int8 * saved)).sum(axis=1) + 0.02 * changes,
            MACS: plain[MACS],
        }

    precisions = [Choice(f"layer{i}.precision", ("fp32", "int8")) for i in range(24)]
    return Formula([*shape.choices, *precisions], values)


def supernet(rng: np.random.Generator) -> Formula:
    """Five stages of two to four blocks, kernel and expansion of each, and the resolution."""
    sizes = np.array([160.0, 176.0, 192.0, 208.0, 224.0])
    kernels, expansions, most = np.array([3.0, 5.0, 7.0]), np.array([3.0, 4.0, 6.0]), 4
    channels, strides = np.array([24.0, 40.0, 80.0, 112.0, 160.0]), np.array([4, 8, 16, 16, 32])
    worth, of_kernel = rng.lognormal(0.0, 0.5, 5), rng.uniform(0.02, 0.12, 5)
    of_place = rng.uniform(0.6, 1.0, (5, most)) * np.array([1.2, 1.0, 0.7, 0.5])
    speed, overhead = rng.uniform(0.6, 1.4, (5, 3)), rng.uniform(0.02, 0.08)
    choices = [Choice("resolution", tuple(int(size) for size in sizes))]
    for stage in range(5):
        choices.append(Choice(f"stage{stage}.depth", (2, 3, 4)))
        for block in range(most):
            deeper = tuple(depth for depth in (2, 3, 4) if depth > block)
            when = () if block < 2 else (Condition(f"stage{stage}.depth", deeper),)
            name = f"stage{stage}.block{block}"
            choices.append(Choice(f"{name}.kernel", (3, 5, 7), when))
            choices.append(Choice(f"{name}.expansion", (3, 4, 6), when))

    def values(codes: Codes) -> Mapping[str, Array]:
        size = sizes[codes[:, 0]]
        per_stage = codes[:, 1:].reshape(len(codes), 5, 1 + 2 * most)
        gain, milliseconds, macs = np.zeros((3, len(codes)))
        for stage in range(5):
            depth, blocks = per_stage[:, stage, 0] + 2, per_stage[:, stage, 1:]
            pixels = (size / strides[stage]) ** 2
            learned = np.zeros(len(codes))
            for block in range(most):
                there = block < depth
                kernel, expansion = blocks[:, 2 * block], expansions[blocks[:, 2 * block + 1]]
                width, side = channels[stage] * expansion, kernels[kernel]
                pointwise = pixels * 2.0 * channels[stage] * width / 1e6
                depthwise = pixels * width * side**2 / 1e6
                learned += (
                    there
                    * of_place[stage, block]
                    * (np.log1p(expansion) * (1.0 + of_kernel[stage] * (side - 3.0)))
                )
                macs += there * (pointwise + depthwise)
                slow = speed[stage, kernel]
                milliseconds += there * (0.03 * pointwise + 0.15 * depthwise * slow + overhead)
            gain += worth[stage] * np.log1p(learned)
        blurred = 9.0 * (1.0 - size / sizes[-1]) ** 1.2 * (1.0 + 0.06 * gain)
        return {
            ACCURACY: 80.0 - 22.0 * np.exp(-gain / 3.0) - blurred,
            LATENCY: milliseconds,
            MACS: macs,
        }

    return Formula(choices, values)


def _times(width: Array) -> Array:
    """Return (n, layers) times of layers, which climb in steps of 16 channels."""
    tiles = np.ceil(width / 16.0) * 16.0
    later = tiles[:, :-1] * tiles[:, 1:] * PIXELS[1:] / 8000.0
    return np.concatenate([tiles[:, :1] / 50.0, later], axis=1)


KINDS: Mapping[str, Callable[[np.random.Generator], Formula]] = {
    "widths": widths,
    "policies": policies,
    "both": both,
    "supernet": supernet,
}


class LargeSpace:
    """A formula with its space and its front.

    Args:
        kind: One of `KINDS`.
        draw: Decides the constants.
    """

    def __init__(self, kind: str, draw: int) -> None:
        self.name = f"{kind}/{draw}"
        self._formula = KINDS[kind](stream(draw, "large", kind))
        self.space = ChoiceSpace(tuple(self._formula.choices))

    def values(self, candidates: Sequence[Candidate]) -> Mapping[str, Array]:
        """Return (n,) values by name."""
        return self._formula.values(self._codes(candidates))

    @cached_property
    def front(self) -> TrueFront:
        """The best that long runs of pymoo's NSGA-II find."""
        rounding = RoundingRepair()
        found = []
        for seed in range(LONG_RUNS):
            algorithm = NSGA2(
                pop_size=POPULATION,
                sampling=IntegerRandomSampling(),
                crossover=UniformCrossover(prob=0.9, repair=rounding),
                mutation=PM(
                    prob=0.9,
                    prob_var=1.5 / len(self._formula.choices),
                    eta=3,
                    vtype=float,
                    repair=rounding,
                ),
            )
            found.append(minimize(_Codes(self), algorithm, ("n_gen", GENERATIONS), seed=seed).F)
        return TrueFront(np.concatenate(found))

    def costs_of(self, codes: Codes) -> Array:
        """Return (n, 2) minimised costs."""
        values = self._formula.values(codes)
        return np.stack([-values[ACCURACY], values[LATENCY]], axis=1)

    def _codes(self, candidates: Sequence[Candidate]) -> Codes:
        codes = np.zeros((len(candidates), len(self.space.choices)), dtype=np.int64)
        for row, candidate in enumerate(candidates):
            for column, choice in enumerate(self.space.choices):
                if choice.path in candidate.decisions:
                    codes[row, column] = choice.options.index(candidate.decisions[choice.path])
        return codes


class _Codes(PymooProblem):  # type: ignore[misc]
    """The formula as pymoo sees it: integers."""

    def __init__(self, large: LargeSpace) -> None:
        highest = np.array([len(choice.options) - 1 for choice in large.space.choices])
        super().__init__(n_var=len(highest), n_obj=2, xl=0, xu=highest, vtype=int)
        self._large = large

    def _evaluate(self, x: Codes, out: dict[str, Array], *_: object, **__: object) -> None:
        out["F"] = self._large.costs_of(x.astype(np.int64))

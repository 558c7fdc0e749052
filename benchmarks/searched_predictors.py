"""What predictors say of a whole space after a search, which measured what looked good.

For each table, `surrogate` searches, and the standard predictor (what a run's predictor is) learns
from what was measured; beside it, from as many rows by chance. Of 1,000 other rows, for each value:
Kendall's tau, RMSE over the values' deviation, coverage of the 90% interval, and its interval score
over that deviation (width, and twenty times what truths are outside of it); means over the seeds.
Last, from rows by chance without one option of one decision, of rows that have it.

Run: python -m benchmarks.searched_predictors --evaluations 60 100 --seeds 3

References:
    Gneiting and Raftery, JASA 2007, "Strictly proper scoring rules, prediction, and estimation",
    section 6.2, for the interval score.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from benchmarks.earlier_runs import scenario_of
from benchmarks.efficiency import own
from benchmarks.efficiency.catalogue import require
from benchmarks.efficiency.scenario import Meter, Scenario
from niwaki.core.randomness import stream
from niwaki.predictors.quality import LEVEL, quality
from niwaki.predictors.standard import standard_predictor
from niwaki.spaces.features import Features

TABLES = (
    "nasbench201/c10/1080ti_1",
    "nasbench201/c10/raspi4",
    "nasbench201/c100/pixel3",
    "accelerators/latency_zcu102",
    "accelerators/throughput_tpuv3",
    "transnas/macro/segment+flops_m",
    "transnas/macro/normal+flops_m",
    "trained/precisions/0",
    "trained/widths/0",
    "trained/trainings/0",
)
N_TEST = 1000

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Job:
    """A search, and what is asked after it.

    Attributes:
        name: Of the table.
        n: Evaluations.
        seed: Of the search.
    """

    name: str
    n: int
    seed: int

    def run(self) -> Array:
        """Return (3, m, 4) figures: after the search, from rows by chance, and of an option unseen.

        Rows of an option that was not seen are asked about, where the others are of all.
        """
        scenario = scenario_of(self.name)
        order = stream(self.seed, "rows").permutation(len(scenario.told))
        meter = Meter(scenario, self.n)
        own.run(meter, self.seed, searcher="surrogate")
        asked, by_chance = order[:N_TEST], order[N_TEST:][: self.n]
        has = self._with_an_option(scenario.grid)[order]
        return np.stack(
            [
                _judged(scenario, np.array(meter.rows, dtype=np.int64), asked),
                _judged(scenario, by_chance, asked),
                _judged(scenario, order[~has][: self.n], order[has][:N_TEST]),
            ]
        )

    def _with_an_option(self, grid: Rows) -> NDArray[np.bool_]:
        """Return which of (n, k) rows have one option of one decision, both by chance."""
        rng = stream(self.seed, "unseen")
        while True:
            column = grid[:, rng.integers(grid.shape[1])]
            has = column == rng.choice(np.unique(column))
            if 0.02 < has.mean() < 0.8:
                return np.asarray(has)


def _judged(scenario: Scenario, learned: Rows, asked: Rows) -> Array:
    """Return (m, 4) tau, RMSE, coverage and interval score of rows that were not learned."""
    asked = np.setdiff1d(asked, learned)
    features, truth = _features(scenario, asked), scenario.told[asked]
    predictor = standard_predictor()
    predictor.fit(_features(scenario, learned), scenario.told[learned])
    found = predictor.predict(features)
    low, high = found.interval(LEVEL)
    outside = np.maximum(low - truth, 0.0) + np.maximum(truth - high, 0.0)
    scores = np.nanmean(high - low + 2.0 / (1.0 - LEVEL) * outside, axis=0)
    spread = np.nanstd(truth, axis=0)
    judged = quality(found, truth)
    return np.array(
        [
            [one.kendall_tau, one.rmse / width, one.coverage, score / width]
            for one, score, width in zip(judged, scores, spread, strict=True)
        ]
    )


def _features(scenario: Scenario, rows: Rows) -> Array:
    candidates = [scenario.space.candidate(int(row)) for row in rows]
    features = Features(scenario.space, scenario.evaluator.cheap)
    return features.encode(candidates, [features.cheap(candidate) for candidate in candidates])


def lines(name: str, n: int, found: Array) -> Iterator[str]:
    """Yield a row for each value, from (seeds, 3, m, 4) figures."""
    means = found.mean(axis=0)
    for column, objective in enumerate(scenario_of(name).objectives):
        cells = [
            f"{tau:.3f} / {rmse:.2f} / {coverage:.0%} / {score:.2f}"
            for tau, rmse, coverage, score in means[:, column]
        ]
        yield f"| {name} | {objective.name} | {n} | {' | '.join(cells)} |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    parser.add_argument("--evaluations", nargs="+", type=int, default=[60, 100])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    require(options.tables)
    print("| table | value | learned | after a search | of rows by chance | of an option unseen |")
    print("|---|---|---|---|---|---|", flush=True)
    everything = []
    with get_context("forkserver").Pool(options.workers) as pool:
        for n in options.evaluations:
            for name in options.tables:
                jobs = [Job(name, n, seed) for seed in range(options.seeds)]
                found = np.array(pool.map(Job.run, jobs, chunksize=1))
                everything += [*found.mean(axis=0).transpose(1, 0, 2)]
                print(*lines(name, n, found), sep="\n", flush=True)
    overall = np.array(everything)  # values x ways x figures
    for column, way in enumerate(("after a search", "of rows by chance", "of an option unseen")):
        tau, rmse, coverage, score = overall[:, column].T
        print(
            f"{way}: tau {tau.mean():.3f}, coverage {coverage.mean():.3f} (least "
            f"{coverage.min():.2f}), geometric means of RMSE {np.exp(np.log(rmse).mean()):.3f} "
            f"and interval score {np.exp(np.log(score).mean()):.3f}"
        )


if __name__ == "__main__":
    main()

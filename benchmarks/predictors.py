"""Every predictor on held-out rows of real tables, and on trees of a grammar.

For each table, value and number of rows: Kendall's tau, RMSE relative to the spread of the values,
coverage of the 90% interval, and seconds to fit and to predict 10,000 rows; means over `--seeds`
splits. Every kind is calibrated, and learns logarithms where those suit a value better.

With `--unseen`, of each split one option of one decision, by chance, is in no learned row and in
every row that is judged.

Run: python -m benchmarks.predictors --rows 30 100 300 --seeds 5
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.randomness import stream
from niwaki.predictors.base import Predictor
from niwaki.predictors.composed.calibrated import Calibrated
from niwaki.predictors.composed.transformed import Transformed
from niwaki.predictors.quality import quality
from niwaki.predictors.registry import PREDICTORS
from niwaki.predictors.standard import standard_predictor

DATA = Path(os.environ.get("NIWAKI_DATA", "../shared/data"))
N_TEST = 1000

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Features with values that were measured.

    Attributes:
        name: Of the table.
        X: (n, d) features.
        y: (n, m) values.
        values: m names.
    """

    name: str
    X: Array
    y: Array
    values: tuple[str, ...]


def frame(name: str) -> Any:
    """Return a table of the data folder."""
    import pyarrow.parquet as pq

    return pq.read_table(DATA / f"{name}.parquet").to_pandas()


def one_hot(values: Array) -> Array:
    """Return one column per value that a column of `values` has."""
    columns = [values[:, j, None] == np.unique(values[:, j]) for j in range(values.shape[1])]
    return np.concatenate(columns, axis=1).astype(np.float64)


def case_of(name: str, table: Any, decisions: Sequence[str], values: Sequence[str]) -> Case:
    """Return a case from columns of a table."""
    X = one_hot(table[list(decisions)].to_numpy(dtype=np.float64))
    return Case(name, X, table[list(values)].to_numpy(dtype=np.float64), tuple(values))


def nasbench201() -> Case:
    """NAS-Bench-201: accuracy, and latency on a phone."""
    table = frame("nasbench201_devices").drop_duplicates("unique_str")
    operations = [f"op{i}" for i in range(6)]
    return case_of("nasbench201", table, operations, ("c100_val", "help_lat_ms_pixel3"))


def transnas() -> Case:
    """TransNAS-Bench-101: three tasks over one space of cells."""
    table = frame("transnasbench101_3tasks")
    table = table[table["space"] == "micro"]
    values = ("class_object__valid_top1", "segmentsemantic__valid_mIoU", "normal__valid_ssim")
    return case_of("transnas micro", table, [f"g{i}" for i in range(6)], values)


def accel() -> Case:
    """MnasNet: accuracy, and latency on a programmable chip."""
    names = [f"block{b}_{part}" for b in range(7) for part in ("e", "k", "l", "se")]
    values = ("val_top1", "latency_zcu102_mean")
    return case_of("accel", frame("accel_nasbench"), names, values)


def proxies() -> Case:
    """Zero-cost proxies as features: accuracy on CIFAR-10 from what an untrained network says."""
    table = frame("zero_cost_proxies")
    table = table[(table["space"] == "nasbench201") & (table["task"] == "cifar10")]
    names = ["flops", "params", "synflow", "grad_norm", "nwot", "jacov", "snip"]
    scores = table[names].to_numpy(dtype=np.float64)
    usable = np.isfinite(scores).all(axis=1)
    # Ranks: some scores spread over many powers of ten.
    ranks = scores[usable].argsort(axis=0).argsort(axis=0) / usable.sum()
    y = table[["val_metric"]].to_numpy(dtype=np.float64)[usable]
    return Case("proxies", ranks, y, ("val_metric",))


def trees() -> Case:
    """Trees of a grammar by its Weisfeiler-Lehman features; their values are counted, not trained.

    The value is in the shape alone: how many convolutions stand right behind a pooling.
    """
    from tests.predictors.test_grammar import GRAMMAR_SPACE, pooled_first, sampled

    candidates = sampled(2000)
    y = np.array([[pooled_first(GRAMMAR_SPACE.tree(each))] for each in candidates])
    return Case("grammar trees", GRAMMAR_SPACE.encode(candidates), y, ("conv behind pool",))


CASES: dict[str, Callable[[], Case]] = {
    "nasbench201": nasbench201,
    "transnas": transnas,
    "accel": accel,
    "proxies": proxies,
    "trees": trees,
}


def makers(names: Sequence[str]) -> dict[str, Callable[[], Predictor]]:
    """Return what makes each kind, calibrated; and the standard one."""

    def calibrated(name: str) -> Callable[[], Predictor]:
        return lambda: Calibrated(Transformed(PREDICTORS.find(name).load()(None)))

    return {name: standard_predictor if name == "standard" else calibrated(name) for name in names}


def split_of(case: Case, rows: int, seed: int, *, unseen: bool) -> tuple[Array, Array]:
    """Return the rows to learn from and those to judge."""
    order = stream(seed, "split").permutation(len(case.y))
    if not unseen:
        return order[:rows], order[rows : rows + N_TEST]
    options = np.flatnonzero(((case.X == 0.0) | (case.X == 1.0)).all(axis=0))
    has = case.X[order, stream(seed, "option").choice(options)] == 1.0
    return order[~has][:rows], order[has][:N_TEST]


def print_case(
    case: Case,
    kinds: dict[str, Callable[[], Predictor]],
    rows: int,
    seeds: int,
    *,
    unseen: bool = False,
) -> None:
    """Print how well each kind does after `rows` rows."""
    print(f"\n{case.name}: {len(case.y)} rows, {case.X.shape[1]} features, {rows} learned")
    print(f"  {'predictor':<18}" + "".join(f"{value[:26]:>28}" for value in case.values))
    spread = np.nanstd(case.y, axis=0)
    for name, make in kinds.items():
        found, seconds = [], np.zeros(2)
        for seed in range(seeds):
            train, test = split_of(case, rows, seed, unseen=unseen)
            predictor = make()
            started = time.perf_counter()
            predictor.fit(case.X[train], case.y[train])
            fitted = time.perf_counter()
            predictor.predict(np.resize(case.X, (10_000, case.X.shape[1])))
            seconds += fitted - started, time.perf_counter() - fitted
            judged = quality(predictor.predict(case.X[test]), case.y[test])
            found.append([[one.kendall_tau, one.rmse, one.coverage] for one in judged])
        means = np.nanmean(found, axis=0)
        columns = "".join(
            f"   tau {tau:5.3f} {rmse / s:5.3f} {coverage:6.1%}".rjust(28)
            for (tau, rmse, coverage), s in zip(means, spread, strict=True)
        )
        print(f"  {name:<18}{columns}   fit {seconds[0] / seeds:.1f} s, {seconds[1] / seeds:.1f} s")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rows", nargs="+", type=int, default=[30, 100, 300])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--predictors", nargs="+", default=[*PREDICTORS.names(), "standard"])
    parser.add_argument("--unseen", action="store_true", help="judge options never learned")
    arguments = parser.parse_args()
    kinds = makers(arguments.predictors)
    for name in arguments.cases:
        case = CASES[name]()
        for rows in arguments.rows:
            print_case(case, kinds, rows, arguments.seeds, unseen=arguments.unseen)


if __name__ == "__main__":
    main()

"""Latency from few measurements of whole networks, on real devices.

For each table and device: Kendall's tau, the share of held-out networks within 10%, the relative
error and the coverage of 90% intervals, after `--train` measurements, over `--seeds` splits. Then
why a device misses: `--many` measurements tell whether more would help, and the correlation of an
error with that of the next network in the table tells whether the device drifted while it was
measured. Last, transfer from other devices with 30 measurements against those 30 alone.

Run: python -m benchmarks.latency_predictors --tables ofa nasbench201 accel --seeds 5
     python -m benchmarks.own_latencies configs/quickstart.yaml --cache runs/own_latencies
     python -m benchmarks.latency_predictors --tables own --own runs/own_latencies
     python -m benchmarks.latency_predictors --tables ofa --transfer
"""

import argparse
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.predictors.base import Predictor
from niwaki.predictors.composed.on_columns import OnColumns
from niwaki.predictors.composed.transformed import Transformed, TransformedSettings
from niwaki.predictors.costs import LayerCosts, cost_features
from niwaki.predictors.latency import latency_predictor, transferred_latency_predictor
from niwaki.predictors.linear.bayesian_ridge import BayesianRidge
from niwaki.predictors.quality import kendall_tau, quality
from niwaki.spaces.precision import ARCHITECTURE, QUANTIZATION

DATA = Path(os.environ.get("NIWAKI_DATA", "../shared/data"))
LOG = TransformedSettings(transforms=("log",))
N_TEST = 1000

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Measured networks.

    Attributes:
        decisions: (n, d) features of what was decided.
        costs: (n, c) features of what that costs, counted and not measured.
        latencies: (n, m) measurements, in order of measuring.
        devices: m names.
    """

    decisions: Array
    costs: Array
    latencies: Array
    devices: tuple[str, ...]

    @property
    def features(self) -> Array:
        """Both kinds of features."""
        return np.concatenate([self.decisions, self.costs], axis=1)

    def predictor(self, seed: int) -> Predictor:
        """Return the predictor under test."""
        return latency_predictor(self.decisions.shape[1], self.costs.shape[1], seed=seed)


def frame(name: str) -> Any:
    """Return a table of the data folder."""
    import pyarrow.parquet as pq

    return pq.read_table(DATA / f"{name}.parquet").to_pandas()


def one_hot(values: Array) -> Array:
    """Return one column per value that a column of `values` has."""
    columns = [values[:, j, None] == np.unique(values[:, j]) for j in range(values.shape[1])]
    return np.concatenate(columns, axis=1).astype(np.float64)


def with_logarithms(*columns: Array) -> Array:
    """Return counts and their logarithms as features."""
    counts = np.stack(columns, axis=1)
    return np.concatenate([counts, np.log1p(counts)], axis=1)


def ofa() -> Table:
    """Elastic MobileNetV3: kernel and expansion of 20 blocks, depths of 5 stages, resolution."""
    table = frame("ofa_latency_help")
    kernels, expands, depths = (
        table[[f"{name}{i}" for i in range(n)]].to_numpy(dtype=np.float64)
        for name, n in (("ks", 20), ("e", 20), ("d", 5))
    )
    there = np.repeat(np.arange(4)[None], 5, axis=0).ravel() < np.repeat(depths, 4, axis=1)
    resolution = table[["r"]].to_numpy(dtype=np.float64)
    devices = [name for name in table.columns if name.startswith("lat_ms_")]
    # Inactive blocks have no decisions: zeros, as in `Space.encode`.
    blocks = np.concatenate(
        [
            (values[:, :, None] == np.unique(values)) & there[:, :, None]
            for values in (kernels, expands)
        ],
        axis=2,
    )
    return Table(
        np.concatenate(
            [blocks.reshape(len(table), -1), one_hot(depths), one_hot(resolution)], axis=1
        ),
        ofa_costs(kernels, expands, there, resolution[:, 0]),
        table[devices].to_numpy(dtype=np.float64),
        tuple(name.removeprefix("lat_ms_") for name in devices),
    )


def ofa_costs(kernels: Array, expands: Array, there: Array, resolution: Array) -> Array:
    """Count three layers a block: expand, depthwise, project."""
    widths, strides = (16, 24, 40, 80, 112, 160), (2, 2, 2, 1, 2)
    side = np.ceil(resolution / 2.0)
    layers: list[tuple[Array, Array, Array]] = []
    for block in range(20):
        stage, first = block // 4, block % 4 == 0
        n_in, n_out = widths[stage + (not first)], widths[stage + 1]
        after = np.ceil(side / strides[stage]) if first else side
        middle, taps = n_in * expands[:, block], kernels[:, block] ** 2
        weights = (n_in * middle, middle * taps, middle * n_out)
        positions = (side**2, after**2, after**2)
        moved = (
            side**2 * (n_in + middle),
            (side**2 + after**2) * middle,
            after**2 * (middle + n_out),
        )
        for weight, position, elements in zip(weights, positions, moved, strict=True):
            on = there[:, block]
            layers.append((on * weight * position, on * elements, on * weight))
        side = after
    macs, elements, weights = (np.stack(each, axis=1) for each in zip(*layers, strict=True))
    slot = np.arange(60)
    groups = {"all": slot >= 0, "depthwise": slot % 3 == 1}
    groups |= {f"stage{stage}": slot // 12 == stage for stage in range(5)}
    return cost_features(LayerCosts(macs, elements, weights), groups)


def nasbench201() -> Table:
    """All cells of NAS-Bench-201 that are connected, on six devices."""
    table = frame("nasbench201_devices")
    table = table[table["connected"]]
    operations = table[[f"op{i}" for i in range(6)]].to_numpy(dtype=np.float64)
    devices = [name for name in table.columns if name.startswith("help_lat_ms_")]
    # Some runtimes drop what leads nowhere, and others run it: count both.
    used = operations * leads_to_the_output(operations > 0.0)
    counts = [
        (each == code).sum(axis=1).astype(np.float64)
        for each in (operations, used)
        for code in range(1, 5)
    ]
    costs = [table[name].to_numpy() for name in ("c100_flops_m", "c100_params_m")]
    return Table(
        np.concatenate([one_hot(operations), one_hot(used)], axis=1),
        with_logarithms(*costs, *counts),
        table[devices].to_numpy(dtype=np.float64),
        tuple(name.removeprefix("help_lat_ms_") for name in devices),
    )


def leads_to_the_output(present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (n, 6) which edges end at a node that the last one depends on."""
    edges = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    needed = np.zeros((len(present), 4), dtype=bool)
    needed[:, 3] = True
    for edge, (start, end) in reversed(list(enumerate(edges))):
        needed[:, start] |= needed[:, end] & present[:, edge]
    return needed[:, [end for _, end in edges]]


def accel() -> Table:
    """MnasNet: expansion, kernel, layers and attention of seven blocks, on six accelerators."""
    table = frame("accel_nasbench")
    names = [f"block{b}_{part}" for b in range(7) for part in ("e", "k", "l", "se")]
    decisions = table[names].to_numpy(dtype=np.float64)
    costs = [table[name].to_numpy() for name in ("macs_m", "params_m")]
    layers = decisions[:, 2::4]
    times, devices = [], []
    for name in table.columns:
        if name.startswith("latency_") and name.endswith("_mean"):
            times.append(table[name].to_numpy())
            devices.append(name.removesuffix("_mean"))
        elif name.startswith("throughput_") and name.endswith("_mean"):
            # Milliseconds per image: what a throughput is, turned over.
            times.append(1000.0 / table[name].to_numpy())
            devices.append(name.removesuffix("_mean"))
    return Table(
        one_hot(decisions),
        with_logarithms(*costs, layers.sum(axis=1), *(layers * decisions[:, 0::4]).T),
        np.stack(times, axis=1),
        tuple(devices),
    )


def own(cache: Path, config: Path) -> Table:
    """Return what `benchmarks.own_latencies` measured: latency, and bytes of the file."""
    from benchmarks.own_latencies import evaluator_of, measured

    evaluator = evaluator_of(config)
    rows = measured(cache)
    candidates = [Candidate.from_json(row["candidate"]) for row in rows]
    paths = evaluator.architectures.all_layers
    slot_of = {path: 2 * index for index, path in enumerate(paths)}  # then the same in int8
    macs, elements, weights = np.zeros((3, len(rows), 2 * len(paths)))
    changes = np.zeros((2, len(rows)))  # between precisions: how often, and how many values
    for row, candidate in enumerate(candidates):
        precisions = candidate.part(QUANTIZATION).decisions
        layers = evaluator.architectures.layer_table(candidate.part(ARCHITECTURE))
        for layer in layers:
            slot = slot_of[layer.path] + (precisions[layer.path] == "int8")
            macs[row, slot], weights[row, slot] = layer.macs, layer.n_weights
            read = layer.n_inputs * layer.stride**2
            elements[row, slot] = layer.n_positions * (read + layer.n_outputs)
        for before, after in pairwise(layers):
            if precisions[before.path] != precisions[after.path]:
                changes[:, row] += 1.0, before.n_positions * before.n_outputs
    int8 = np.arange(2 * len(paths)) % 2 == 1
    costs = cost_features(
        LayerCosts(macs, elements, weights), {"all": int8 | True, "int8": int8, "fp32": ~int8}
    )
    return Table(
        evaluator.space.encode(candidates),
        np.concatenate([costs, with_logarithms(*changes)], axis=1),
        np.array([[row["latency_ms"], row["size_bytes"]] for row in rows], dtype=np.float64),
        ("latency_ms", "size_bytes"),
    )


def print_repeats(cache: Path) -> None:
    """Print how well a second measurement of the same networks agrees with the first."""
    from benchmarks.own_latencies import AGAIN, measured

    first = {row["number"]: row["latency_ms"] for row in measured(cache)}
    again = {row["number"]: row["latency_ms"] for row in measured(cache, AGAIN)}
    both = sorted(first.keys() & again.keys())
    if len(both) > 1:
        one, two = (np.array([of[number] for number in both]) for of in (first, again))
        relative = np.abs(two / one - 1.0)
        print(
            f"  measured again: {len(both)} networks, tau {kendall_tau(one, two):.3f}, "
            f"{(relative < 0.1).mean():.1%} within 10%, median difference {np.median(relative):.2%}"
        )


def split(table: Table, n_train: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows to learn from, and up to a thousand others."""
    order = stream(seed, "split").permutation(len(table.latencies))
    return order[:n_train], order[n_train : n_train + N_TEST]


def judged(predictor: Predictor, X: Array, y: Array, rows: NDArray[np.int64]) -> Array:
    """Return (4, m): tau, share within 10%, median relative error, coverage on `rows`."""
    prediction = predictor.predict(X[rows])
    relative = np.abs(prediction.mean / y[rows] - 1.0)
    found = quality(prediction, y[rows])
    return np.stack(
        [
            np.array([one.kendall_tau for one in found]),
            (relative < 0.1).sum(axis=0) / np.isfinite(relative).sum(axis=0),
            np.nanmedian(relative, axis=0),
            np.array([one.coverage for one in found]),
        ]
    )


def mean_over_seeds(table: Table, n_train: int, n_seeds: int) -> Array:
    """Return the mean of `judged` over splits."""
    found = []
    for seed in range(n_seeds):
        train, test = split(table, n_train, seed)
        predictor = table.predictor(seed)
        predictor.fit(table.features[train], table.latencies[train])
        found.append(judged(predictor, table.features, table.latencies, test))
    return np.asarray(np.mean(found, axis=0))


def drift(table: Table) -> Array:
    """Return (m,) correlations of each network's error with that of the next in the table."""
    n = len(table.latencies)
    errors = np.empty_like(table.latencies)
    for fold in range(3):
        held = np.arange(n) % 3 == fold
        chosen = np.flatnonzero(~held)[:: max(1, (~held).sum() // 900)]
        ridge = Transformed(BayesianRidge(), LOG)
        ridge.fit(table.costs[chosen], table.latencies[chosen])
        errors[held] = np.log(table.latencies[held] / ridge.predict(table.costs[held]).mean)
    pairs = [(one[:-1], one[1:]) for one in (e[np.isfinite(e)] for e in errors.T)]
    return np.array([np.corrcoef(*pair)[0, 1] for pair in pairs])


def print_table(name: str, table: Table, arguments: argparse.Namespace) -> None:
    """Print how each device is predicted."""
    n_train = min(arguments.train, int(0.75 * len(table.latencies)))
    few = mean_over_seeds(table, n_train, arguments.seeds)
    n_many = min(arguments.many, len(table.latencies) - 200)
    many = mean_over_seeds(table, n_many, 1) if n_many > 2 * n_train else np.full_like(few, np.nan)
    correlation = drift(table)
    print(f"\n{name}: {len(table.latencies)} networks, {n_train} learned, {arguments.seeds} splits")
    print(
        f"  {'device':<20} {'tau':>6} {'in 10%':>7} {'error':>7} {'cover':>6}  target"
        f"   after {n_many}: tau, in 10%   drift"
    )
    for m, device in enumerate(table.devices):
        tau, inside, error, coverage = few[:, m]
        met = "met" if inside >= 0.9 and tau > 0.9 else "missed"
        print(
            f"  {device:<20} {tau:6.3f} {inside:7.1%} {error:7.2%} {coverage:6.1%}  {met:<6}"
            f"   {many[0, m]:10.3f} {many[1, m]:7.1%}   {correlation[m]:5.2f}"
        )


def print_transfer(name: str, table: Table, arguments: argparse.Namespace) -> None:
    """Print 30 measurements alone, with each single other device, and with all others."""
    print(f"\n{name}: 30 measurements; sources have {arguments.many_source}; tau, in 10%")
    X, y = table.features, table.latencies
    costs = range(table.decisions.shape[1], X.shape[1])
    for target, device in enumerate(table.devices):
        alone, one_source, all_sources, wins = [], [], [], []
        others = [other for other in range(len(table.devices)) if other != target]
        for seed in range(arguments.seeds):
            order = stream(seed, "split").permutation(len(y))
            n = arguments.many_source
            train, few, test = order[:n], order[n : n + 30], order[n + 30 : n + 30 + N_TEST]
            found = []
            for sources in (others, *([other] for other in others)):
                source = Transformed(OnColumns(BayesianRidge(), costs), LOG)
                source.fit(X[train], y[np.ix_(train, sources)])
                moved = transferred_latency_predictor(source, costs=costs, seed=seed)
                found.append(learned(moved, X, y[:, [target]], few, test))
            alone.append(learned(table.predictor(seed), X, y[:, [target]], few, test))
            all_sources.append(found[0])
            one_source += found[1:]
            wins += [tau > alone[-1][0] for tau, _ in found[1:]]
        named = {"alone": alone, "one source": one_source, "all sources": all_sources}
        means = {kind: np.mean(each, axis=0) for kind, each in named.items()}
        line = "   ".join(f"{kind} {tau:.3f} {near:6.1%}" for kind, (tau, near) in means.items())
        print(f"  {device:<20} {line}   one source better: {np.mean(wins):.0%}", flush=True)


def learned(
    predictor: Predictor, X: Array, y: Array, few: NDArray[np.int64], test: NDArray[np.int64]
) -> Array:
    """Return tau, and the share within 10%, after fitting `few` rows."""
    predictor.fit(X[few], y[few])
    return judged(predictor, X, y, test)[:2, 0]


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = ("ofa", "nasbench201", "accel", "own")
    parser.add_argument("--tables", nargs="+", choices=known, default=known[:3])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--many", type=int, default=2000)
    parser.add_argument("--many-source", type=int, default=900)
    parser.add_argument("--transfer", action="store_true", help="transfer alone")
    parser.add_argument("--own", type=Path, default=Path("runs/own_latencies"))
    parser.add_argument("--config", type=Path, default=Path("configs/quickstart.yaml"))
    arguments = parser.parse_args()
    for name in arguments.tables:
        if name == "own":
            table = own(arguments.own, arguments.config)
        else:
            table = {"ofa": ofa, "nasbench201": nasbench201, "accel": accel}[name]()
        if arguments.transfer:
            print_transfer(name, table, arguments)
        else:
            print_table(name, table, arguments)
        if name == "own":
            print_repeats(arguments.own)


if __name__ == "__main__":
    main()

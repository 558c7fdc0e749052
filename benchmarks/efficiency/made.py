"""Tables that are made up, of kinds that the real ones lack: nothing was ever chosen on them.

Each follows the rules of thumb of its kind (what a layer's width is worth, what a change of
precision costs, which blocks of threads fit), with constants that a draw decides.
"""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.efficiency.made_table import DOWN, UP, Columns, Kind, MadeTable, Rows
from benchmarks.efficiency.scenario import Scenario

RECIPE = 1  # counts changes of what the tables hold
DRAWS = 2


def widths(rng: np.random.Generator) -> tuple[Rows, Columns]:
    """Six layers of five widths: latency climbs in steps of 16 channels, accuracy saturates."""
    rows = list(itertools.product((8, 16, 24, 32, 48), repeat=6))
    width = np.array(rows, dtype=float)
    worth = np.log(width / 8.0) @ rng.lognormal(0.0, 0.8, 6) / 6.0
    uneven = np.abs(np.diff(np.log(width), axis=1)).clip(0.5).mean(axis=1)
    pixels = np.array([4.0, 2.0, 2.0, 1.0, 1.0])
    tiles = np.ceil(width / 16.0) * 16.0
    milliseconds = 0.3 + (tiles[:, :-1] * tiles[:, 1:]) @ pixels / 2000.0 + tiles[:, 0] / 50.0
    return rows, {
        "accuracy": 95.0 - 8.0 * np.exp(-worth) - 3.0 * uneven + rng.normal(0.0, 0.15, len(rows)),
        "latency": milliseconds * rng.lognormal(0.0, 0.02, len(rows)),
        "macs": (width[:, :-1] * width[:, 1:]) @ pixels,
    }


def bits(rng: np.random.Generator) -> tuple[Rows, Columns]:
    """Fourteen layers in int8 or not: few of them hurt, some together; each change takes time."""
    rows = list(itertools.product(("fp32", "int8"), repeat=14))
    int8 = np.array([[option == "int8" for option in row] for row in rows], dtype=float)
    together = np.triu(rng.exponential(0.05, (14, 14)) * (rng.random((14, 14)) < 0.15), 1)
    drop = int8 @ rng.lognormal(-2.5, 1.3, 14) + ((int8 @ together) * int8).sum(axis=1)
    saved = int8 * rng.uniform(0.2, 0.75, 14)
    changes = np.abs(np.diff(int8, axis=1)).sum(axis=1)
    milliseconds = (1.0 - saved) @ rng.lognormal(0.0, 0.7, 14) + 0.12 * changes
    return rows, {
        "accuracy": 76.0 - drop + rng.normal(0.0, 0.03, len(rows)),
        "latency": milliseconds * rng.lognormal(0.0, 0.01, len(rows)),
    }


def training(rng: np.random.Generator) -> tuple[Rows, Columns]:
    """How a network is trained: a valley of errors in rate, decay, batch, dropout and size."""
    rates, decays = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1), (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
    batches, drops = (32, 64, 128, 256), (0.0, 0.1, 0.2, 0.3, 0.5)
    rows = list(
        itertools.product(rates, decays, batches, drops, (1, 2, 3, 4), (32, 64, 128, 256, 512))
    )
    rate, decay, batch, dropout, depth, width = np.array(rows, dtype=float).T
    best = rng.normal(-2.2, 0.3) + 0.15 * np.log2(batch / 128.0) - 0.15 * depth
    off = np.log10(rate) - best
    needs = 0.05 * depth + 0.02 * np.log2(width / 32.0)
    error = rng.uniform(5.0, 10.0) + 3.0 * off**2 + 6.0 * (16.0 / width) + 1.5 / depth
    error += 0.3 * (np.log10(decay + 1e-6) + 3.5) ** 2 + 20.0 * (dropout - needs) ** 2
    error = np.where(off > 1.6, 90.0, error).clip(None, 90.0)
    seconds = depth * width**1.5 / batch**0.6 + 640.0 / batch
    return rows, {
        "error": error + rng.normal(0.0, 0.25, len(rows)),
        "seconds": seconds * rng.lognormal(0.0, 0.03, len(rows)),
    }


def kernels(rng: np.random.Generator) -> tuple[Rows, Columns]:
    """Tiles of a matrix product on a GPU: what has too many threads or too much memory fails."""
    tiles, powers = (8, 16, 32, 64, 128), (1, 2, 4, 8)
    rows = list(itertools.product(tiles, tiles, (4, 8, 16, 32), powers, powers, (0, 1)))
    m, n, k, each_m, each_n, twice = np.array(rows, dtype=float).T
    threads, outputs = m * n / (each_m * each_n), each_m * each_n
    shared = 4.0 * (m + n) * k * (1.0 + twice)
    registers = 2.0 * outputs + 16.0
    busy = np.minimum(1.0, np.minimum(32768.0 / (registers * threads), 49152.0 / shared))
    scale = rng.lognormal(0.0, 0.3, 3)
    speed = -np.expm1(-outputs * scale[0] / 8.0) * -np.expm1(-k * scale[1] / 8.0)
    speed *= -np.expm1(-2.0 * scale[2] * busy)
    fits = (threads >= 16) & (threads <= 1024) & (shared <= 98304)
    time = np.where(fits, rng.lognormal(0.0, 0.04, len(rows)) / (speed + 1e-3), np.nan)
    return rows, {
        "time": time,
        "energy": time * (1.0 + 0.4 * busy) * (1.0 + 0.2 * twice) + shared / 20000.0,
    }


def depths(rng: np.random.Generator) -> tuple[Rows, Columns]:
    """One to four stages with kernel and expansion each, or without; accuracy in steps of 0.5."""
    rows: Rows = []
    for depth in (1, 2, 3, 4):
        blank = ("",) * (4 - depth)
        for kernel in itertools.product((3, 5, 7), repeat=depth):
            for expansion in itertools.product((2, 4, 6), repeat=depth):
                rows.append((depth, *kernel, *blank, *expansion, *blank))
    numbers = np.array([[float(cell or 0) for cell in row] for row in rows])
    kernel, expansion = numbers[:, 1:5], numbers[:, 5:]
    gain = np.log1p(expansion) * (1.0 + 0.15 * (kernel - 3.0))
    learned = 4.0 * gain @ np.sort(rng.uniform(0.3, 1.6, 4))[::-1]
    accuracy = 80.0 - 20.0 * np.exp(-learned / 12.0) + rng.normal(0.0, 0.2, len(rows))
    milliseconds = 1.0 + (expansion * kernel**0.7) @ np.sort(rng.uniform(0.1, 0.6, 4))[::-1]
    return rows, {
        "accuracy": np.round(2.0 * accuracy) / 2.0,
        "latency": milliseconds * rng.lognormal(0.0, 0.03, len(rows)),
    }


def rugged(rng: np.random.Generator) -> tuple[Rows, Columns]:
    """Seven categories of four; a choice is worth what two others say (NK, Kauffman 1987)."""
    rows = list(itertools.product("abcd", repeat=7))
    codes = np.array([["abcd".index(option) for option in row] for row in rows])

    def landscape() -> NDArray[np.float64]:
        total = np.zeros(len(rows))
        for position in range(7):
            others = [other for other in range(7) if other != position]
            first, second = rng.choice(others, 2, replace=False)
            worth = rng.normal(size=(4, 4, 4))
            total += worth[codes[:, position], codes[:, first], codes[:, second]]
        return total

    return rows, {"one": landscape(), "other": landscape()}


KINDS: Mapping[str, Kind] = {
    "widths": Kind(widths, {"accuracy": UP, "latency": DOWN, "macs": DOWN}, cheap=("macs",)),
    "bits": Kind(bits, {"accuracy": UP, "latency": DOWN}, unordered=range(14)),
    "training": Kind(training, {"error": DOWN, "seconds": DOWN}),
    "kernels": Kind(kernels, {"time": DOWN, "energy": DOWN}),
    "depths": Kind(depths, {"accuracy": UP, "latency": DOWN}),
    "rugged": Kind(rugged, {"one": UP, "other": UP}, unordered=range(7)),
}


def made() -> Iterator[Scenario]:
    """Each kind, drawn some times."""
    for name in KINDS:
        for draw in range(DRAWS):
            yield made_scenario(name, draw)


def made_scenario(name: str, draw: int) -> Scenario:
    """Return one, whose table is made if the cache has none."""
    table = MadeTable("made", name, KINDS[name], draw, RECIPE)
    table.make()
    return table.scenario()

"""What it costs to have a target on another machine, and whether its latencies are the same.

`python -m benchmarks.remote_target --connection ssh=user@host`. With an address of this very
machine, latencies by either way are of one processor and should agree.
"""

import argparse
import sys
import time

import numpy as np

from niwaki.targets.machine import load_average
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.remote.connection import connection_to
from niwaki.targets.remote.target import RemoteOnnxRuntime
from tests.targets.networks import conv_net, image

MODELS = {"small": (32, 48, 6), "large": (48, 64, 9)}
N_RUNS = 50
BATCH = 64


def seconds_of_a_start(way: str) -> float:
    """Connect, send what is needed there, and ask what the target is."""
    connection_to(way).close()
    started = time.perf_counter()
    RemoteOnnxRuntime(connection=way).calibrate()
    here = time.perf_counter()
    RemoteOnnxRuntime(connection=way).calibrate()
    return (here - started) - (time.perf_counter() - here)


def ratios(way: str, n_repeats: int) -> dict[str, np.ndarray]:
    """Return (n_repeats, 2) ratios to the reference model by model: measured here, and over there.

    Both are measured with one nominal time, in turns.
    """
    here, there = OnnxRuntimeCpu(), RemoteOnnxRuntime(connection=way)
    found: dict[str, list[list[float]]] = {name: [] for name in MODELS}
    for seed in range(n_repeats):
        for name, (channels, size, depth) in MODELS.items():
            model, feeds = conv_net(channels, size, depth), image(size)
            pair = [t.measure([model], [feeds], seed=seed)[0].ratio for t in (here, there)]
            found[name].append(pair)
    return {name: np.array(pairs) for name, pairs in found.items()}


def milliseconds_of_a_run(target: OnnxRuntimeCpu | RemoteOnnxRuntime, n_items: int) -> float:
    """Time runs of one small model, answers brought back; the first, which sends it, left out."""
    channels, size, depth = MODELS["small"]
    run = target.open(conv_net(channels, size, depth, batch="batch"))
    feeds = image(size, n_items=n_items)
    run(feeds)
    started = time.perf_counter()
    for _ in range(N_RUNS):
        run(feeds)
    return 1e3 * (time.perf_counter() - started) / N_RUNS


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connection", required=True, help="as in `target.connection`")
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    way, write = arguments.connection, sys.stdout.write
    write(f"load average {load_average():.1f}\n")
    write(f"a start: {seconds_of_a_start(way):.2f} s\n")
    here, there = OnnxRuntimeCpu(), RemoteOnnxRuntime(connection=way)
    for n_items in (1, BATCH):
        one, other = (milliseconds_of_a_run(t, n_items) for t in (here, there))
        write(f"a run of {n_items} items: {one:.2f} ms here, {other:.2f} ms over there\n")
    for name, pairs in ratios(way, arguments.repeats).items():
        apart = pairs[:, 1] / pairs[:, 0]
        spread = pairs.std(axis=0) / pairs.mean(axis=0)
        write(
            f"{name}: over there / here {np.median(apart):.3f}, quartiles "
            f"{np.percentile(apart, 25):.3f} to {np.percentile(apart, 75):.3f}; "
            f"sd {spread[0]:.1%} here, {spread[1]:.1%} over there\n"
        )


if __name__ == "__main__":
    main()

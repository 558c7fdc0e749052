"""How far latencies of one model spread on a busy machine: raw medians beside what is reported.

Run it by hand, for minutes: `python -m benchmarks.latency_spread --compute 2 --memory 2`.
The last results are in `niwaki/targets/README.md`.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable

import numpy as np

from niwaki.targets.base import Effort
from niwaki.targets.latency import Latency
from niwaki.targets.machine import load_average
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from tests.targets.networks import conv_net, image

MODELS = {"small": (32, 48, 6), "large": (48, 64, 9)}


def compute() -> None:
    """Keep one core busy inside its caches, for ever."""
    values = np.random.default_rng(0).random(50_000)
    while True:
        np.sqrt(values * values)


def memory() -> None:
    """Stream through 64 MB, for ever: evicts what others keep in the shared cache."""
    values = np.zeros(8_000_000)
    while True:
        values = values[::-1].copy()


def spread(values: list[float]) -> str:
    """Median, coefficient of variation, and range over the median."""
    found = np.array(values)
    median = float(np.median(found))
    return (
        f"{median:8.3f} ms   sd {100 * found.std() / found.mean():5.1f}%   "
        f"range {100 * np.ptp(found) / median:6.1f}%"
    )


def measure_all(n_repeats: int, effort: Effort) -> dict[str, list[Latency]]:
    """Measure every model `n_repeats` times, in turns, so that slow changes reach all of them."""
    target = OnnxRuntimeCpu()
    found: dict[str, list[Latency]] = {name: [] for name in MODELS}
    for seed in range(n_repeats):
        for name, (channels, size, depth) in MODELS.items():
            model, feeds = conv_net(channels, size, depth), image(size)
            found[name] += target.measure([model], [feeds], effort=effort, seed=seed)
    return found


def main() -> None:
    """Measure in turns, and print the spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compute", type=int, default=0, help="busy processes")
    parser.add_argument("--memory", type=int, default=0, help="processes that stream memory")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--effort", choices=list(Effort), default=Effort.QUICK, type=Effort)
    arguments = parser.parse_args()
    loads: list[Callable[[], None]] = [compute] * arguments.compute + [memory] * arguments.memory
    others = [multiprocessing.Process(target=load, daemon=True) for load in loads]
    for other in others:
        other.start()
    started = time.perf_counter()
    found = measure_all(arguments.repeats, arguments.effort)
    seconds = (time.perf_counter() - started) / (arguments.repeats * len(MODELS))
    for other in others:
        other.terminate()
    write = sys.stdout.write
    write(f"load average {load_average():.1f}, {seconds:.2f} s per measurement\n")
    for name, latencies in found.items():
        nominal = min(latency.reference_ms for latency in latencies)
        truth = float(np.median([latency.ratio for latency in latencies]))
        inside = np.mean([one.ratio_low <= truth <= one.ratio_high for one in latencies])
        write(f"{name} p50 wall   {spread([one.p50_ms for one in latencies])}\n")
        write(f"{name} reported   {spread([one.ratio * nominal for one in latencies])}\n")
        write(f"{name} intervals  {inside:.0%} hold the median of all repeats\n")


if __name__ == "__main__":
    main()

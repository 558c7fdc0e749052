"""A training beside other programs: what do threads cost that burn their cores while they wait?

A small convolutional network is trained on noise by several threads, in a process of its own for
each policy, while other processes keep cores busy. GNU OpenMP, which torch uses on Linux, lets a
thread that waits for others spin before it sleeps; niwaki shortens that (`niwaki/__init__.py`).

Run: python -m benchmarks.waiting_threads
     python -m benchmarks.waiting_threads --threads 8 --beside 0 8 16
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

SPIN, POLICY = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"
SECONDS = 8.0


def timed_steps(n_threads: int) -> Mapping[str, float]:
    """Train for some seconds, and return milliseconds and processor milliseconds per step."""
    import torch

    torch.set_num_threads(n_threads)
    layers = [
        torch.nn.Sequential(
            torch.nn.Conv2d(24, 24, 3, padding=1), torch.nn.BatchNorm2d(24), torch.nn.ReLU()
        )
        for _ in range(12)
    ]
    network = torch.nn.Sequential(*layers)
    optimiser = torch.optim.SGD(network.parameters(), 0.01)
    images = torch.randn(64, 24, 24, 24)

    def step() -> None:
        optimiser.zero_grad()
        network(images).square().mean().backward()
        optimiser.step()

    step()
    started, processor, n = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - started < SECONDS:
        step()
        n += 1
    wall, processor = time.perf_counter() - started, time.process_time() - processor
    return {"wall_ms": 1e3 * wall / n, "processor_ms": 1e3 * processor / n}


@contextmanager
def busy(n: int) -> Iterator[None]:
    """Keep `n` other processes busy meanwhile."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def measured(start: str, chosen: Mapping[str, str], n_threads: int) -> Mapping[str, float]:
    """Return what `timed_steps` measures in a process that starts so, with some variables."""
    kept = {name: value for name, value in os.environ.items() if name not in (SPIN, POLICY)}
    steps = f"print(json.dumps(benchmarks.waiting_threads.timed_steps({n_threads})))"
    command = [sys.executable, "-c", f"{start}; import json, benchmarks.waiting_threads; {steps}"]
    answer = subprocess.check_output(command, env={**kept, **chosen}, text=True)
    found: dict[str, float] = json.loads(answer)
    return found


def main() -> None:
    """Measure each policy beside so many busy processes, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--beside", type=int, nargs="*", default=[0, 1, 2, 4])
    options = parser.parse_args()
    policies: dict[str, tuple[str, Mapping[str, str]]] = {
        "as GNU OpenMP has them": ("pass", {}),
        "as niwaki has them": ("import niwaki", {}),
        "asleep at once": ("pass", {POLICY: "passive"}),
    }
    print("| threads that wait | " + " | ".join(f"{n} beside" for n in options.beside) + " |")
    print("|---" * (1 + len(options.beside)) + "|")
    for name, (start, chosen) in policies.items():
        cells = []
        for n in options.beside:
            with busy(n):
                found = measured(start, chosen, options.threads)
            cells.append(f"{found['wall_ms']:.0f} ({found['processor_ms']:.0f})")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

"""What can be pruned: idioms and architectures, beside torch-pruning, in one run.

Run: python benchmarks/pruning_coverage.py [--width 1.0] [--tables zoo timm] [--names resnet50 ...]

A model counts as right if it became smaller, runs, and computes what the original computes with the
removed slices zeroed. All weights are random. Idioms and architectures are niwaki's own; models of
other libraries are asked for by name of the library. The former take about ten minutes at width 1.0
on two idle cores.
"""

import argparse
import contextlib
import io
import json
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pruning_engines import ENGINES, VERDICTS, Outcome
from benchmarks.public_models import LIBRARIES, Case, zoo
from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.model_calls import call_model
from niwaki.testing.pruning_idioms import IDIOMS


class TooLong(BaseException):
    """An engine did not end in time; no error, since engines may catch those."""


@contextlib.contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise inside of the block when it takes too long."""

    def stop(*_: object) -> None:
        raise TooLong(f"not done after {seconds} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def macs_of(module: nn.Module, inputs: Any) -> float:
    """Return what torch counts."""
    torch.backends.mha.set_fastpath_enabled(False)  # its fused operation is not counted
    counter = FlopCounterMode(display=False)
    frozen = copied(module).requires_grad_(False)  # it fails on views of parameters that are not
    with counter, torch.no_grad():
        call_model(frozen, inputs)
    return counter.get_total_flops() / 2


def run(case: Case, engine: str, *, seed: int, limit_s: int) -> tuple[Outcome, float]:
    """Return what an engine made of a case, and the share of the MACs that is left."""
    torch.manual_seed(seed)
    module = case.make().eval()
    inputs = case.inputs()
    try:
        with (
            time_limit(limit_s),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            outcome = ENGINES[engine](module, inputs, case.exact)
    except TooLong as error:
        outcome = Outcome("error", note=str(error))
    if outcome.verdict != "right" or outcome.module is None:
        return outcome, 1.0
    return outcome, macs_of(outcome.module, inputs) / macs_of(module, inputs)


def battery() -> list[Case]:
    """Return the idioms."""
    return [Case(i.name, i.make, i.inputs, i.exact) for i in IDIOMS.values()]


def measure(cases: list[Case], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Run every case on every engine, printing a line for each."""
    rows = []
    for case in cases:
        if arguments.names and case.name not in arguments.names:
            continue
        row: dict[str, Any] = {"name": case.name}
        for engine in arguments.engines:
            outcome, macs_left = run(case, engine, seed=arguments.seed, limit_s=arguments.limit_s)
            row[engine] = {
                "verdict": outcome.verdict,
                "macs_removed": 1.0 - macs_left,
                "parameters_removed": 1.0 - outcome.left,
                "analysis_s": outcome.seconds,
                "total_s": outcome.total_seconds,
                "note": outcome.note,
            }
        rows.append(row)
        print(line(row, arguments.engines), flush=True)
    return rows


def line(row: Mapping[str, Any], engines: list[str]) -> str:
    """Return one line of the table."""
    cells = [f"{row['name']:<30}"]
    for engine in engines:
        found = row[engine]
        cells.append(
            f"{found['verdict']:<8}{found['macs_removed']:>5.0%} MACs "
            f"{found['analysis_s']:>6.2f} s {found['total_s']:>6.2f} s"
        )
    return " | ".join(cells)


def summary(rows: list[dict[str, Any]], engines: list[str]) -> None:
    """Print how often each verdict came."""
    print(f"\n{len(rows)} models" + " " * 8 + "  ".join(f"{verdict:>8}" for verdict in VERDICTS))
    for engine in engines:
        counts = Counter(row[engine]["verdict"] for row in rows)
        print(f"{engine:<16}" + "  ".join(f"{counts[verdict]:>8}" for verdict in VERDICTS))
    for engine in engines:
        for row in rows:
            if row[engine]["note"]:
                print(f"  {engine}: {row['name']}: {row[engine]['note']}")
    print()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=float, default=1.0, help="of the architectures")
    parser.add_argument(
        "--tables",
        nargs="*",
        default=["battery", "zoo"],
        choices=["battery", "zoo", *LIBRARIES],
    )
    parser.add_argument("--names", nargs="*")
    parser.add_argument("--engines", nargs="*", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit-s", type=int, default=120, help="for one model and engine")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    arguments = parser.parse_args()
    print(f"per engine ({', '.join(arguments.engines)}): verdict, MACs removed, ")
    print("seconds of the processor to find the groups, and with proofs and pruning\n")
    figures = {}
    tables: dict[str, Callable[[], list[Case]]] = {
        "battery": battery,
        "zoo": lambda: zoo(arguments.width),
        **LIBRARIES,
    }
    for table in arguments.tables:
        print(table)
        figures[table] = measure(tables[table](), arguments)
        summary(figures[table], arguments.engines)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())

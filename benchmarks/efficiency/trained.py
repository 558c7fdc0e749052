"""Tables of what was really trained and tried, of other kinds than those that are read.

Nothing was chosen on them. Each takes 1 to 3 minutes to make, so that this is asked for.

Run: python -m benchmarks.efficiency.trained
"""

import time
from collections.abc import Iterator, Mapping

import torch

from benchmarks.efficiency.made_table import DOWN, UP, Kind, MadeTable
from benchmarks.efficiency.scenario import Scenario
from benchmarks.efficiency.trained_networks import precisions, widths
from benchmarks.efficiency.trained_settings import forests, trainings

RECIPE = 1  # counts changes of what the tables hold
DRAWS = 2
REMEDY = "python -m benchmarks.efficiency.trained makes them"

KINDS: Mapping[str, Kind] = {
    "precisions": Kind(precisions, {"accuracy": UP, "bytes": DOWN}),
    "widths": Kind(widths, {"accuracy": UP, "macs": DOWN}),
    "trainings": Kind(trainings, {"error": DOWN, "work": DOWN}),
    "forests": Kind(forests, {"error": DOWN, "nodes": DOWN}, unordered=(0, 4)),
}


def trained() -> Iterator[Scenario]:
    """Those that have been made."""
    return (table.scenario() for table in _tables() if table.file.exists())


def not_made() -> list[str]:
    """Return the names of the scenarios whose tables the cache lacks."""
    return [f"trained/{t.name}/{t.draw}" for t in _tables() if not t.file.exists()]


def _tables() -> Iterator[MadeTable]:
    for name, kind in KINDS.items():
        for draw in range(DRAWS):
            yield MadeTable("trained", name, kind, draw, RECIPE)


def main() -> None:
    """Make those that the cache lacks."""
    torch.set_num_threads(1)
    for table in _tables():
        began = time.monotonic()
        table.make()
        seconds = time.monotonic() - began
        n_rows = len(table.scenario().grid)
        print(f"trained/{table.name}/{table.draw}: {n_rows} rows, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()

"""Finished runs as Markdown: a table per scenario, and who needs how much less than whom."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.efficiency.scenario import SHARES, Scenario

HEADER = "| searcher | seeds | " + " | ".join(f"{share:.0%}" for share in SHARES) + " | seconds |"
RULE = "|---" * (3 + len(SHARES)) + "|"


@dataclass(frozen=True)
class Needed:
    """What one searcher needed on one scenario.

    Attributes:
        counts: (seeds, shares) evaluations until each of `SHARES`; inf if it was not reached.
        allowed: Evaluations that every run made, or was allowed.
        seconds: Of each run.
        n_stuck: Runs that stopped before that because they only repeated themselves, or because the
            searcher had no more candidates.
        budget: Evaluations after which every run was stopped, however many those made that ended
            earlier.
    """

    counts: tuple[tuple[float, ...], ...]
    allowed: int
    seconds: tuple[float, ...]
    n_stuck: int
    budget: int

    @property
    def medians(self) -> list[float]:
        """Median over seeds for each share: inf if half of them or more did not reach it."""
        return [float(np.median(column)) for column in zip(*self.counts, strict=True)]

    def cell(self, column: int) -> str:
        """Return median and quartiles as text; what was not reached is `> allowed`."""
        counts = [row[column] for row in self.counts]
        # Quartiles that are counts of real runs: nothing can be interpolated with "not reached".
        quartiles = np.quantile(counts, (0.25, 0.75), method="closest_observation")
        low, high = (self.number(quartile) for quartile in quartiles)
        return f"{self.number(self.medians[column])} ({low}, {high})"

    def number(self, count: float) -> str:
        """Return a count as text."""
        return f"> {self.allowed}" if math.isinf(count) else f"{count:g}"


def of_scenario(scenario: Scenario, results: Mapping[str, Needed]) -> Iterator[str]:
    """Yield the lines of one scenario's table."""
    n_rows, n_objectives = scenario.truth.shape
    yield f"\n### {scenario.name} ({n_rows} rows, {n_objectives} objectives)\n"
    if scenario.judged_by:
        yield f"All rows evaluated would reach {scenario.ceiling:.3f}.\n"
    yield HEADER
    yield RULE
    for name, needed in results.items():
        cells = " | ".join(needed.cell(column) for column in range(len(SHARES)))
        seconds = f"{np.median(needed.seconds):.0f}"
        yield f"| {name} | {len(needed.counts)} | {cells} | {seconds} |"
    for name, needed in results.items():
        if needed.n_stuck:
            yield f"\n{name}: {needed.n_stuck} of {len(needed.counts)} runs ended early."


def ratio(ours: Needed, others: Mapping[str, Needed], column: int) -> tuple[float, str]:
    """Return our median over the best other one's, and as text with that one's name.

    Others that were stopped before the best one reached it, or before anyone did, might have been
    first: the ratio is an upper bound then, from the least that those were allowed.
    """
    mine = ours.medians[column]
    best = min(others, key=lambda name: others[name].medians[column])
    theirs = others[best].medians[column]
    if math.isinf(mine):
        return (math.nan, "neither") if math.isinf(theirs) else (mine, f"not reached ({best} did)")
    stopped = [each.budget for each in others.values() if math.isinf(each.medians[column])]
    surely = min([theirs, *stopped])  # evaluations that every other one needs, at least
    if surely == theirs:
        return mine / theirs, f"{mine / theirs:.2f} ({best})"
    most = math.ceil(round(100.0 * mine / surely, 9)) / 100.0
    if math.isinf(theirs):
        return mine / surely, f"< {most:.2f} (no one)"
    return mine / surely, f"{mine / theirs:.2f} to {most:.2f} ({best})"


def compared(
    title: str, results: Mapping[str, Mapping[str, Needed]], ours: str, others: Sequence[str]
) -> Iterator[str]:
    """Yield a table of ratios: `ours` over the best of `others`, scenario by scenario.

    Args:
        title: What is compared.
        results: By scenario, then by searcher.
        ours: Name of a searcher.
        others: Names of searchers; those that did not run are left out.
    """
    yield f"\n### {title}\n"
    yield "| scenario | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |"
    yield "|---" * (1 + len(SHARES)) + "|"
    ratios: list[list[float]] = []
    for scenario, by_name in results.items():
        there = {name: by_name[name] for name in others if name in by_name}
        if ours not in by_name or not there:
            continue
        found = [ratio(by_name[ours], there, column) for column in range(len(SHARES))]
        ratios.append([value for value, _ in found])
        yield f"| {scenario} | " + " | ".join(text for _, text in found) + " |"
    if ratios:
        cells = [_middle([row[column] for row in ratios]) for column in range(len(SHARES))]
        yield "| **median, worst** | " + " | ".join(cells) + " |"


def _middle(ratios: Sequence[float]) -> str:
    known = [value for value in ratios if not math.isnan(value)]
    return f"{np.median(known):.2f}, {max(known):.2f}" if known else "neither"

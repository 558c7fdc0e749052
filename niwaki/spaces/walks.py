"""Sampling, mutation and crossover of any space, by answering its walk."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from niwaki.core.candidate import Candidate, Value
from niwaki.spaces.base import Choose, Space

MEAN_RUN = 4.0

# Path and options of each decision that could be otherwise, in order of walking.
Free: TypeAlias = list[tuple[str, tuple[Value, ...]]]


def at_random(rng: np.random.Generator) -> Choose:
    """Answer every decision uniformly."""

    def choose(path: str, options: Sequence[Value]) -> Value:  # noqa: ARG001
        return options[int(rng.random() * len(options))]

    return choose


def resample(
    space: Space,
    candidate: Candidate,
    rng: np.random.Generator,
    *,
    mean_changes: float = 1.5,
    run_share: float = 0.25,
) -> Candidate:
    """Return a neighbour of `candidate`: one decision changed for sure, a few more perhaps.

    Mostly single decisions are drawn anew, a geometric number of them with the given mean. At times
    a run of neighbouring decisions with the same options gets one common value: what is decided
    layer by layer, such as a precision, often pays only over several layers in a row. Decisions
    that the change activates are drawn at random; all others keep their value. Returns `candidate`
    itself only if every decision has but one option, so that the space has no other candidate.
    """
    kept = candidate.decisions
    free = _free_decisions(space, candidate)
    if not free:
        return candidate
    wanted = _a_run(kept, free, rng) if rng.random() < run_share else {}
    wanted = wanted or _single_changes(kept, free, rng, mean_changes)
    anew = at_random(rng)

    def choose(path: str, options: Sequence[Value]) -> Value:
        value = wanted.get(path, kept.get(path))
        if (path in wanted or path in kept) and value in options:
            return value
        return anew(path, options)

    # The first wanted change always holds: nothing before it differs, so neither do its options.
    return space.decide(choose)


def _single_changes(
    kept: Mapping[str, Value], free: Free, rng: np.random.Generator, mean_changes: float
) -> dict[str, Value]:
    """Return new values for a few decisions."""
    n_changes = min(int(rng.geometric(1.0 / mean_changes)), len(free))
    anew = at_random(rng)
    chosen = [free[i] for i in rng.choice(len(free), size=n_changes, replace=False)]
    return {
        path: anew(path, [option for option in options if option != kept[path]])
        for path, options in chosen
    }


def _a_run(kept: Mapping[str, Value], free: Free, rng: np.random.Generator) -> dict[str, Value]:
    """Return one common value for a run of neighbours; empty if it would change nothing."""
    start = int(rng.integers(len(free)))
    options = free[start][1]
    value = options[int(rng.integers(len(options)))]
    stop = start + 1 + int(rng.geometric(1.0 / MEAN_RUN))
    run: dict[str, Value] = {}
    for path, others in free[start:stop]:
        if others != options:
            break
        run[path] = value
    return run if any(kept[path] != value for path in run) else {}


def _free_decisions(space: Space, candidate: Candidate) -> Free:
    """Return the decisions of a candidate that have more than one option, in order of walking."""
    free: Free = []

    def choose(path: str, options: Sequence[Value]) -> Value:
        if len(options) > 1:
            free.append((path, tuple(options)))
        return candidate.decisions[path]

    space.decide(choose)
    return free


def recombine(
    space: Space, first: Candidate, second: Candidate, rng: np.random.Generator
) -> Candidate:
    """Return a child of two parents: scattered decisions from either, or one run from one of them.

    Which of the two is a coin's choice: runs keep together what belongs together, such as the
    precisions of neighbouring layers. A decision that only one parent has comes from that one; one
    that neither has is drawn.

    References:
        Syswerda, ICGA 1989, "Uniform crossover in genetic algorithms", and De Jong, 1975 (two-point
        crossover); here over active decisions, in order of walking.
    """
    if rng.random() < 0.5:
        first, second = second, first
    parents: tuple[Mapping[str, Value], ...] = (first.decisions, second.decisions)
    anew = at_random(rng)
    in_a_run = rng.random() < 0.5
    start, stop = sorted(rng.integers(len(first.items) + 1, size=2).tolist())
    n_asked = 0

    def choose(path: str, options: Sequence[Value]) -> Value:
        nonlocal n_asked
        from_second = start <= n_asked < stop if in_a_run else rng.random() < 0.5
        n_asked += 1
        for parent in (1, 0) if from_second else (0, 1):
            if path in parents[parent] and parents[parent][path] in options:
                return parents[parent][path]
        return anew(path, options)

    return space.decide(choose)


def every_candidate(space: Space) -> Iterator[Candidate]:
    """Yield the candidates one by one, as the space lists them or else as a walk meets them."""
    listing = space.listing()
    return walked(space) if listing is None else listing


def walked(space: Space) -> Iterator[Candidate]:
    """Yield what a walk meets, first options first; endless if the space is.

    Several ways may lead to one candidate where candidates are derived.
    """
    answers: list[int] = []
    while True:
        n_options: list[int] = []

        def choose(
            path: str,  # noqa: ARG001
            options: Sequence[Value],
            answers: "list[int]" = answers,
            n_options: "list[int]" = n_options,
        ) -> Value:
            n_options.append(len(options))
            n_asked = len(n_options)
            return options[answers[n_asked - 1] if n_asked <= len(answers) else 0]

        yield space.decide(choose)
        answers = answers + [0] * (len(n_options) - len(answers))
        while answers and answers[-1] + 1 == n_options[len(answers) - 1]:
            answers.pop()
        if not answers:
            return
        answers[-1] += 1


def corners(space: Space) -> tuple[Candidate, ...]:
    """Return the candidates that decide for the first, and for the last, option everywhere.

    Where options are sorted, as widths are, these are the smallest and the largest network: good
    first candidates of a search that weighs size against quality.
    """
    first = space.decide(lambda path, options: options[0])  # noqa: ARG005
    last = space.decide(lambda path, options: options[-1])  # noqa: ARG005
    return (first,) if first == last else (first, last)

"""Sampling, mutation and crossover of any space, by answering its walk."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from niwaki.core.candidate import Candidate, Value
from niwaki.spaces.base import Choose, Space


def at_random(rng: np.random.Generator) -> Choose:
    """Answer every decision uniformly."""

    def choose(path: str, options: Sequence[Value]) -> Value:  # noqa: ARG001
        return options[int(rng.random() * len(options))]

    return choose


def resample(
    space: Space, candidate: Candidate, rng: np.random.Generator, *, mean_changes: float = 1.5
) -> Candidate:
    """Return a neighbour of `candidate`: one decision changed for sure, a few more perhaps.

    Decisions that the change activates are drawn at random; all others keep their value. The number
    of changes is geometric with the given mean. Returns `candidate` itself only if every decision
    has but one option, so that the space has no other candidate.
    """
    kept = candidate.decisions
    free = _free_paths(space, candidate)
    if not free:
        return candidate
    n_changes = min(int(rng.geometric(1.0 / mean_changes)), len(free))
    changed = {free[i] for i in rng.choice(len(free), size=n_changes, replace=False)}
    anew = at_random(rng)

    def choose(path: str, options: Sequence[Value]) -> Value:
        value = kept.get(path)
        if path not in kept or value not in options:
            return anew(path, options)
        if path not in changed:
            return value
        # An earlier change may have left one option only; the child differs by that change then.
        return anew(path, [option for option in options if option != value] or options)

    return space.decide(choose)


def _free_paths(space: Space, candidate: Candidate) -> list[str]:
    """Return the decisions of a candidate that have more than one option."""
    free: list[str] = []

    def choose(path: str, options: Sequence[Value]) -> Value:
        if len(options) > 1:
            free.append(path)
        return candidate.decisions[path]

    space.decide(choose)
    return free


def recombine(
    space: Space, first: Candidate, second: Candidate, rng: np.random.Generator
) -> Candidate:
    """Return a child of two parents: each decision from either, with equal chance.

    A decision that only one parent has comes from that one; one that neither has is drawn.

    References:
        Syswerda, ICGA 1989, "Uniform crossover in genetic algorithms"; here over active decisions.
    """
    parents: tuple[Mapping[str, Value], ...] = (first.decisions, second.decisions)
    anew = at_random(rng)

    def choose(path: str, options: Sequence[Value]) -> Value:
        order = (0, 1) if rng.random() < 0.5 else (1, 0)
        for parent in order:
            if path in parents[parent] and parents[parent][path] in options:
                return parents[parent][path]
        return anew(path, options)

    return space.decide(choose)


def every_candidate(space: Space) -> Iterator[Candidate]:
    """Yield the candidates one by one, first options first; endless if the space is."""
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

"""Toys in trouble: noisy, relabelled, failing, partly forbidden.

A searcher that only works on tidy problems shows it here.

References:
    Wrapping a problem so is Vizier's idea: Song et al., AutoML 2022, "Open Source Vizier:
    distributed infrastructure and API for reliable and flexible black-box optimization".
"""

from dataclasses import replace

import numpy as np

from niwaki.core.candidate import Candidate, Value
from niwaki.core.constraints import Bound
from niwaki.core.measurement import Measurement, Status
from niwaki.core.randomness import stream
from niwaki.testing.toys import WIDTHS, Toy, flat_toy, joint_toy

NOISE = 0.15  # in accuracy, and as a share of cost
FAILING_SHARE = 1 / 3
DEAREST = Bound("cost", 1.0, 15.0)
WORST = Bound("accuracy", -1.0, -7.5)


def all_toys() -> tuple[Toy, ...]:
    """Return every toy that a good searcher beats random search on."""
    flat, joint = flat_toy(), joint_toy()
    return (
        flat,
        joint,
        replace(flat, name="noisy", trouble=noisy),
        replace(joint, name="permuted", relabel=permuted),
        replace(flat, name="failing", trouble=failing),
        replace(joint, name="bounded", trouble=turned_away, bounds=(DEAREST, WORST)),
    )


def noisy(measurement: Measurement) -> Measurement:
    """Move the values by a draw of the candidate's own, the same each time."""
    errors = stream(0, "noise", measurement.key).normal(0.0, NOISE, size=2)
    accuracy = measurement.values["accuracy"] + float(errors[0])
    cost = measurement.values["cost"] * float(np.exp(errors[1]))
    return replace(measurement, values={"accuracy": accuracy, "cost": cost})


def permuted(candidate: Candidate) -> Candidate:
    """Let the widths mean one another, in each layer differently: their order says nothing."""
    return Candidate.of({path: _permuted(path, value) for path, value in candidate.items})


def failing(measurement: Measurement) -> Measurement:
    """Fail for a third of the candidates, always the same ones."""
    if stream(0, "failure", measurement.key).random() < FAILING_SHARE:
        return Measurement(measurement.key, status=Status.FAILED, reason="the loss exploded")
    return measurement


def turned_away(measurement: Measurement) -> Measurement:
    """Turn away what costs too much, as a cheap count does; what errs too much comes through."""
    counts = {"cost": measurement.values["cost"]}
    if DEAREST.violation(counts) == 0.0:
        return measurement
    return replace(measurement, values=counts, status=Status.INFEASIBLE, reason="it costs too much")


def _permuted(path: str, value: Value) -> Value:
    if value not in WIDTHS:
        return value
    order = stream(0, "permutation", path).permutation(len(WIDTHS))
    return WIDTHS[int(order[WIDTHS.index(value)])]

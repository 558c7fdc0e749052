"""What was found, in one sentence a person understands."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Direction, Objective
from niwaki.report.failures import group_failures
from niwaki.report.models import Models, State
from niwaki.report.units import COUNT, TIMES, difference, quantity, unit_of

MAX_PHRASES = 4
# Below this factor a ratio tells less than the two numbers.
MIN_RATIO = 1.05


@dataclass(frozen=True)
class Headline:
    """The first sentences of the page.

    Attributes:
        text: What was found.
        source: Where its numbers come from; empty if it has none.
    """

    text: str
    source: str = ""


def headline(models: Models) -> Headline:
    """Say what the study found, or why it found nothing."""
    data = models.data
    if not data.trials:
        running = data.status == "running"
        return Headline("Nothing has been evaluated yet." if running else "Nothing was evaluated.")
    if not models.front:
        return Headline(_nothing_found(models))
    values, reference, source = _compared(models)
    phrases = [_phrase(o, values, reference, models) for o in data.objectives[:MAX_PHRASES]]
    found = ", ".join(phrase for phrase in phrases if phrase)
    return Headline(f"{_opening(models)} {found}.", source)


def _opening(models: Models) -> str:
    if len(models.data.objectives) == 1:
        return f"The best of {len(models.measured)} measured models:"
    if len(models.front) == 1:
        return "One model is on the front:"
    return f"{len(models.front)} models on the front. At its knee:"


def _compared(models: Models) -> tuple[Mapping[str, float], Mapping[str, float], str]:
    """Return the values of the knee and of the baseline, measured alike, and where they are from.

    Exported models are compared only if both were exported: numbers of two data splits side by side
    would claim a change that nobody measured.
    """
    data = models.data
    shown = models.find([data.knee_key]) or models.front
    found = models.rows[shown[0]].measurement
    exported = data.finals.get(found.key)
    if exported is not None and exported.complete:
        if data.baseline is None:
            return exported.values, {}, "Values of the exported model."
        if data.baseline.key in data.finals:
            reference = data.finals[data.baseline.key].values
            return exported.values, reference, "Values of the exported models, knee and baseline."
    return found.values, _values(data.baseline), "Values as measured during the search."


def _values(measurement: Measurement | None) -> Mapping[str, float]:
    return {} if measurement is None else measurement.values


def _phrase(
    objective: Objective,
    values: Mapping[str, float],
    reference: Mapping[str, float],
    models: Models,
) -> str:
    """Return `latency_ms 0.42 ms (3.1× faster than the baseline)`, or less if less is known."""
    value = values.get(objective.name, math.nan)
    if not math.isfinite(value):
        return ""
    unit = unit_of(objective.name, models.data.objectives)
    text = f"{objective.name} {quantity(value, unit)}"
    change = _change(objective, unit, value, reference.get(objective.name, math.nan))
    return f"{text} ({change})" if change else text


def _change(objective: Objective, unit: str, value: float, reference: float) -> str:
    if not math.isfinite(reference):
        return ""
    scale = unit in TIMES or unit in {"bytes", COUNT}
    if scale and objective.direction is Direction.MINIMIZE and min(value, reference) > 0.0:
        ratio = max(value, reference) / min(value, reference)
        if ratio < MIN_RATIO:
            return "as the baseline"
        better, worse = ("faster", "slower") if unit in TIMES else ("smaller", "larger")
        return f"{ratio:.1f}× {better if value < reference else worse} than the baseline"
    return f"{difference(value, reference)} against the baseline"


def _nothing_found(models: Models) -> str:
    n_trials = len(models.data.trials)
    groups = group_failures(models.rows)
    n_failed = models.count(State.FAILED)
    if n_failed == n_trials:
        return f"All {n_trials} evaluations failed, most often because: {groups[0].reason}"
    counts = {
        "failed": n_failed,
        "were turned away by a cheap count": models.count(State.INFEASIBLE),
        "broke a constraint when measured": models.count(State.OUTSIDE),
    }
    told = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
    return f"No model is on the front: of {n_trials} evaluations, {told or 'none has every value'}."

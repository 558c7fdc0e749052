"""What was found, in words and numbers a person understands."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Direction, Objective
from niwaki.report.data import ReportData
from niwaki.report.failures import group_failures
from niwaki.report.models import Models, State
from niwaki.report.units import BYTES, COUNT, TIMES, difference, quantity, unit_of

MAX_OBJECTIVES = 4
# Below this factor a ratio tells less than the two numbers.
MIN_RATIO = 1.05
_TIMES_SIGN = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Headline:
    """The first sentences of the page.

    Attributes:
        text: What was found.
        source: Where its numbers come from; empty if it has none.
    """

    text: str
    source: str = ""


@dataclass(frozen=True)
class Comparison:
    """A model beside the baseline, measured alike.

    Attributes:
        values: The model's.
        reference: The baseline's; empty if there is none.
        source: How both were measured, in a sentence.
    """

    values: Mapping[str, float]
    reference: Mapping[str, float]
    source: str


def headline(models: Models) -> Headline:
    """Say what the study found, or why it found nothing."""
    said, task = _found(models), models.data.task
    if not task:
        return said
    alone = f"Exported networks of this goal answer the task '{task}' alone."
    return Headline(said.text, f"{said.source} {alone}".lstrip())


def _found(models: Models) -> Headline:
    data = models.data
    if not data.trials:
        so_far = " so far" if data.status == "running" else ""
        return Headline(f"Nothing was evaluated with full effort{so_far}.")
    if not models.front:
        return Headline(_nothing_found(models))
    shown = compared(models)
    return Headline(f"{_subject(models)} {_predicate(data, shown)}.", shown.source)


def compared(models: Models) -> Comparison:
    """Set the chosen model, or the knee if none was chosen, beside the baseline.

    Exported models are compared only if both were exported: numbers of two data splits side by side
    would claim a change that nobody measured.
    """
    data = models.data
    found = _shown(models)
    other = None if _is_baseline(models) else data.baseline
    exported = data.finals.get(found.key)
    if exported is not None and exported.complete:
        if other is None:
            return Comparison(exported.values, {}, "Values of the exported model.")
        if other.key in data.finals:
            reference = data.finals[other.key].values
            source = "Values of the exported models, this one's and the baseline's."
            return Comparison(exported.values, reference, source)
    return Comparison(found.values, _values(other), "Values as measured in the search.")


def _shown(models: Models) -> Measurement:
    """The model that the page is about, as the search measured it."""
    data = models.data
    row = (models.find([*data.chosen_keys, data.knee_key]) or models.front)[0]
    return models.rows[row].measurement


def _is_baseline(models: Models) -> bool:
    """Whether the model that the page is about is the baseline: nothing is compared with itself."""
    baseline = models.data.baseline
    return baseline is not None and _shown(models).key == baseline.key


def _subject(models: Models) -> str:
    data, is_baseline, n_measured = models.data, _is_baseline(models), len(models.measured)
    if len(data.objectives) == 1 and n_measured:
        if is_baseline:
            return f"None of {n_measured} measured models is better than the baseline, which"
        return f"The best of {n_measured} measured models"
    if len(models.front) == 1:
        which = "The baseline alone is" if is_baseline else "One model"
        return f"{which} on the front. It"
    why = f" ({data.chosen_because})" if data.chosen_because else ""
    which = f"The chosen one{why}" if models.find(data.chosen_keys) else "The knee"
    itself = ", the baseline itself," if is_baseline else ""
    return f"{len(models.front)} models on the front. {which}{itself}"


def _predicate(data: ReportData, shown: Comparison) -> str:
    """Return `runs in 0.42 ms (3.1x faster than the baseline), with mean_skill 0.71 (-0.012)`."""
    told = [o for o in data.objectives if math.isfinite(shown.values.get(o.name, math.nan))]
    speed = next((o for o in told if unit_of(o.name, told) in TIMES), None)
    others = [o for o in told if o is not speed][: MAX_OBJECTIVES - (speed is not None)]
    parts = [f"{o.name} {_said(o, shown, first=speed is None and o is told[0])}" for o in others]
    if speed is None:
        return f"has {', '.join(parts)}" if parts else "has no value of any objective"
    runs = f"runs in {_said(speed, shown, first=True)}"
    return f"{runs}, with {', '.join(parts)}" if parts else runs


def _said(objective: Objective, shown: Comparison, *, first: bool) -> str:
    """Return value and change; the first one spells out that the baseline is meant."""
    unit = unit_of(objective.name, [objective])
    value = shown.values[objective.name]
    reference = shown.reference.get(objective.name, math.nan)
    number = quantity(value, unit).replace(" ", "\N{NO-BREAK SPACE}")
    if not math.isfinite(reference):
        return number
    ratio = _ratio(objective, unit, (value, reference))
    if ratio:
        return f"{number} ({ratio}{' than the baseline' if first else ''})"
    change = difference(value, reference)
    return f"{number} ({change}{' against the baseline' if first else ''})"


def _ratio(objective: Objective, unit: str, pair: tuple[float, float]) -> str:
    """Return `3.1x faster` for costs on a ratio scale that clearly changed, or an empty string."""
    on_ratio_scale = unit in TIMES or unit in {BYTES, COUNT}
    if objective.direction is Direction.MAXIMIZE or not on_ratio_scale or min(pair) <= 0.0:
        return ""
    ratio = max(pair) / min(pair)
    if ratio < MIN_RATIO:
        return ""
    better, worse = ("faster", "slower") if unit in TIMES else ("smaller", "larger")
    digits = 0 if ratio >= 10.0 else 1 if ratio >= 1.5 else 2
    return f"{ratio:.{digits}f}{_TIMES_SIGN} {better if pair[0] < pair[1] else worse}"


def _values(measurement: Measurement | None) -> Mapping[str, float]:
    return {} if measurement is None else measurement.values


def _nothing_found(models: Models) -> str:
    n_trials = len(models.data.trials) + models.data.n_partial
    n_failed = models.count(State.FAILED)
    if n_failed == n_trials:
        reason = group_failures(models.rows)[0].reason
        if n_failed == 1:
            return f"The only evaluation failed: {reason}"
        return f"All {n_trials} evaluations failed, most often because: {reason}"
    counts = {
        "failed": n_failed,
        "turned away by a cheap count": models.count(State.INFEASIBLE),
        "measured outside a constraint": models.count(State.OUTSIDE),
        "measured with less than full effort": models.data.n_partial,
    }
    return f"No model is on the front. Of {n_trials} tried: {_told(counts)}."


def _told(counts: Mapping[str, int]) -> str:
    parts: Sequence[str] = [f"{n} {what}" for what, n in counts.items() if n]
    return ", ".join(parts) or "none has a value of every objective"

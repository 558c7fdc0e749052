"""Values that can be reckoned with: whatever is missing, not finite, or too large, fails."""

from dataclasses import replace

from niwaki.core.measurement import LARGEST_VALUE, Measurement, Status


def sound(measurement: Measurement) -> Measurement:
    """Return a measurement without values that are not finite, or as large as what overflows next.

    It is failed, with a reason, if it had any and claimed to be complete.
    """
    kept = {name: v for name, v in measurement.values.items() if abs(v) <= LARGEST_VALUE}
    if len(kept) == len(measurement.values):
        return measurement
    left = replace(measurement, values=kept)
    if not measurement.complete:
        return left
    bad = ", ".join(f"'{n}' is {v}" for n, v in measurement.values.items() if n not in kept)
    wanted = f"finite, and at most {LARGEST_VALUE:g} in size"
    reason = f"{bad}: a value must be {wanted}; the training may have diverged"
    return replace(left, status=Status.FAILED, reason=reason)


def whole(measurement: Measurement, wanted: tuple[str, ...]) -> Measurement:
    """Return a measurement as it is, or as failed if it claims to be complete and is not."""
    missing = [name for name in wanted if name not in measurement.values]
    if not missing or not measurement.complete:
        return measurement
    reason = (
        f"the evaluator gave no value of {', '.join(missing)}: a complete measurement has every "
        "value that the evaluator lists in `values`"
    )
    return replace(measurement, status=Status.FAILED, reason=reason)

"""How far two runs of one network are apart, output by output, and how far they may be."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.jsonable import JSON

_LEVELS = 255  # steps of 8 bits
_ROUNDING = float(np.finfo(np.float32).eps)  # of a value, from it to the next
_SLACK = 1e-3  # of a quantum: counts of quanta are quotients of float32 numbers


@dataclass(frozen=True)
class Tolerance:
    """How far outputs may be apart.

    Measured on plain, residual, SiLU and HardSwish networks of 5 to 26 convolutions and an MLP with
    GELU (onnxruntime 1.32, x86 with AVX512-VNNI). In fp32, torch and the optimised graph were at
    most 8e-7 of the range apart: the limit leaves a hundredfold for other processors. In int8, the
    unoptimised and the optimised graph were at most 2 quanta apart, and on average 0.00 to 0.15,
    growing with depth: roundings that fall the other way. A wrong zero point would be one quantum
    on average, and products that saturate would be tens.

    Where the last steps are fine and those before them coarse, one rounding that falls the other
    way early on moves some values by many quanta: by up to 36 in one pixel of a thousand of an
    encoder with decoders for depth. What these steps cost altogether is then the measure: how far
    the int8 network is from the float one. There, the root mean squares had a ratio of 0.14 to 0.2,
    and the largest values one of 0.3 to 0.9. A border that is computed wrongly would be far beyond.
    Of a MobileViT, values were 0.55 quanta apart on average, at a ratio of 0.17: where int8 costs
    many quanta, the mean is judged by that too.

    Attributes:
        float_relative: Largest difference over the range of the output, for networks in fp32.
        roundings: Largest difference in roundings of the output's largest value to float32; a
            network that keeps to it may exceed all else, as where values hardly vary around one.
        int8_max_quanta: Largest difference in quanta, for networks with int8 layers.
        int8_mean_quanta: Mean difference in quanta, ...
        int8_mean_of_error: ... which a network may exceed whose root mean square of the differences
            is at most so much of that of the quantization error, where it is known.
        int8_of_error: Root mean square of the differences over that of the quantization error,
            where it is known; a network that keeps to it may exceed `int8_max_quanta`, ...
        int8_of_worst_error: ... but in no value by more than so many times the largest
            quantization error.
    """

    float_relative: float = 1e-4
    roundings: float = 16.0
    int8_max_quanta: float = 4.0
    int8_mean_quanta: float = 0.5
    int8_mean_of_error: float = 0.25
    int8_of_error: float = 0.5
    int8_of_worst_error: float = 2.0


@dataclass(frozen=True)
class Difference:
    """One output of two runs, compared.

    Attributes:
        output: Name of the output.
        between: Which two runs, such as `unoptimised` and `optimised`.
        max_absolute: Largest difference.
        mean_absolute: Mean difference.
        relative: Largest difference over the range of the output; infinite if an output is not
            finite.
        roundings: Largest difference over the error that the output's largest value may have in
            float32; infinite likewise.
        max_quanta: Largest difference in quanta; None for networks in fp32.
        mean_quanta: Mean difference in quanta; None for networks in fp32.
        of_error: Root mean square of the differences over that of the quantization error; None
            where that is not known.
        of_worst_error: Largest difference over the largest quantization error; None likewise.
        argmax_agreement: Share of items, or pixels, or places, of one class; None without classes.
        limit: What was asked, in words; empty if this comparison only informs.
        passed: Whether it kept to the limit; true if it only informs.
    """

    output: str
    between: tuple[str, str]
    max_absolute: float
    mean_absolute: float
    relative: float
    roundings: float
    max_quanta: float | None
    mean_quanta: float | None
    of_error: float | None
    of_worst_error: float | None
    argmax_agreement: float | None
    limit: str
    passed: bool

    def to_json(self) -> dict[str, JSON]:
        """Return a JSON object."""
        fields: dict[str, JSON] = {**asdict(self), "between": list(self.between)}
        return {name: _spellable(value) for name, value in fields.items()}

    def __str__(self) -> str:
        size = f"{self.max_absolute:.3g} apart, {self.relative:.2e} of the range"
        if self.max_quanta is not None:
            size += f", at most {self.max_quanta:.2f} and on average {self.mean_quanta:.4f} quanta"
        if self.of_error is not None:
            size += f", {self.of_error:.2f} of the quantization error"
        if self.argmax_agreement is not None:
            size += f"; {self.argmax_agreement:.2%} of the classes agree"
        return f"output '{self.output}', {self.between[0]} and {self.between[1]}: {size}"


@dataclass(frozen=True)
class OutputKind:
    """What a comparison must know of an output.

    Attributes:
        int8: Whether the network has int8 layers.
        quantum: Step of the output's values; None if it does not end in a DequantizeLinear, which
            leaves 1/255 of its range.
        error: Root mean square of the quantization error; None if it is not known.
        worst_error: Largest quantization error; None likewise.
        class_axis: Axis along which scores of classes lie; None without classes.
    """

    int8: bool = False
    quantum: float | None = None
    error: float | None = None
    worst_error: float | None = None
    class_axis: int | None = None


def compare(
    name: str,
    first: tuple[str, NDArray[Any]],
    second: tuple[str, NDArray[Any]],
    *,
    kind: OutputKind,
    tolerance: Tolerance | None,
) -> Difference:
    """Compare one output of two runs.

    Args:
        name: Of the output.
        first: What to call the first run, and its values; they give the range.
        second: The same of the second run; values of equal shape.
        kind: Of the output.
        tolerance: What to ask; None only informs.
    """
    first_name, second_name = first[0], second[0]
    a, b = (values.astype(np.float64) for _, values in (first, second))
    apart = np.abs(a - b)
    largest, mean = float(apart.max()), float(apart.mean())
    most = float(np.abs(a).max()) or 1.0
    span = float(np.ptp(a)) or most
    quantum = kind.quantum or span / _LEVELS
    finite = bool(np.isfinite(apart).all())
    difference = Difference(
        output=name,
        between=(first_name, second_name),
        max_absolute=largest,
        mean_absolute=mean,
        relative=largest / span if finite else float("inf"),
        roundings=largest / (most * _ROUNDING) if finite else float("inf"),
        max_quanta=largest / quantum if kind.int8 else None,
        mean_quanta=mean / quantum if kind.int8 else None,
        of_error=root_mean_square(apart) / kind.error if kind.error else None,
        of_worst_error=largest / kind.worst_error if kind.worst_error else None,
        argmax_agreement=_agreement(a, b, kind.class_axis),
        limit="",
        passed=True,
    )
    return difference if tolerance is None else _judged(difference, tolerance)


def root_mean_square(values: NDArray[np.float64]) -> float:
    """Return the root of the mean of the squares."""
    return float(np.sqrt(np.square(values).mean()))


def _agreement(a: NDArray[Any], b: NDArray[Any], axis: int | None) -> float | None:
    return None if axis is None else float((a.argmax(axis) == b.argmax(axis)).mean())


def _judged(difference: Difference, tolerance: Tolerance) -> Difference:
    if difference.max_quanta is None or difference.mean_quanta is None:
        limit = f"at most {tolerance.float_relative:g} of the range"
        passed = difference.relative <= tolerance.float_relative
    else:
        mean, most = f"{tolerance.int8_mean_quanta:g} quanta", f"{tolerance.int8_max_quanta:g}"
        near_mean = difference.mean_quanta <= tolerance.int8_mean_quanta + _SLACK
        near = difference.max_quanta <= tolerance.int8_max_quanta + _SLACK
        if difference.of_error is not None and difference.of_worst_error is not None:
            mean += f" or {tolerance.int8_mean_of_error:g} of the quantization error"
            most += f" or {tolerance.int8_of_error:g} of it"
            near_mean = near_mean or difference.of_error <= tolerance.int8_mean_of_error
            near = near or (
                difference.of_error <= tolerance.int8_of_error
                and difference.of_worst_error <= tolerance.int8_of_worst_error
            )
        limit, passed = f"on average {mean}, at most {most}", near_mean and near
    passed = passed or difference.roundings <= tolerance.roundings
    return Difference(**{**vars(difference), "limit": limit, "passed": passed})


def _spellable(value: JSON) -> JSON:
    """JSON has no NaN and no infinities."""
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value

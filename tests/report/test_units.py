"""Numbers as people read them."""

import math

import pytest

from niwaki.evaluation import values as evaluation
from niwaki.report.units import COUNT, difference, quantity, unit_of
from tests.report.studies import LATENCY, SKILL


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.4217, "ms", "0.422 ms"),
        (84_213.0, "bytes", "84.2 kB"),
        (512.0, "bytes", "512 B"),
        (999_960.0, "bytes", "1.00 MB"),
        (-999_960.0, COUNT, "\N{MINUS SIGN}1.00 M"),
        (1_310_000.0, COUNT, "1.31 M"),
        (900.0, COUNT, "900"),
        (0.0, "", "0"),
        (123.456, "", "123"),
        (3.2e-7, "s", "3.20e\N{MINUS SIGN}07 s"),
        (math.nan, "ms", "not measured"),
    ],
)
def test_quantities_read_well(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit).replace("e-", "e\N{MINUS SIGN}") == text


@pytest.mark.parametrize(
    ("value", "reference", "text"),
    [
        (0.71, 0.722, "\N{MINUS SIGN}0.012"),
        (0.8, 0.7, "+0.10"),
        (0.5, 0.5, "±0"),
    ],
)
def test_differences_carry_their_sign(value: float, reference: float, text: str) -> None:
    assert difference(value, reference) == text


def test_units_come_from_the_objective_then_from_the_name() -> None:
    objectives = (SKILL, LATENCY)
    names = ("latency_ms", "size_bytes", "encoder_macs", "mean_skill")
    assert [unit_of(name, objectives) for name in names] == ["ms", "bytes", COUNT, ""]


def test_sizes_read_alike_whether_or_not_they_are_objectives() -> None:
    for size in (evaluation.SIZE, evaluation.WEIGHT_BYTES, evaluation.PEAK_BYTES):
        assert unit_of(size.name, [size]) == unit_of(size.name, []) == "bytes"

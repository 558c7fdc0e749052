"""Constraints as people write them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niwaki.core import Bound, Constraint
from niwaki.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "sign", "scale", "offset"),
    [
        ("latency_ms <= 2", 1, 0, 2),
        ("accuracy >= 0.9", -1, 0, 0.9),
        ("  x <= -1e3 ", 1, 0, -1000),
        ("x <= 2 * 3 + 1", 1, 0, 7),
        ("x <= baseline", 1, 1, 0),
        ("x >= baseline - 0.01", -1, 1, -0.01),
        ("x <= 1.1 * baseline", 1, 1.1, 0),
        ("x <= baseline * 1.1 + 2", 1, 1.1, 2),
        ("x <= (baseline + 1) / 2", 1, 0.5, 0.5),
        ("x <= -(baseline - 1)", 1, -1, 1),
        ("x <= baseline / 2 + baseline / 2", 1, 1, 0),
    ],
)
def test_it_reads_a_bound(text: str, sign: float, scale: float, offset: float) -> None:
    constraint = Constraint.parse(text)
    read = (constraint.sign, constraint.scale, constraint.offset)
    assert read == pytest.approx((sign, scale, offset))
    assert constraint.relative == (scale != 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("latency_ms <=", "cannot be read"),
        ("x\0 <= 1", "cannot be read"),
        ("latency_ms", "not one comparison"),
        ("1 <= x <= 2", "not one comparison"),
        ("x < 2", "operator other than"),
        ("x == 2", "operator other than"),
        ("2 >= x", "must start with a value's name"),
        ("<= 3", "must start with a value's name"),
        ("() >= 0.5 * baseline", "must start with a value's name"),
        ("0x10 <= 3", "must start with a value's name"),
        ("baseline <= 2", "must start with a value's name"),
        ("a.b <= 2", "must start with a value's name"),
        ("top-1 >= 2", "where name is one word of letters, digits and underscores"),
        ("top 1 >= 2", "where name is one word of letters, digits and underscores"),
        ("x <= y", "cannot be read"),
        ("x <= True", "cannot be read"),
        ("x <= 'two'", "cannot be read"),
        ("x <= baseline * baseline", "cannot be read"),
        ("x <= 1 / baseline", "cannot be read"),
        ("x <= 1 / 0", "cannot be read"),
        ("x <= max(1, 2)", "cannot be read"),
        ("x <= 1e999", "not finite"),
        ("x <= 1" + "0" * 400, "not finite"),
    ],
)
def test_what_is_no_bound_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Constraint.parse(text)


NUMBERS = st.integers(-50, 50).map(str)
EXPRESSIONS = st.recursive(
    NUMBERS | st.just("baseline"),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from("+-"), inner)
        | st.builds("({} * {})".format, NUMBERS, inner)
        | st.builds("(-{})".format, inner)
    ),
    max_leaves=6,
)


@given(EXPRESSIONS, st.floats(-10, 10))
def test_the_bound_is_what_python_computes(expression: str, baseline: float) -> None:
    bound = Constraint.parse(f"x <= {expression}").resolve({"x": baseline})
    assert bound.limit == pytest.approx(eval(expression, {"baseline": baseline}), abs=1e-6)


def test_a_relative_bound_needs_the_baseline() -> None:
    constraint = Constraint.parse("rmse <= 1.1 * baseline")
    with pytest.raises(ConfigError, match=r"no value 'rmse'; it has latency_ms"):
        constraint.resolve({"latency_ms": 1.0})
    assert constraint.resolve({"rmse": 2.0}).limit == pytest.approx(2.2)
    with pytest.raises(ConfigError, match="not finite where the baseline's 'rmse' is 1e"):
        Constraint.parse("rmse <= 1e300 * baseline").resolve({"rmse": 1e50})


@pytest.mark.parametrize(
    ("text", "value", "slack", "violation"),
    [
        ("x <= 4", 5.0, 1.0, 0.25),
        ("x <= 4", 3.0, -1.0, 0.0),
        ("x <= 4", 4.0, 0.0, 0.0),
        ("x >= 4", 3.0, 1.0, 0.25),
        ("x >= -4", -5.0, 1.0, 0.25),
        ("x <= 0", 3.0, 3.0, 3.0),
        ("x <= 4", math.inf, math.inf, math.inf),
    ],
)
def test_slack_and_violation(text: str, value: float, slack: float, violation: float) -> None:
    bound = Constraint.parse(text).resolve({})
    assert (bound.slack({"x": value}), bound.violation({"x": value})) == (slack, violation)
    assert bound.is_kept({"x": value}) == (violation == 0.0)


def test_a_limit_that_was_computed_is_kept_by_what_it_stands_for() -> None:
    share = Constraint.parse("macs <= 0.29 * baseline").resolve({"macs": 100.0})
    assert share.limit < 29.0 and share.violation({"macs": 29.0}) == 0.0
    assert share.violation({"macs": 29.001}) > 0.0
    for k in range(20, 1001):
        near = Constraint.parse("acc >= baseline - 0.01").resolve({"acc": k / 1000})
        assert near.violation({"acc": (k - 10) / 1000}) == 0.0


@given(
    st.sampled_from([-1.0, 1.0]),
    st.sampled_from([0.0, -2.0, 0.29 * 100, 1e-300, 1e100, math.inf]),
    st.lists(st.floats(-1e100, 1e100) | st.sampled_from([29.0, math.nan]), max_size=9),
)
def test_many_violations_are_those_of_each(sign: float, limit: float, values: list[float]) -> None:
    bound = Bound("x", sign, limit)
    each = [bound.violation({"x": value}) for value in values]
    assert bound.violations(np.array(values, dtype=np.float64)).tolist() == each


def test_what_was_not_measured_is_no_violation_and_not_kept() -> None:
    bound = Bound("x", 1.0, 4.0)
    assert math.isnan(bound.slack({}))
    assert bound.violation({}) == 0.0
    assert not bound.is_kept({})


@pytest.mark.parametrize(
    "name",
    [
        "latency_\N{MICRO SIGN}s",
        "e\N{COMBINING ACUTE ACCENT}tage",
        "ﬁt",
        "2d_rmse",
        "class",
        "_",
        "\N{SCRIPT CAPITAL P}x",
    ],
)
def test_a_name_is_taken_as_it_is_written(name: str) -> None:
    assert Constraint.parse(f" {name} <= baseline").name == name
    assert Constraint.parse(f"({name}) >= 2 * baseline").name == name


def test_they_print_as_written() -> None:
    assert str(Constraint.parse(" x <= 1.1*baseline ")) == "x <= 1.1*baseline"
    assert str(Bound("x", -1.0, 0.25)) == "x >= 0.25"


def test_a_constraint_that_is_no_text_is_told() -> None:
    with pytest.raises(ConfigError, match="a constraint is a text, but 3 came: "):
        Constraint.parse(3)  # type: ignore[arg-type]

"""Constraints as text: `latency_ms <= 2`, `depth_rmse <= 1.1 * baseline`."""

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError
from niwaki.core.numerals import numeral

BASELINE = "baseline"
_ROUNDING = 1e-12  # relative: a limit that was computed, such as 0.29 * 100, is 28.999999999999996
_FORM = (
    "write `name <= bound` or `name >= bound`, where name is one word of letters, digits and "
    "underscores, and bound a number, or made from numbers and `baseline`"
)


@dataclass(frozen=True)
class Bound:
    """A constraint with its number filled in.

    Attributes:
        name: Name of the value it binds.
        sign: +1 for `<=`, -1 for `>=`.
        limit: The bound, in the value's own unit.
    """

    name: str
    sign: float
    limit: float

    def slack(self, values: Mapping[str, float]) -> float:
        """Return value minus limit, signed so that feasible is at most 0; NaN if not measured."""
        return self.sign * (values.get(self.name, math.nan) - self.limit)

    def violation(self, values: Mapping[str, float]) -> float:
        """Return how far outside, relative to the limit; 0 if inside or not measured."""
        relative = self.relative_slack(values)
        return 0.0 if math.isnan(relative) else max(0.0, relative)

    def is_kept(self, values: Mapping[str, float]) -> bool:
        """Return whether the value was measured, and is inside."""
        return self.relative_slack(values) <= 0.0

    def violations(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n,) what `violation` says of (n,) values; NaN stands for what is not measured."""
        with np.errstate(over="ignore", invalid="ignore"):
            relative = self.sign * (values - self.limit) / (abs(self.limit) or 1.0)
        least = _ROUNDING if self.limit else 0.0
        return np.where(relative > least, relative, 0.0)

    def relative_slack(self, values: Mapping[str, float]) -> float:
        """Return the slack as a share of the limit, 0 for rounding; NaN if not measured."""
        relative = self.slack(values) / (abs(self.limit) or 1.0)
        return 0.0 if self.limit and abs(relative) <= _ROUNDING else relative

    def __str__(self) -> str:
        return f"{self.name} {'<=' if self.sign > 0 else '>='} {numeral(self.limit, digits=6)}"


@dataclass(frozen=True)
class Constraint:
    """A bound on one measured value, perhaps relative to the baseline's.

    Attributes:
        text: As the user wrote it.
        name: The value it binds.
        sign: +1 for `<=`, -1 for `>=`.
        scale: Factor of the baseline's value; 0 when the bound is absolute.
        offset: Added to it.
    """

    text: str
    name: str
    sign: float
    scale: float
    offset: float

    @property
    def meaning(self) -> tuple[str, float, float, float]:
        """What it says, however it was written."""
        return self.name, self.sign, self.scale, self.offset

    @classmethod
    def parse(cls, text: str) -> "Constraint":
        """Read a constraint.

        Raises:
            ConfigError: If the text is not a bound on one value.
        """
        if not isinstance(text, str):
            raise ConfigError(f"a constraint is a text, but {text!r} came: {_FORM}")
        text = text.strip()
        # Python takes no name `class` or `2d_rmse`.
        marked = re.sub(r"(?=[^\s(])", "_", text, count=1)
        try:
            node = ast.parse(marked, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ConfigError(f"constraint '{text}' cannot be read: {_FORM}") from error
        if not (isinstance(node, ast.Compare) and len(node.ops) == 1):
            raise ConfigError(f"constraint '{text}' is not one comparison: {_FORM}")
        left, operator, right = node.left, node.ops[0], node.comparators[0]
        sign = _sign(operator, text)
        # Not `left.id`: Python takes the micro sign in it for a Greek letter, and nobody else does.
        name = (ast.get_source_segment(marked, left) or "")[1:]
        if not isinstance(left, ast.Name) or name in ("", BASELINE) or _is_number(name):
            raise ConfigError(f"constraint '{text}' must start with a value's name: {_FORM}")
        try:
            scale, offset = _linear(right, text)
        except (OverflowError, RecursionError):
            scale, offset = math.inf, math.inf
        if not (math.isfinite(scale) and math.isfinite(offset)):
            raise ConfigError(f"constraint '{text}' has a bound that is not finite: {_FORM}")
        return cls(text=text, name=name, sign=sign, scale=scale, offset=offset)

    @property
    def relative(self) -> bool:
        """Whether the baseline has to be measured before this constraint means anything."""
        return self.scale != 0.0

    def resolve(self, baseline: Mapping[str, float]) -> Bound:
        """Fill in the baseline's value.

        Raises:
            ConfigError: If the constraint is relative, and the baseline has no such value, or one
                that makes the bound too large to be computed with.
        """
        if not self.relative:
            return Bound(self.name, self.sign, self.offset)
        reference = baseline.get(self.name, math.nan)
        if not math.isfinite(reference):
            raise ConfigError(
                f"constraint '{self.text}' is relative to the baseline, which has no value "
                f"'{self.name}'; it has {', '.join(sorted(baseline)) or 'none'}. Give a number, or "
                "let the baseline be another candidate"
            )
        limit = self.scale * reference + self.offset
        if not math.isfinite(limit):
            raise ConfigError(
                f"constraint '{self.text}' has a bound that is not finite where the baseline's "
                f"'{self.name}' is {reference:g}: give a smaller one"
            )
        return Bound(self.name, self.sign, limit)

    def __str__(self) -> str:
        return self.text


def _is_number(name: str) -> bool:
    """Whether a word that starts with a digit is a number, as `1e3` is and `2d_rmse` is not."""
    try:
        return name.isdecimal() or (name[:1].isdigit() and ast.literal_eval(name) is not None)
    except (ValueError, SyntaxError):
        return False


def _sign(operator: ast.cmpop, text: str) -> float:
    if isinstance(operator, ast.LtE):
        return 1.0
    if isinstance(operator, ast.GtE):
        return -1.0
    raise ConfigError(f"constraint '{text}' uses an operator other than <= and >=: {_FORM}")


def _linear(node: ast.expr, text: str) -> tuple[float, float]:
    """Read an expression as scale * baseline + offset."""
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as number):
            return 0.0, float(number)
        case ast.Name(id="baseline"):
            return 1.0, 0.0
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            scale, offset = _linear(operand, text)
            return -scale, -offset
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            (a, b), (c, d) = _linear(left, text), _linear(right, text)
            sign = 1.0 if isinstance(op, ast.Add) else -1.0
            return a + sign * c, b + sign * d
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            (a, b), (c, d) = _linear(left, text), _linear(right, text)
            if a == 0.0 or c == 0.0:
                return (a * d + c * b, b * d)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            (a, b), (c, d) = _linear(left, text), _linear(right, text)
            if c == 0.0 and d != 0.0:
                return a / d, b / d
    raise ConfigError(f"constraint '{text}' has a bound that cannot be read: {_FORM}")

"""What a target can do: operations x precisions x granularities, and what is worth asking for."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from niwaki.compress.quantization.plan import ActivationType, Precision, QuantizationPlan
from niwaki.core.jsonable import JSON


class Granularity(StrEnum):
    """How many scales the weights of one layer have."""

    NONE = "none"  # a float layer has no scales
    PER_TENSOR = "per_tensor"
    PER_CHANNEL = "per_channel"


@dataclass(frozen=True)
class Capability:
    """One row of the table.

    Attributes:
        operation: `conv`, `depthwise_conv`, `linear`, `add`, `concat`, `activation`, ...
        precision: `fp32` or `int8`, and, so that slow roads are marked as such, others.
        granularity: Scales of the weights.
        supported: Whether the target has a kernel, so that the asked precision is the one that
            runs.
        fast: Whether it is worth asking for: at least as fast as fp32.
        note: Why, for people.
    """

    operation: str
    precision: str
    granularity: Granularity
    supported: bool
    fast: bool
    note: str = ""


@dataclass(frozen=True)
class Capabilities:
    """The table of one target.

    Attributes:
        rows: At most one row per (operation, precision, granularity).
        channel_grain: Multiple that channel counts should have, by precision: other counts cost as
            much as the next multiple, or more.
        activation: Integers that quantized activations should use.
        reduce_range: Whether weights must keep to 7 bits, because the processor's 8-bit multiply
            saturates in 16 bits.
    """

    rows: tuple[Capability, ...]
    channel_grain: Mapping[str, int]
    activation: ActivationType
    reduce_range: bool

    @property
    def weight_limit(self) -> int:
        """The largest integer that weights may be written as."""
        return self.plan({}).weight_limit

    def plan(self, precisions: Mapping[str, Precision]) -> QuantizationPlan:
        """Return the plan for precisions by layer, in the integers that suit the target."""
        return QuantizationPlan(precisions, self.activation, self.reduce_range)

    def find(
        self, operation: str, precision: str, granularity: Granularity | None = None
    ) -> Capability | None:
        """Return the best row for an operation in a precision, or None if the table has none.

        Args:
            operation: As in `Capability`.
            precision: As in `Capability`.
            granularity: Only rows with these scales; None takes any.
        """
        rows = [
            row
            for row in self.rows
            if (row.operation, row.precision) == (operation, precision)
            and granularity in (None, row.granularity)
        ]
        return max(rows, key=lambda row: (row.supported, row.fast), default=None)

    def supports(
        self, operation: str, precision: str, granularity: Granularity | None = None
    ) -> bool:
        """Whether the operation really runs in that precision."""
        row = self.find(operation, precision, granularity)
        return row is not None and row.supported

    def fast_precisions(self, operation: str) -> tuple[str, ...]:
        """Return the precisions worth searching for an operation, in the table's order."""
        fast = (row.precision for row in self.rows if row.operation == operation and row.fast)
        return tuple(dict.fromkeys(fast))

    def to_json(self) -> dict[str, JSON]:
        """Return the table as a JSON object."""
        return {
            "rows": [
                {
                    "operation": row.operation,
                    "precision": row.precision,
                    "granularity": str(row.granularity),
                    "supported": row.supported,
                    "fast": row.fast,
                    "note": row.note,
                }
                for row in self.rows
            ],
            "channel_grain": dict(self.channel_grain),
            "activation": str(self.activation),
            "reduce_range": self.reduce_range,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Capabilities":
        """Read what `to_json` wrote, in this version of niwaki."""
        return cls(
            rows=tuple(
                Capability(**{**row, "granularity": Granularity(row["granularity"])})
                for row in data["rows"]
            ),
            channel_grain=dict(data["channel_grain"]),
            activation=ActivationType(data["activation"]),
            reduce_range=data["reduce_range"],
        )

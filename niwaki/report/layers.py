"""Layer tables of measured models, packed so that a thousand of them fit on a page."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement


@dataclass(frozen=True)
class Layer:
    """One layer as it was asked for, and as the runtime runs it.

    Attributes:
        path: Its name in the network.
        kind: `conv`, `linear`, ...; empty if unknown.
        width: Output channels; None if unknown.
        asked: Precision that the candidate asks for; empty if it decides none.
        realised: Precision read back from the runtime; empty if it was not read.
        macs: Multiply-accumulates; None if unknown.
        size_bytes: Size of its weights as stored; None if unknown.
    """

    path: str
    kind: str = ""
    width: float | None = None
    asked: str = ""
    realised: str = ""
    macs: float | None = None
    size_bytes: float | None = None


def layers_of(measurement: Measurement) -> list[Layer]:
    """Read `details["layers"]`: a list of objects with the fields of `Layer`.

    `channels`, `asked_precision` and `realised_precision` are read as well. What is not an object
    with a path is left out: a report shows what it can.
    """
    rows = measurement.details.get("layers")
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        return []
    return [_layer(row) for row in rows if isinstance(row, Mapping) and "path" in row]


def pack_layers(*views: Mapping[int, Sequence[Layer]]) -> list[dict[str, JSON]]:
    """Pack layer tables by spelling each distinct row once.

    Args:
        views: Layers by row of the model, as each goal sees them.

    Returns:
        For each, `rows`, the distinct layers of all views as arrays in the order of `Layer`'s
        fields, and `models`, the indices into `rows` by model.
    """
    index: dict[Layer, int] = {}
    models = [_indices(tables, index) for tables in views]
    rows: list[JSON] = [list(astuple(layer)) for layer in index]
    return [{"rows": rows, "models": each} for each in models]


def _indices(tables: Mapping[int, Sequence[Layer]], index: dict[Layer, int]) -> dict[str, JSON]:
    """Number the layers of each model, those that are new to `index` in the order they come."""
    return {
        str(model): [index.setdefault(layer, len(index)) for layer in table]
        for model, table in tables.items()
    }


def _layer(row: Mapping[str, JSON]) -> Layer:
    return Layer(
        path=str(row["path"]),
        kind=_text(row.get("kind")),
        width=_number(row.get("width", row.get("channels"))),
        asked=_text(row.get("asked", row.get("asked_precision"))),
        realised=_text(row.get("realised", row.get("realised_precision"))),
        macs=_number(row.get("macs")),
        size_bytes=_number(row.get("size_bytes")),
    )


def _text(value: JSON) -> str:
    return "" if value is None else str(value)


def _number(value: JSON) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < float("inf") else None

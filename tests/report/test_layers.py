"""Reading and packing layer tables."""

from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement
from niwaki.report.layers import Layer, layers_of, pack_layers


def test_layer_tables_are_read_with_either_spelling() -> None:
    rows: list[JSON] = [
        {"path": "stem", "channels": 8, "asked_precision": "fp32", "realised_precision": "int8"},
        {"path": "head", "width": 4, "asked": "int8", "realised": "int8", "macs": 9},
    ]
    stem, head = layers_of(Measurement("k", details={"layers": rows}))
    assert stem == Layer("stem", width=8, asked="fp32", realised="int8")
    assert head == Layer("head", width=4, asked="int8", realised="int8", macs=9)


def test_what_is_no_layer_is_left_out() -> None:
    rows: list[JSON] = [
        "conv1",
        {"width": 3},
        {"path": "stem", "macs": "many", "width": float("inf")},
    ]
    assert layers_of(Measurement("k", details={"layers": rows})) == [Layer("stem")]
    assert layers_of(Measurement("k", details={"layers": "none"})) == []
    assert layers_of(Measurement("k")) == []


def test_equal_layers_are_spelled_once() -> None:
    stem, head = Layer("stem", width=8), Layer("head", width=4)
    (packed,) = pack_layers({0: [stem, head], 7: [stem]})
    assert packed["models"] == {"0": [0, 1], "7": [0]}
    assert packed["rows"] == [
        ["stem", "", 8, "", "", None, None],
        ["head", "", 4, "", "", None, None],
    ]

"""Cards say everything, survive JSON, and tell nothing of the machine."""

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest

from niwaki._version import __version__
from niwaki.core.errors import ExportError
from niwaki.export.card import ModelCard, current_versions, write_metadata
from niwaki.export.privacy import refuse_local_paths_in_json
from niwaki.targets.latency import Latency
from tests.export.modules import CARD, Convolution

LATENCY = Latency(
    target_id="onnxruntime-cpu-t1-0123abcd",
    ratio=2.0,
    ratio_low=1.9,
    ratio_high=2.1,
    nominal_reference_ms=0.5,
    reference_ms=0.6,
    p50_ms=1.2,
    p90_ms=1.3,
    p99_ms=1.5,
    min_ms=1.0,
    interval_low_ms=1.1,
    interval_high_ms=1.3,
    n_runs=50,
    load_average=0.5,
    converged=True,
)


def test_a_card_survives_json() -> None:
    card = replace(CARD, latency=LATENCY, notes=("pruned",), verification={"passed": True})
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card


def test_every_field_is_written() -> None:
    assert {field.name for field in fields(ModelCard)} < set(CARD.to_json())


def test_a_card_survives_the_disk(tmp_path: Path) -> None:
    CARD.save(tmp_path / "model.json")
    assert ModelCard.load(tmp_path / "model.json") == CARD
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


@pytest.mark.parametrize(
    ("schema", "remedy"), [(2, "update niwaki"), (0, "export the model again"), ("x", "export")]
)
def test_another_schema_is_refused_with_a_remedy(schema: object, remedy: str) -> None:
    with pytest.raises(ExportError, match=remedy):
        ModelCard.from_json({**CARD.to_json(), "schema_version": schema})


@pytest.mark.parametrize("data", [None, [], {}, {"name": "x"}, "text"])
def test_what_is_no_card_is_refused(data: object) -> None:
    with pytest.raises(ExportError, match="no model card"):
        ModelCard.from_json(data)


def test_a_missing_field_is_named() -> None:
    data = {**CARD.to_json()}
    del data["layers"]
    with pytest.raises(ExportError, match="layers"):
        ModelCard.from_json(data)


@pytest.mark.parametrize(
    "change",
    [
        {"latency": {"ratio": 1}},
        {"tasks": [{"name": "x"}]},
        {"metrics": None},
        {"file": {"sha256": "0"}},
        {"inputs": [{"name": "x", "shape": [math.inf], "preprocessing": None}]},
    ],
)
def test_a_damaged_field_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ExportError, match="damaged"):
        ModelCard.from_json({**CARD.to_json(), **change})


def test_among_several_the_damaged_card_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ExportError, match=r"model\.json': this is no model card"):
        ModelCard.load(tmp_path / "model.json")


def test_a_card_that_nests_too_deeply_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("[" * 100_000)
    with pytest.raises(ExportError, match=r"model\.json' cannot be read"):
        ModelCard.load(tmp_path / "model.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"model\.json"):
        ModelCard.load(tmp_path / "model.json")


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    card = replace(CARD, metrics={"test": {"depth_rmse": float("nan")}})
    with pytest.raises(ExportError, match="'depth_rmse' is nan on the split 'test'"):
        card.save(tmp_path / "model.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "note",
    [
        str(Path.home() / "runs" / "model.pt"),
        str(Path.cwd() / "model.pt"),
        "trained on /data/images/train",
        r"from C:\Users\somebody\model.py",
        "see file:/tmp/x.bin",
    ],
)
def test_local_paths_are_refused(note: str) -> None:
    with pytest.raises(ExportError, match=r"the model card\.notes\[0\] holds the local path"):
        replace(CARD, notes=(note,)).to_json()


@pytest.mark.parametrize(
    "text",
    ["https://example.org/a/b", "encoder/stage1/conv", "m/s", "/m/01g317", "either/or", "1/255"],
)
def test_what_only_looks_like_a_path_passes(text: str) -> None:
    refuse_local_paths_in_json({"text": [text]}, what="it")


def test_paths_hide_in_keys_too() -> None:
    with pytest.raises(ExportError, match="local path"):
        refuse_local_paths_in_json({"a": {"/home/somebody/x": 1}}, what="it")


def test_versions_are_those_of_the_model() -> None:
    versions = current_versions(Convolution().onnx())
    assert versions["niwaki"] == __version__
    assert (versions["opset"], versions["ir"]) == ("20", "10")
    assert versions["onnxruntime"]


def test_metadata_are_short_and_prefixed() -> None:
    model = Convolution().onnx()
    model.metadata_props.add(key="author", value="kept")
    write_metadata(model, CARD)
    write_metadata(model, replace(CARD, name="renamed"))  # replaces, does not repeat
    found = {prop.key: prop.value for prop in model.metadata_props}
    assert found["niwaki.name"] == "renamed"
    assert found["niwaki.candidate"] == CARD.candidate.key
    assert found.pop("author") == "kept"
    assert all(key.startswith("niwaki.") for key in found)
    assert len(found) == len(model.metadata_props) - 1

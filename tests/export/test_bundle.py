"""Bundles are whole, true to their card, verifiable anywhere, and tell nothing of the machine."""

import os
import resource
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from niwaki.core.errors import ExportError, VerificationError
from niwaki.export.bundle import (
    MODEL_FILE,
    VERIFICATION_FILE,
    Bundle,
    copy_bundle,
    find_bundles,
    read_bundle,
    replace_card,
    verify_bundle,
    write_bundle,
)
from niwaki.export.card import ModelCard, TaskCard
from niwaki.export.verification_data import (
    MAX_BYTES,
    Arrays,
    VerificationData,
    fitting_items,
    sampled,
)
from tests.export.modules import CARD, Convolution, answers, images
from tests.targets.networks import int8_conv

MODULE = Convolution()
INPUTS = images(8)


def write(folder: Path, model: onnx.ModelProto | None = None, card: ModelCard = CARD) -> Bundle:
    return write_bundle(
        folder,
        model or MODULE.onnx(),
        card,
        inputs=INPUTS,
        torch_outputs=answers(MODULE, INPUTS),
    )


def test_a_bundle_comes_back(tmp_path: Path) -> None:
    written = write(tmp_path / "out" / "first")
    assert read_bundle(tmp_path / "out" / "first") == written
    assert written.card.file.size_bytes == written.model_path.stat().st_size
    assert written.card.verification["passed"] is True
    assert written.card.versions["opset"] == "20"
    onnx.checker.check_model(str(written.model_path), full_check=True)


def test_nothing_else_is_left_behind(tmp_path: Path) -> None:
    write(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "model.json",
        "model.onnx",
        "verification.npz",
    ]


def test_equal_models_are_equal_files(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    assert first.card.file == second.card.file


def test_it_verifies_without_torch(tmp_path: Path) -> None:
    write(tmp_path / "out")
    code = (
        "import sys; from pathlib import Path; from niwaki.export.bundle import verify_bundle\n"
        "assert verify_bundle(Path(sys.argv[1])).passed\n"
        "sys.exit('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize("model", [MODULE.onnx(), int8_conv()], ids=["fp32", "int8"])
def test_a_moved_bundle_still_verifies(tmp_path: Path, model: onnx.ModelProto) -> None:
    write(tmp_path / "out", model)
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    found = verify_bundle(tmp_path / "elsewhere")
    assert found.passed
    assert {d.between[0] for d in found.differences} == {"unoptimised", "recorded", "torch"}


def test_a_wrong_export_is_not_put_in_place(tmp_path: Path) -> None:
    wrong = MODULE.onnx()
    wrong.graph.node[0].attribute.append(helper.make_attribute("dilations", [2, 2]))
    wrong.graph.node[0].attribute[0].CopyFrom(helper.make_attribute("pads", [2] * 4))
    with pytest.raises(VerificationError, match="test-model"):
        write(tmp_path / "out", wrong)
    assert not list(tmp_path.iterdir())


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "out").model_path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ExportError, match="not the file that its card speaks of"):
        verify_bundle(tmp_path / "out")


@pytest.mark.parametrize("name", ["model.onnx", "model.json", "verification.npz"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path / "out")
    (tmp_path / "out" / name).unlink()
    with pytest.raises(ExportError, match=name.replace(".", r"\.")):
        verify_bundle(tmp_path / "out")


@pytest.mark.parametrize("name", ["model.onnx", "model.json", "verification.npz"])
@pytest.mark.parametrize("left", [None, b"", b"{}"])
def test_what_a_run_can_only_write_anew_is_said_with_its_remedy(
    tmp_path: Path, name: str, left: bytes | None
) -> None:
    damaged = write(tmp_path / "out").folder / name
    damaged.unlink()
    if left is not None:
        damaged.write_bytes(left)
    with pytest.raises(ExportError, match=rf"{name}.*in the folder of a run, start the same searc"):
        copy_bundle(tmp_path / "out", tmp_path / "copy")


def test_a_file_where_a_folder_should_be_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(
        ExportError, match=r"cannot be made: the system says .*; give another folde"
    ):
        write(tmp_path / "out" / "first")


def test_damaged_data_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "out")
    path = tmp_path / "out" / VERIFICATION_FILE
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ExportError, match="cannot be read"):
        verify_bundle(tmp_path / "out")


def test_data_with_a_flipped_bit_are_read_or_refused(tmp_path: Path) -> None:
    write(tmp_path / "out")
    path = tmp_path / "out" / VERIFICATION_FILE
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 100):
        data = bytearray(whole)
        data[place] ^= 8
        path.write_bytes(data)
        with suppress(ExportError):
            read_bundle(tmp_path / "out").verification_data()


@pytest.mark.parametrize("group", ["inputs", "torch", "recorded"])
def test_data_of_which_a_part_is_missing_are_refused(tmp_path: Path, group: str) -> None:
    parts = {name: {"x": np.ones((2, 3))} for name in ("inputs", "torch", "recorded")}
    VerificationData(**{**parts, group: {}}).save(tmp_path / VERIFICATION_FILE)
    with pytest.raises(ExportError, match=rf"{VERIFICATION_FILE}' holds no {group} arrays"):
        VerificationData.load(tmp_path / VERIFICATION_FILE)


@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        ({"x": np.ones((2, 3), np.float32)}, r"shape \(3,\) and type float32 for input 'x'"),
        ({"x": np.ones((2, 3, 16, 16))}, "type float64 for input 'x'"),
        ({"z": np.ones((2, 3, 16, 16), np.float32)}, r"holds inputs \['z'\], but its model takes"),
        ({"x": np.ones((0, 3, 16, 16), np.float32)}, "holds no items in 'inputs:x'"),
        ({"x": np.float32(1)}, "holds no items in 'inputs:x'"),
    ],
)
def test_data_that_are_no_inputs_of_the_model_are_refused(
    tmp_path: Path, inputs: Arrays, fault: str
) -> None:
    bundle = write(tmp_path / "out")
    data = replace(bundle.verification_data(), inputs=inputs)
    data.save(tmp_path / "out" / VERIFICATION_FILE)
    for read in (bundle.verification_data, lambda: verify_bundle(tmp_path / "out")):
        with pytest.raises(ExportError, match=rf"{VERIFICATION_FILE}' .*{fault}.*export the model"):
            read()


def test_an_older_bundle_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "out", int8_conv())
    write(tmp_path / "out")
    assert verify_bundle(tmp_path / "out").int8 is False
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_other_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ExportError, match=r"thesis\.tex"):
        write(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="is a file"):
        write(tmp_path / "file")


def test_a_failed_export_keeps_the_older_bundle(tmp_path: Path) -> None:
    before = write(tmp_path / "out")
    with pytest.raises(VerificationError):
        write_bundle(
            tmp_path / "out",
            MODULE.onnx(),
            CARD,
            inputs=INPUTS,
            torch_outputs={"y": answers(MODULE, INPUTS)["y"] + 1},
        )
    assert read_bundle(tmp_path / "out") == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ExportError, match="cannot be made"):
        write(tmp_path / "deep" / "out")


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from tests.export.test_bundle import write\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "write(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "cannot be written (File too large)" in answer.stderr
    assert not list(tmp_path.iterdir())


def test_traces_of_the_machine_are_stripped(tmp_path: Path) -> None:
    secret = f"{Path.home()}/secret/model.py"
    model = MODULE.onnx()
    model.doc_string = model.graph.doc_string = secret
    model.metadata_props.add(key="source", value=secret)
    for node in model.graph.node:
        node.doc_string = secret
        node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value=f'File "{secret}", line 1')
    model.graph.input[0].doc_string = secret
    model.graph.initializer[0].doc_string = secret
    data = write(tmp_path / "out", model).model_path.read_bytes()
    assert b"secret" not in data
    assert model.doc_string == secret  # the caller's model is left alone


def test_a_path_in_a_name_is_refused(tmp_path: Path) -> None:
    model = MODULE.onnx()
    model.graph.node[0].name = f"{Path.cwd()}/net.py:conv"
    with pytest.raises(ExportError, match="local path"):
        write(tmp_path / "out", model)
    assert not list(tmp_path.iterdir())


def test_bundles_are_found(tmp_path: Path) -> None:
    write(tmp_path / "b")
    write(tmp_path / "a")
    (tmp_path / "other").mkdir()
    assert find_bundles(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert find_bundles(tmp_path / "a") == [tmp_path / "a"]
    with pytest.raises(ExportError, match="no exported model"):
        find_bundles(tmp_path / "other")
    with pytest.raises(ExportError, match="no exported model"):
        find_bundles(tmp_path / "missing")


def test_what_a_kill_left_is_no_bundle(tmp_path: Path) -> None:
    written = write(tmp_path / "out" / "a")
    draft = tmp_path / "out" / ".a.k1ll3d.tmp"
    shutil.copytree(written.folder, draft)
    (written.folder / ".model.json.k1ll3d.tmp").write_text("{")
    assert find_bundles(tmp_path / "out") == [written.folder]
    os.utime(draft, (0, 0))
    copy_bundle(write(tmp_path / "b").folder, written.folder)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    assert len(list(written.folder.iterdir())) == 3


def test_a_bundle_without_the_data_that_verify_it_is_not_copied(tmp_path: Path) -> None:
    (write(tmp_path / "a").folder / VERIFICATION_FILE).unlink()
    with pytest.raises(ExportError, match=rf"a/{VERIFICATION_FILE}' cannot be read"):
        copy_bundle(tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_card_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    bundle = write(tmp_path / "a")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(ExportError, match="free some space"):
            replace_card(bundle, bundle.card)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read_bundle(bundle.folder) == bundle


def test_verification_data_are_small(tmp_path: Path) -> None:
    inputs = images(64, size=48)
    outputs = {"seg": np.random.default_rng(0).standard_normal((64, 11, 48, 48)).astype("f4")}
    n_items = fitting_items(inputs, outputs)
    assert 8 <= n_items <= 32
    kept = {name: values[:n_items] for name, values in inputs.items()}
    seen = sampled({"seg": outputs["seg"][:n_items]})
    VerificationData(kept, seen, seen).save(tmp_path / "v.npz")
    assert (tmp_path / "v.npz").stat().st_size < MAX_BYTES


def test_samples_see_every_column_and_channel() -> None:
    columns = np.broadcast_to(np.arange(48.0), (1, 11, 48, 48))
    found = sampled({"y": columns})["y"]
    assert found.shape[:2] == (1, 11)
    assert found.shape[1] * found.shape[2] <= 1024
    assert set(found.ravel()) == set(range(48))


def test_samples_of_places_see_every_class() -> None:
    logits = np.arange(2 * 300 * 50.0).reshape(2, 300, 50)
    found = sampled({"tags": logits}, {"tags": -1})["tags"]
    assert found.shape[0] == 2 and found.shape[2] == 50
    assert found[0, 1].tolist() in logits[0].tolist()


def test_a_bundle_of_places_knows_where_its_classes_are(tmp_path: Path) -> None:
    """The rows of the answer are places, and its columns classes."""
    card = replace(CARD, tasks=(TaskCard("tags", "tagging", ("y",), tuple("abcdefghijklmnop")),))
    write(tmp_path / "out", card=card)
    data = read_bundle(tmp_path / "out").verification_data()
    assert data.torch["y"].shape[-1] == 16
    assert verify_bundle(tmp_path / "out").passed


def test_small_outputs_are_kept_whole() -> None:
    logits = np.ones((5, 10))
    assert sampled({"y": logits})["y"] is logits


def test_one_item_is_kept_however_large() -> None:
    assert fitting_items({"x": np.zeros((2, 3, 600, 600), np.float32)}, {}) == 1


def test_the_model_file_is_where_the_hub_looks(tmp_path: Path) -> None:
    assert write(tmp_path / "out").model_path == tmp_path / "out" / MODEL_FILE


def test_where_there_is_no_home_and_no_working_directory_bundles_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert verify_bundle(write(tmp_path / "out").folder).passed

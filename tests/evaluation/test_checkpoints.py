"""States on disk: several writers, and disks that say no."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch

from niwaki.core.errors import RunFolderError
from niwaki.evaluation.checkpoints import CheckpointStore, load_checkpoint, save_checkpoint

STATE = {"weight": torch.arange(20000.0)}


def save_often(folder: Path) -> None:
    store = CheckpointStore(folder, 1e9)
    for _ in range(30):
        store.save("same", STATE)


def test_two_processes_may_save_the_same_state(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=save_often, args=(tmp_path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    found = CheckpointStore(tmp_path, 1e9).load("same")
    assert found is not None
    torch.testing.assert_close(found["weight"], STATE["weight"])
    assert [path.name for path in tmp_path.iterdir()] == ["same.pt"]


def test_a_state_that_cannot_be_kept_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("not a folder")
    with pytest.warns(RuntimeWarning, match="is not kept"):
        CheckpointStore(tmp_path / "store", 1e9).save("one", STATE)


def test_a_state_is_told_with_its_place_and_what_the_system_says(tmp_path: Path) -> None:
    (tmp_path / "damaged.pt").write_bytes(b"half")
    with pytest.raises(RunFolderError, match=rf"'{tmp_path}/damaged.pt' is damaged.*: delete it"):
        load_checkpoint(tmp_path / "damaged.pt")
    with pytest.raises(RunFolderError, match=r"none/new.pt' cannot be written: .*No such file"):
        save_checkpoint(STATE, tmp_path / "none" / "new.pt")


def test_old_states_go_first(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, 200_000.0)  # room for two
    for name in ("one", "two", "three"):
        store.save(name, STATE)
    assert store.load("one") is None
    assert store.load("three") is not None


def test_numbers_and_arrays_of_numpy_come_back(tmp_path: Path) -> None:
    extra = {"scale": np.float32(1.5), "seen": np.arange(3), "names": np.array(["a", "b"])}
    save_checkpoint({"_extra_state": extra}, tmp_path / "one.pt")
    found = load_checkpoint(tmp_path / "one.pt")["_extra_state"]
    assert found["scale"] == 1.5
    np.testing.assert_array_equal(found["seen"], extra["seen"])
    np.testing.assert_array_equal(found["names"], extra["names"])

"""The cache, damaged and raced for."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from niwaki.core.errors import ConfigError, DataError
from niwaki.tasks.cache import ArrayTable, cached_arrays, default_cache


def build() -> ArrayTable:
    return {
        "images": np.arange(600, dtype=np.uint8).reshape(20, 30),
        "depth": np.linspace(0, 1, 50, dtype=np.float16),
    }


def must_not_build() -> ArrayTable:
    raise AssertionError("built although it was in the cache")


def same(found: ArrayTable) -> bool:
    return found.keys() == build().keys() and all(
        (found[name] == values).all() and found[name].dtype == values.dtype
        for name, values in build().items()
    )


def test_what_was_built_is_read_the_next_time(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "down" / "x.npz"
    assert same(cached_arrays(file, build))
    assert same(cached_arrays(file, must_not_build))


def test_a_flipped_bit_anywhere_never_gives_wrong_arrays(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    cached_arrays(file, build)
    sound = file.read_bytes()
    for position in range(0, len(sound), 7):
        damaged = bytearray(sound)
        damaged[position] ^= 1 << (position % 8)
        file.write_bytes(damaged)
        assert same(cached_arrays(file, build)), position


def test_a_file_that_says_it_is_encrypted_is_rebuilt(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    cached_arrays(file, build)
    damaged = bytearray(file.read_bytes())
    damaged[damaged.index(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(damaged)
    assert same(cached_arrays(file, build))


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_rebuilt(tmp_path: Path, keep: float) -> None:
    file = tmp_path / "x.npz"
    cached_arrays(file, build)
    data = file.read_bytes()
    file.write_bytes(data[: int(keep * len(data))])
    assert same(cached_arrays(file, build))
    assert same(cached_arrays(file, must_not_build))


@pytest.mark.parametrize(
    "write", [lambda f: np.savez(f, images=np.ones(3)), lambda f: np.save(f, 1)]
)
def test_a_foreign_file_is_rebuilt(tmp_path: Path, write: Callable[[Path], None]) -> None:
    file = tmp_path / "x.npz"
    with file.open("wb") as stream:
        write(stream)  # type: ignore[arg-type]
    assert same(cached_arrays(file, build))


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        cached_arrays(tmp_path / "x.npz", must_not_build)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(DataError, match=r"cannot be written: .*\$NIWAKI_CACHE"):
        cached_arrays(tmp_path / "taken" / "x.npz", build)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_a_full_disk(stream: object, **arrays: object) -> None:
        Path("/dev/full").write_bytes(b"x")

    monkeypatch.setattr(np, "savez", on_a_full_disk)
    with pytest.raises(DataError, match="No space left on device"):
        cached_arrays(tmp_path / "x.npz", build)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_and_what_is_being_written_is_not(
    tmp_path: Path,
) -> None:
    abandoned, busy = tmp_path / ".x.npz.1.tmp", tmp_path / ".x.npz.2.tmp"
    abandoned.write_bytes(b"half")
    busy.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    cached_arrays(tmp_path / "x.npz", build)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".x.npz.2.tmp", "x.npz"]


def _race(file: Path) -> bool:
    return all(same(cached_arrays(file, build)) for _ in range(20))


def test_processes_that_race_all_get_sound_arrays(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    file.write_bytes(b"damaged")
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert all(pool.map(_race, [file] * 6))
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_the_default_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIWAKI_CACHE", "/somewhere/else")
    assert default_cache() == Path("/somewhere/else")
    monkeypatch.setenv("NIWAKI_CACHE", "~/else")
    assert default_cache() == Path.home() / "else"
    monkeypatch.delenv("NIWAKI_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_cache() == Path.home() / ".cache" / "niwaki"


def test_without_a_home_the_folder_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NIWAKI_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)  # a user that the system does not know
    with pytest.raises(ConfigError, match=r"name a folder in \$NIWAKI_CACHE"):
        default_cache()

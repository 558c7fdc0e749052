"""Folders of images."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from niwaki.core.errors import ConfigError, DataError
from niwaki.tasks.arrays import ArraySplit
from niwaki.tasks.base import SplitName
from niwaki.tasks.image_folder import ImageFolderSettings, load, read_image

RED, BLUE = (250, 10, 10), (10, 10, 250)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name, colour in (("red", RED), ("blue", BLUE)):
        (root / name).mkdir(parents=True)
        for i in range(15):
            Image.new("RGB", (10 + i, 12), colour).save(root / name / f"{i}.png")
    return root


def settings(folder: Path, **changes: object) -> ImageFolderSettings:
    cache = str(folder.parent / "cache")
    return ImageFolderSettings(**{"path": str(folder), "size": (6, 8), "cache": cache, **changes})  # type: ignore[arg-type]


def test_subfolders_are_classes_in_order_of_name(folder: Path) -> None:
    data = load(settings(folder), seed=0)
    assert data.class_names == {"label": ("blue", "red")}
    assert data.input_shape == (3, 6, 8)
    split = data[SplitName.TRAIN]
    assert isinstance(split, ArraySplit)
    reds = split.arrays.inputs[split.arrays.targets["label"] == 1]
    assert len(reds)
    assert (reds == RED).all()


def test_a_second_load_reads_no_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(settings(folder), seed=0)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert load(settings(folder), seed=0).fingerprint == first.fingerprint


def test_a_changed_image_is_read_again(folder: Path) -> None:
    first = load(settings(folder), seed=0)
    Image.new("RGB", (30, 30), (1, 2, 3)).save(folder / "red" / "0.png")
    assert load(settings(folder), seed=0).fingerprint != first.fingerprint


def test_a_folder_for_each_split(folder: Path) -> None:
    path = {"train": str(folder), "test": str(folder)}
    assert load(settings(folder, path=path), seed=0)[SplitName.TEST].n_items == 30


def test_an_unreadable_image_is_named(folder: Path) -> None:
    (folder / "red" / "3.png").write_bytes((folder / "red" / "3.png").read_bytes()[:40])
    with pytest.raises(DataError, match=r"red.3\.png' cannot be read as an image"):
        load(settings(folder), seed=0)


def test_a_file_that_is_no_image_is_named(folder: Path) -> None:
    (folder / "red" / "notes.txt").write_text("red things")
    with pytest.raises(DataError, match=r"notes\.txt' cannot be read as an image"):
        load(settings(folder), seed=0)


def test_files_beside_the_classes_are_a_warning_and_hidden_ones_are_not(folder: Path) -> None:
    (folder / "README").write_text("about")
    (folder / ".DS_Store").write_text("")
    (folder / "red" / ".thumbnail").write_text("")
    warnings = load(settings(folder), seed=0).warnings
    assert [one for one in warnings if "left out" in one] == [
        "train: 1 files beside the class folders were left out, like README"
    ]


def test_an_empty_class_is_a_warning(folder: Path) -> None:
    (folder / "green").mkdir()
    assert "no train item shows green" in load(settings(folder), seed=0).warnings[0]


def test_a_class_that_train_lacks_is_an_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other" / "green").mkdir(parents=True)
    path = {"train": str(folder), "val": str(tmp_path / "other")}
    with pytest.raises(DataError, match="class 'green' that the train folder has not"):
        load(settings(folder, path=path), seed=0)


def test_no_images_at_all_is_an_error(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "empty" / name).mkdir(parents=True)
    with pytest.raises(DataError, match="has no images"):
        load(settings(tmp_path / "empty"), seed=0)


def test_a_missing_folder_is_named_as_typed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\(folder of the train split\) does not exist"):
        load(settings(tmp_path / "nowhere"), seed=0)


def test_pillow_is_asked_for_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigError, match=r"pip install 'niwaki\[images\]'"):
        load(settings(folder), seed=0)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_sixteen_bit_greyscale_stays_as_it_is(tmp_path: Path, mode: str) -> None:
    pixels = np.array([[0, 20_000], [40_000, 65_535]], dtype=np.uint16)
    Image.fromarray(pixels).save(tmp_path / "deep.png")
    found = read_image(tmp_path / "deep.png", (2, 2), mode)
    assert found.shape == (2, 2, len(mode))
    assert (found == pixels[:, :, None]).all()


@pytest.mark.parametrize(("name", "dtype"), [("x.png", np.uint16), ("x.tif", np.int32)])
def test_of_sixteen_bits_those_that_are_used_are_kept(
    folder: Path, name: str, dtype: type[np.generic]
) -> None:
    few = np.random.default_rng(0).integers(0, 256, (6, 8)).astype(dtype)
    Image.fromarray(few).save(folder / "red" / name)
    data = load(settings(folder, mode="L", fractions={}), seed=0)
    splits = [data[split] for split in SplitName]
    images = np.concatenate([s.arrays.inputs for s in splits if isinstance(s, ArraySplit)])
    assert any((image[:, :, 0] == few).all() for image in images)
    greys = {int(image[0, 0, 0]) for image in images if image.std() == 0}
    assert greys == {257 * grey for grey in (37, 82)}  # of blue and of red, in 8 bits


def test_splits_of_eight_and_of_sixteen_bits_get_one_scale(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "deep" / "red").mkdir(parents=True)
    deep = np.full((6, 8), 257 * 82, np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep" / "red" / "x.png")
    path = {"train": str(folder), "test": str(tmp_path / "deep")}
    data = load(settings(folder, path=path, mode="L"), seed=0)
    train, (test,) = data[SplitName.TRAIN].batches(100), data[SplitName.TEST].batches(9)
    reds = [b.inputs[b.targets["label"] == 1] for b in train]
    assert (reds[0] == test.inputs[0]).all()


def test_a_link_that_moves_to_another_class_is_seen(folder: Path) -> None:
    store = folder.rename(folder.parent / "store")
    for name in ("red", "blue"):
        (folder / name).mkdir(parents=True)
    for i in range(30):
        photo = store / ("red" if i < 15 else "blue") / f"{i % 15}.png"
        (folder / ("blue" if i < 15 else "red") / f"{i:02}.png").symlink_to(photo)
    load(settings(folder), seed=0)
    for i in range(15, 25):
        (folder / "red" / f"{i}.png").rename(folder / "blue" / f"{i}.png")
    data = load(settings(folder), seed=0)
    labels = [t["label"] for split in SplitName for t in data[split].targets(100)]
    assert np.bincount(np.concatenate(labels)).tolist() == [25, 5]


def test_a_photo_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 2))
    image.paste(RED, (0, 0, 2, 2))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees, clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    found = read_image(tmp_path / "turned.png", (4, 2), "RGB")
    assert (found[:2] == RED).all()
    assert (found[2:] == 0).all()


def test_notes_on_how_a_photo_was_taken_that_are_damaged_are_told(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "M", 6
    file = tmp_path / "photo.jpg"
    Image.new("RGB", (4, 2)).save(file, exif=exif)
    maker, height = b"\x01\x0f\x00\x02", b"\x01\x01\x00\x02"  # of which text is none
    file.write_bytes(file.read_bytes().replace(maker, height))
    with pytest.raises(DataError, match=r"photo\.jpg' cannot be read as an image"):
        read_image(file, (4, 2), "RGB")


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "1", "CMYK"])
def test_other_modes_are_converted(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (5, 5), RED).convert(mode).save(tmp_path / "x.tiff")
    assert read_image(tmp_path / "x.tiff", (3, 3), "RGB").shape == (3, 3, 3)


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((3, 3), np.float32)).save(tmp_path / "x.tiff")
    with pytest.raises(DataError, match="floating-point pixels"):
        read_image(tmp_path / "x.tiff", (3, 3), "L")


@pytest.mark.parametrize("value", [-300, 2**31 - 1])
def test_greyscale_beyond_sixteen_bits_is_refused(tmp_path: Path, value: int) -> None:
    Image.fromarray(np.full((3, 3), value, np.int32)).save(tmp_path / "x.tiff")
    with pytest.raises(DataError, match=rf"x\.tiff' holds pixels from {value} to {value}"):
        read_image(tmp_path / "x.tiff", (3, 3), "L")


def test_a_link_to_nothing_is_named(folder: Path) -> None:
    (folder / "red" / "gone.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(DataError, match=r"gone\.png' cannot be read as an image.*move it away"):
        load(settings(folder), seed=0)


def test_a_mode_that_is_unknown_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="mode: BGR"):
        load(settings(folder, mode="BGR"), seed=0)

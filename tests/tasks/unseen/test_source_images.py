"""Files of labelled images, in every format that people have."""

import gzip
import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from niwaki.core.errors import ConfigError, DataError
from niwaki.tasks.unseen.source_images import SourceImages, read_images

RNG = np.random.default_rng(0)
GREY = RNG.integers(256, size=(7, 5, 6), dtype=np.uint8)
COLOUR = RNG.integers(256, size=(7, 5, 6, 3), dtype=np.uint8)
LABELS = np.arange(7)


def read(
    path: Path, labels: Path | None = None, arrays: dict[str, str] | None = None
) -> SourceImages:
    return read_images(path, typed=path.name, labels=labels, arrays=arrays or {})


def npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    "images",
    [COLOUR, np.moveaxis(COLOUR, 3, 1), COLOUR / 255, COLOUR.astype(np.int64)],
    ids=["channels last", "channels first", "real", "wide integers"],
)
def test_colour_images_in_any_layout_and_type_are_the_same_bytes(
    tmp_path: Path, images: object
) -> None:
    source = read(npz(tmp_path / "a.npz", images=images, labels=LABELS))
    assert (source.images == np.moveaxis(COLOUR, 3, 1)).all()
    assert source.labels.tolist() == LABELS.tolist()


def test_arrays_are_told_by_their_shapes_or_named(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", X=GREY, y=LABELS)
    assert (read(path).images[:, 0] == GREY).all()
    path = npz(tmp_path / "b.npz", x_train=GREY, x_test=GREY[:2], y_train=LABELS, y_test=LABELS[:2])
    with pytest.raises(DataError, match=r"2 arrays that could be the images: name .*x_train"):
        read(path)
    assert len(read(path, arrays={"images": "x_test", "labels": "y_test"})) == 2
    with pytest.raises(ConfigError, match=r"arrays.image' is unknown; did you mean 'images'"):
        read(path, arrays={"image": "x_test"})


def test_packed_images_are_decoded(tmp_path: Path) -> None:
    files = []
    for pixels in COLOUR:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format="PNG")
        files.append(file.getvalue())
    offsets = np.cumsum([0, *map(len, files)])
    data = np.frombuffer(b"".join(files), np.uint8)
    source = read(npz(tmp_path / "a.npz", data=data, offsets=offsets, labels=LABELS))
    assert (source.images == np.moveaxis(COLOUR, 3, 1)).all()
    broken = npz(tmp_path / "b.npz", data=data * 0, offsets=offsets, labels=LABELS)
    with pytest.raises(DataError, match="image 0 cannot be decoded"):
        read(broken)


def test_mnist_files_come_in_two(tmp_path: Path) -> None:
    images, labels = tmp_path / "images.gz", tmp_path / "labels"
    header = b"\0\0\x08\x03" + struct.pack(">3I", *GREY.shape)
    images.write_bytes(gzip.compress(header + GREY.tobytes()))
    labels.write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 7) + LABELS.astype(np.uint8).tobytes())
    source = read(images, labels)
    assert (source.images[:, 0] == GREY).all()
    assert source.labels.tolist() == LABELS.tolist()
    with pytest.raises(DataError, match="name the file of their labels"):
        read(images)


def test_cifar_binaries_are_read(tmp_path: Path) -> None:
    pixels = RNG.integers(256, size=(3, 3072), dtype=np.uint8)
    records = np.concatenate([np.array([[4], [0], [9]], np.uint8), pixels], axis=1)
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(records.tobytes())
    source = read(path)
    assert source.images.shape == (3, 3, 32, 32)
    assert source.images[1, 2, 0, 1] == pixels[1, 2 * 1024 + 1]
    assert source.labels.tolist() == [4, 0, 9]
    path.write_bytes(records.tobytes()[:-1])
    with pytest.raises(DataError, match="no multiple of 3073"):
        read(path)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (GREY[:3], LABELS, "for 3 images: give one integer for each"),
        (GREY, LABELS / 2, "type float64"),
        (GREY * 2.0, LABELS, "integers from 0 to 255"),
        (COLOUR[..., :2], LABELS, "1 or 3 channels"),
        (GREY[:0], LABELS[:0], "at least one"),
    ],
)
def test_what_is_no_set_of_labelled_images_is_refused(
    tmp_path: Path, images: object, labels: object, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(npz(tmp_path / "a.npz", images=images, labels=labels))


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", images=GREY, labels=LABELS)
    content = bytearray(path.read_bytes())
    content[100:300] = bytes(200)
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"cannot be read as an \.npz file"):
        read(path)
    content = bytearray(npz(path, images=GREY, labels=LABELS).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # encrypted, it says
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"cannot be read as an \.npz file"):
        read(path)

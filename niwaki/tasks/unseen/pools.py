"""Source images divided among the splits, before anything is made of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.core.randomness import stream
from niwaki.tasks.base import SplitName
from niwaki.tasks.carving import carve
from niwaki.tasks.unseen.source_images import SourceImages

FRACTIONS = {
    SplitName.SEARCH: 0.12,
    SplitName.VAL: 0.12,
    SplitName.TEST: 0.16,
    SplitName.CALIBRATION: 0.05,
}
"""Share of the train sources that a split gets when there is no file for it."""


@dataclass(frozen=True, eq=False)
class Pools:
    """Source images, each of one split.

    Attributes:
        images: (n, c, h, w) uint8, all different.
        labels: (n,) int64.
        members: Indices of the images of each split; together every image once.
        n_repeated: Images that were left out, because another one has the same pixels.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    members: Mapping[SplitName, NDArray[np.int64]]
    n_repeated: int

    def by_class(self, split: SplitName, least: int = 1) -> dict[int, NDArray[np.int64]]:
        """Return the indices of a split's images by class.

        Args:
            split: Whose.
            least: How many images of every class are needed.

        Raises:
            DataError: If a class has fewer.
        """
        chosen = self.members[split]
        labels = self.labels[chosen]
        found = {int(label): chosen[labels == label] for label in np.unique(self.labels)}
        for label, members in found.items():
            if len(members) < least:
                raise DataError(
                    f"the {split} split gets {len(members)} different source images of class "
                    f"{label}, and needs {least}: give more images, or a file for this split"
                )
        return found


def divided(files: Mapping[SplitName, SourceImages], *, seed: int) -> Pools:
    """Divide the images of the given files among all splits.

    A split with a file of its own gets what is in it; the others get a share of the train file,
    each class in proportion. Of equal images the first stays, those of the test file first of all.

    Args:
        files: At least that of train, all of one shape per image.
        seed: Decides who goes where.

    Raises:
        DataError: If shapes differ, or a file has nothing that another one has not.
    """
    _require_one_shape(files)
    order = sorted(files, key=lambda split: split is not SplitName.TEST)
    images = np.concatenate([files[split].images for split in order])
    owner = np.repeat(np.arange(len(order)), [len(files[split]) for split in order])
    labels = np.concatenate([files[split].labels for split in order])
    first = _first_of_equals(images)
    n_repeated = len(images) - len(first)
    images, labels, owner = images[first], labels[first], owner[first]
    members = {split: np.flatnonzero(owner == i) for i, split in enumerate(order)}
    for split, indices in members.items():
        if len(indices) == 0:
            raise DataError(
                f"every image in the file of the {split} split is in that of another split too: "
                "give each split images of its own"
            )
    train = members[SplitName.TRAIN]
    shares = {split: share for split, share in FRACTIONS.items() if split not in files}
    if shares:
        rng = stream(seed, "unseen", "pools")
        parts = carve(len(train), shares, rng=rng, labels=labels[train])
        members |= {split: train[part] for split, part in parts.items()}
    return Pools(images, labels, members, n_repeated)


def _first_of_equals(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the indices of all different images, in order."""
    rows = np.ascontiguousarray(images.reshape(len(images), -1))
    whole = rows.view(np.dtype((np.void, rows.shape[1])))[:, 0]
    _, first = np.unique(whole, return_index=True)
    return np.sort(first).astype(np.int64)


def _require_one_shape(files: Mapping[SplitName, SourceImages]) -> None:
    wanted = files[SplitName.TRAIN].images.shape[1:]
    for split, source in files.items():
        if source.images.shape[1:] != wanted:
            raise DataError(
                f"images of the {split} split have shape {source.images.shape[1:]}, and those of "
                f"train {wanted} (channels, height, width): make them equal"
            )

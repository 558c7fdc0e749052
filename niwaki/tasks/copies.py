"""Items that lie in two splits: a score on them says what was remembered, not what was learnt."""

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from niwaki.tasks.arrays import Arrays
from niwaki.tasks.base import SplitName

_LEARNT_FROM_FIRST = (SplitName.TRAIN, SplitName.SEARCH, SplitName.VAL, SplitName.TEST)


def copied_items(splits: Mapping[SplitName, Arrays]) -> tuple[str, ...]:
    """Return a sentence for each split that is scored and shares inputs with one used before it."""
    known: dict[SplitName, set[bytes]] = {}
    sentences = []
    for split in _LEARNT_FROM_FIRST:
        items = _digests(splits[split].inputs)
        for other, before in known.items():
            if copied := [i for i, item in enumerate(items) if item in before]:
                sentences.append(
                    f"{len(copied)} of {len(items)} items of the {split} split are in the {other} "
                    f"split too, like the one at index {copied[0]}: if they are no coincidence, "
                    "scores come out too high; remove them, or divide the data otherwise"
                )
        known[split] = set(items)
    return tuple(sentences)


def _digests(inputs: NDArray[np.generic]) -> list[bytes]:
    return [blake2b(np.ascontiguousarray(item).data, digest_size=16).digest() for item in inputs]

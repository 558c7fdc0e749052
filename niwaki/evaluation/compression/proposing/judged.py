"""What an oracle has judged, kept on disk: a run that was stopped need not judge it again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from niwaki.compress.allocation import Counts
from niwaki.core.files import cannot_write

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judged:
    """(t,) skills, losses and drifts of one network."""

    skills: Floats
    losses: Floats
    drifts: Floats


class JudgedStates:
    """What is known of states, in a file of one JSON object per line if there is one.

    Args:
        path: Of the file; None keeps what is judged in memory alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known = dict(_read(path)) if path is not None and path.exists() else {}

    def get(self, counts: Counts) -> Judged | None:
        """Return what is known of (n_groups,) counts; None if nothing is."""
        return self._known.get(tuple(counts.tolist()))

    def add(self, counts: Counts, judged: Judged) -> None:
        """Take note of a state.

        Raises:
            RunFolderError: If the file cannot be written.
        """
        key = tuple(counts.tolist())
        self._known[key] = judged
        if self._path is None:
            return
        row = {name: each.tolist() for name, each in vars(judged).items()}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"counts": key, **row}) + "\n")
        except OSError as error:
            raise cannot_write(self._path, error) from error


def _read(path: Path) -> Iterator[tuple[tuple[int, ...], Judged]]:
    """Yield what lines say; one that was torn by a kill says nothing, and is judged again."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            judged = Judged(*(np.array(row[n], np.float64) for n in ("skills", "losses", "drifts")))
        except (ValueError, LookupError, TypeError):
            continue
        yield tuple(row["counts"]), judged

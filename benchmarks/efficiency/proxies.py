"""Scores of untrained networks as further cheap columns of a table, from files on disk."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from benchmarks.efficiency.scenario import Scenario
from niwaki.core.candidate import Candidate
from niwaki.core.errors import DataError

Scores: TypeAlias = dict[str, float]
COMMAND = "python -m benchmarks.table_proxies"


def path_of(folder: Path, family: str) -> Path:
    """Return where the scores of a family of networks are."""
    return folder / f"{family}.jsonl"


def read_scores(path: Path) -> tuple[dict[str, Any], dict[str, Scores]]:
    """Return how networks were looked at, and their scores by name.

    Raises:
        DataError: If there is no such file.
    """
    if not path.exists():
        raise DataError(f"there is no '{path}': '{COMMAND}' computes it")
    first, *rest = map(json.loads, path.read_text().splitlines())
    scores: dict[str, Scores] = {}
    for line in rest:
        scores.setdefault(line["network"], {}).update(line["scores"])
    return first, scores


@dataclass(frozen=True)
class ProxyColumns:
    """Proxies that our searchers are told of every candidate, beside the cheap values of its table.

    Attributes:
        folder: With a file of scores per family.
        proxies: Names.
    """

    folder: Path
    proxies: tuple[str, ...]

    @cached_property
    def version(self) -> str:
        """Names the files as they are, and the proxies."""
        digest = hashlib.blake2b(repr(self.proxies).encode(), digest_size=4)
        for path in sorted(self.folder.glob("*.jsonl")):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    def cheap(self, scenario: Scenario) -> Callable[[Candidate], Mapping[str, float]]:
        """Return what gives all cheap values of a candidate: those of the table, and the scores.

        A score that is not finite is left out, as an empty cell of a table is.

        Raises:
            DataError: If a network has no score.
        """
        path = path_of(self.folder, scenario.family)
        _, scores = read_scores(path)
        of_table, identity = scenario.evaluator.cheap, scenario.evaluator.identity

        def values(candidate: Candidate) -> dict[str, float]:
            known = scores.get(identity(candidate), {})
            if missing := set(self.proxies) - known.keys():
                raise DataError(
                    f"'{path}' lacks {', '.join(sorted(missing))} of {candidate.to_json()}: "
                    f"'{COMMAND}' goes on"
                )
            told = {name: known[name] for name in self.proxies if np.isfinite(known[name])}
            return {**of_table(candidate), **told}

        return values

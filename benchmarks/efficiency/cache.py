"""Finished runs on disk: one file of one JSON line each, shared by any number of processes."""

import fcntl
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.efficiency.contestants import Contestant
from benchmarks.efficiency.scenario import Meter, Scenario
from niwaki.core.files import write_text_atomically
from niwaki.core.jsonable import fingerprint


@dataclass(frozen=True)
class Finished:
    """A finished run.

    Attributes:
        scenario: Name.
        searcher: Name.
        version: Of the searcher.
        seed: Of the searcher.
        wanted: Evaluations that it was allowed.
        rows: Those evaluated, in order; fewer than wanted if the searcher repeated itself too often
            or had no more.
        asks: How many had been made when each row was asked for first, repeats included.
        n_asks: All of them.
        seconds: Wall time on a machine that may have been busy.
    """

    scenario: str
    searcher: str
    version: str
    seed: int
    wanted: int
    rows: tuple[int, ...]
    asks: tuple[int, ...]
    n_asks: int
    seconds: float


class Cache:
    """Runs by scenario, searcher and seed; another version or table has other files.

    Args:
        folder: Created if need be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def find(
        self, scenario: Scenario, contestant: Contestant, seed: int, wanted: int
    ) -> Finished | None:
        """Return a run of at least `wanted` evaluations, if there is one.

        It is cut to so many evaluations, and to the asks that a run of so many is allowed.
        """
        path = self._path(scenario, contestant, seed)
        if not path.exists():
            return None
        data = json.loads(path.read_text())
        if data["wanted"] < wanted:
            return None
        most_asks = wanted * contestant.asks_per_evaluation
        n = min(wanted, sum(asks <= most_asks for asks in data["asks"]))
        return Finished(**{**data, **{name: tuple(data[name][:n]) for name in ("rows", "asks")}})

    def run(self, scenario: Scenario, contestant: Contestant, seed: int, wanted: int) -> bool:
        """Run and keep, unless it is there or another process is at it; whether it was run."""
        path = self._path(scenario, contestant, seed)
        with _claimed(path.with_suffix(".lock")) as claimed:
            if not claimed or self.find(scenario, contestant, seed, wanted):
                return False
            meter = Meter(scenario, wanted, contestant.asks_per_evaluation)
            started = time.perf_counter()
            contestant.load()(meter, seed)
            finished = Finished(
                scenario=scenario.name,
                searcher=contestant.name,
                version=contestant.version,
                seed=seed,
                wanted=wanted,
                rows=tuple(meter.rows),
                asks=tuple(meter.asks),
                n_asks=meter.n_asks,
                seconds=round(time.perf_counter() - started, 3),
            )
            write_text_atomically(path, json.dumps(asdict(finished)) + "\n")
            return True

    def _path(self, scenario: Scenario, contestant: Contestant, seed: int) -> Path:
        told_apart = fingerprint(
            [scenario.fingerprint, contestant.version, contestant.asks_per_evaluation]
        )
        name = re.sub(r"[^\w.+-]+", "_", f"{scenario.name}-{contestant.name}-{seed}")
        return self._folder / f"{name}-{told_apart}.jsonl"


@contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Hold a lock that dies with its process; False if another holds it."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
        path.unlink(missing_ok=True)

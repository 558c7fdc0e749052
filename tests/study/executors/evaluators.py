"""Evaluators that worker processes import."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from niwaki.core.candidate import Candidate
from niwaki.core.errors import TargetError
from niwaki.core.measurement import Measurement
from niwaki.testing.scripted_evaluator import ScriptedEvaluator
from tests.study.formulas import FormulaEvaluator


@dataclass(frozen=True)
class Talkative(ScriptedEvaluator):
    """Prints to both streams, in Python and below it."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        print("from Python")  # noqa: T201
        os.write(2, b"from below\n")
        return super().evaluate(candidate, fidelity=fidelity, seed=seed)


@dataclass(frozen=True)
class Waiting(ScriptedEvaluator):
    """Logs what it waits for, as the lock of measurements does."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        logging.getLogger("niwaki.targets.lock").warning("waiting for process %d", 4711)
        return super().evaluate(candidate, fidelity=fidelity, seed=seed)


@dataclass(frozen=True)
class Heavy(ScriptedEvaluator):
    """Carries more bytes than a pipe holds, there and back."""

    load: bytes = b""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        details = {"load": self.load.decode()}
        return Measurement(candidate.key, {"n_bytes": float(len(self.load))}, details=details)


@dataclass(frozen=True)
class TorchThreads(ScriptedEvaluator):
    """Returns how many threads torch would use."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        import torch

        return Measurement(candidate.key, {"n_threads": float(torch.get_num_threads())})


@dataclass(frozen=True)
class Forking(ScriptedEvaluator):
    """Leaves a copy of its process behind, which goes on as if it were the first."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        if child := os.fork():
            os.waitpid(child, 0)
        return super().evaluate(candidate, fidelity=fidelity, seed=seed)


def refuse(reason: str) -> Any:
    """Fail, as unpickling does where a module is missing or broken."""
    raise ImportError(reason)


@dataclass(frozen=True)
class Unloadable(ScriptedEvaluator):
    """Can be pickled and not be unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return refuse, ("No module named 'somewhere_else'",)


@dataclass(frozen=True)
class Unpicklable(ScriptedEvaluator):
    """Holds something that cannot travel."""

    function: Callable[[], None] = lambda: None


def die_in_the_worker(driver_pid: int) -> ScriptedEvaluator:
    """Return an evaluator in the driver, and end any other process."""
    if os.getpid() != driver_pid:
        os._exit(9)
    return ScriptedEvaluator()


@dataclass(frozen=True)
class Interrupting(ScriptedEvaluator):
    """Interrupts itself, as Ctrl-C would."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        raise KeyboardInterrupt


@dataclass(frozen=True)
class Deadly(ScriptedEvaluator):
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[int], Any], tuple[int]]:
        return die_in_the_worker, (os.getpid(),)


@dataclass(frozen=True)
class Sociable(FormulaEvaluator):
    """Leaves the number of its process, and the node of a Ray cluster that it was on.

    Attributes:
        slow_node: Where an evaluation takes ten minutes.
        begun: File that is made when one begins there.
    """

    slow_node: str = ""
    begun: Path | None = None

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        import ray

        node = ray.get_runtime_context().get_node_id()
        if node == self.slow_node:
            assert self.begun is not None
            self.begun.touch()
            time.sleep(600.0)
        measurement = super().evaluate(candidate, fidelity=fidelity, seed=seed)
        return replace(measurement, details={"pid": os.getpid(), "node": node})


@dataclass(frozen=True)
class Prepared(ScriptedEvaluator):
    """Reads a file that it has prepared, and says where.

    Attributes:
        objection: What to raise when it is prepared in another process than its first.
        seconds: How long an evaluation takes.
        home: Number of that process.
        folders: Where it was prepared, in order.
    """

    objection: str = ""
    seconds: float = 0.0
    home: int = field(default_factory=os.getpid)
    folders: list[Path] = field(default_factory=list)

    def prepare(self, folder: Path) -> None:
        if self.objection and os.getpid() != self.home:
            raise TargetError(self.objection)
        weights = folder / "inner" / "weights"
        if not weights.exists():
            weights.parent.mkdir(parents=True)
            weights.write_text("7")
        self.folders.append(folder)

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        time.sleep(self.seconds)
        folder = self.folders[-1]
        value = float((folder / "inner" / "weights").read_text())
        return Measurement(candidate.key, {"value": value}, details={"folder": str(folder)})


@dataclass(frozen=True)
class LoadedOnce(ScriptedEvaluator):
    """Takes long to load in the first worker, and cannot be loaded in others.

    Attributes:
        flag: File that the first one leaves.
    """

    flag: Path = Path()

    def __reduce__(self) -> tuple[Callable[[Path], ScriptedEvaluator], tuple[Path]]:
        return _load_once, (self.flag,)


def _load_once(flag: Path) -> ScriptedEvaluator:
    try:
        flag.touch(exist_ok=False)
    except FileExistsError:
        raise ModuleNotFoundError("this node lacks it") from None
    time.sleep(3.0)
    return ScriptedEvaluator()

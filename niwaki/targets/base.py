"""What every target can do: run a model, and say how long it takes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

import onnx
from numpy.typing import NDArray

from niwaki.core.jsonable import JSON
from niwaki.targets.capabilities import Capabilities
from niwaki.targets.latency import Latency

# A model in memory, serialised or not, or the file that holds it.
Model: TypeAlias = onnx.ModelProto | bytes | Path
Feeds: TypeAlias = Mapping[str, NDArray[Any]]
Outputs: TypeAlias = dict[str, NDArray[Any]]
Runner: TypeAlias = Callable[[Feeds], Outputs]


class Effort(StrEnum):
    """How long a measurement may take."""

    QUICK = "quick"  # inside a search: fractions of a second per model
    THOROUGH = "thorough"  # finalists and benchmarks: seconds per model


class Target(ABC):
    """A piece of hardware with its runtime and the settings that models run with.

    A target is frozen and travels to worker processes: it holds settings, never a session. Results
    belong to a `target_id`; two latencies compare only if their ids are equal.

    Laws, checked by `niwaki.testing.target_contract.TargetContract`:
        * the id is the same after pickling, in another process and under another hash seed;
        * the id changes when a setting that changes latency does;
        * a session's load, or the name of the machine, does not change the id;
        * `optimised` computes what the model computes;
        * inputs that no real use has (all zeros, subnormal numbers) are refused.
    """

    @property
    @abstractmethod
    def target_id(self) -> str:
        """Readable, with a short hash: runtime and version, processor, threads, settings."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What runs here, and what is worth asking for."""

    def describe(self) -> dict[str, JSON]:
        """Return what a reader of a measurement must know of the machine. No name, no path.

        Empty where a target has nothing to say beyond its id.

        Raises:
            TargetError: If it cannot be reached.
        """
        return {}

    @abstractmethod
    def run(self, model: Model, feeds: Feeds) -> Outputs:
        """Run a model once, as it would run when deployed.

        Raises:
            TargetError: If the model cannot be loaded or run here, with the runtime's reason.
        """

    @abstractmethod
    def open(self, model: Model) -> Runner:
        """Load a model once, to run it many times.

        Raises:
            TargetError: If the model cannot be loaded here, with the runtime's reason.
        """

    @abstractmethod
    def optimised(self, model: Model) -> onnx.ModelProto:
        """Return the graph that really runs, after the runtime's own optimisations.

        Raises:
            TargetError: If the model cannot be loaded here.
        """

    @abstractmethod
    def calibrate(self) -> float:
        """Return the nominal time of the reference model, in milliseconds.

        A study calibrates once, stores the number in its run folder, and measures everything with
        `calibrated(number)`: so latencies of one run compare, whenever they were measured.
        """

    @abstractmethod
    def calibrated(self, nominal_reference_ms: float) -> "Target":
        """Return this target with the nominal time of its reference model filled in.

        Raises:
            TargetError: If the number is not positive and finite.
        """

    @abstractmethod
    def computing(self) -> AbstractContextManager[None]:
        """Say that this process is about to load the target's machine, inside a `with` block.

        Measurements wait until the block is left, and the block is entered once they are over: a
        neighbour on the next core makes int8 models look up to half slower. Do not measure inside.
        """

    @abstractmethod
    def measure(
        self,
        models: Sequence[Model],
        feeds: Sequence[Feeds],
        *,
        effort: Effort = Effort.QUICK,
        seed: int = 0,
    ) -> list[Latency]:
        """Measure models in one session, all interleaved with each other and with the reference.

        Waits until no other process of this user measures on this machine.

        Args:
            models: n of them.
            feeds: n mappings from input name to real data: timing depends on values.
            effort: How long it may take.
            seed: Of the bootstrap, and of the order in which models take turns.

        Raises:
            TargetError: If a model cannot run here, if inputs are not like real data, or if the
                machine is not free in time.
        """

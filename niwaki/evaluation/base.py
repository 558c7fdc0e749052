"""What every evaluator can do: a candidate in, a measurement out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, ExportError
from niwaki.core.fidelity import Fidelities
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Objective
from niwaki.spaces.base import Space


@dataclass(frozen=True)
class Provenance:
    """Where an exported model comes from, for its card.

    Attributes:
        study: Name of the study.
        objectives: What it wanted.
        config_hash: Fingerprint of everything in its configuration that changes results.
    """

    study: str
    objectives: tuple[Objective, ...]
    config_hash: str


@dataclass(frozen=True)
class Export:
    """A candidate written as a file and measured from it.

    Attributes:
        measurement: Values of the exported file on the runtime, on the validation split; those on
            the test split, which nothing is chosen by, are in `details["test"]`.
        folder: Holds `model.onnx`, its card and its verification data.
    """

    measurement: Measurement
    folder: Path


class Exporting(Protocol):
    """What writes networks as files, and measures them from there: evaluators do."""

    @property
    def exported_values(self) -> tuple[Objective, ...]:
        """Every value that is measured of a file."""

    def identity(self, candidate: Candidate) -> str:
        """Return a name that candidates of one network share: see `Evaluator.identity`."""

    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        """Write a candidate's network: see `Evaluator.export`."""

    def has_exported(self, folder: Path) -> bool:
        """Return whether it is there, whole: see `Evaluator.has_exported`."""

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        """Time what was written: see `Evaluator.measure_exports`."""


class Evaluator(ABC):
    """Scores candidates of one space.

    An evaluator is cheap to build and to pickle: it travels to worker processes, and loads what is
    heavy (data, weights) on first use there. `prepare` does the one-time work, in the driver,
    before the first evaluation.
    """

    @property
    @abstractmethod
    def space(self) -> Space:
        """Where its candidates come from."""

    @property
    @abstractmethod
    def values(self) -> tuple[Objective, ...]:
        """Every value that a complete measurement has, with direction and unit."""

    @property
    def exported_values(self) -> tuple[Objective, ...]:
        """Those that are measured of an exported file, too: all, unless an evaluator says less."""
        return self.values

    @property
    @abstractmethod
    def exports(self) -> bool:
        """Whether its candidates are networks that can be exported; rows of a table are not."""

    @property
    def fidelities(self) -> Fidelities:
        """The shares of the full effort that `evaluate` can be asked for: the whole, or less too.

        What less effort means (fewer epochs, a share of the data, smaller images) is for each
        evaluator to say. Values that do not depend on effort, such as latency, are the same at all.
        """
        return Fidelities()

    def gains_by_effort(self, candidate: Candidate) -> bool:  # noqa: ARG002
        """Return whether more effort can change what `evaluate` gives; true unless it is known.

        What cannot gain, such as an original that nothing is tuned of, is told as of the full
        effort, at whatever fidelity it was asked for.
        """
        return True

    @abstractmethod
    def prepare(self, folder: Path) -> None:
        """Do the one-time work, such as training a super-network, and keep it under `folder`.

        Idempotent, and resumable after a kill: what is already there is not done again.

        Args:
            folder: There already, and the study's own.
        """

    @abstractmethod
    def baseline(self) -> Candidate:
        """Return the candidate that relative constraints refer to."""

    @abstractmethod
    def initial(self) -> tuple[Candidate, ...]:
        """Return plain candidates that a search should try first, and then beat; may be empty."""

    @abstractmethod
    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        """Return the values that cost nothing: parameters, MACs, bytes. May be empty."""

    def identity(self, candidate: Candidate) -> str:
        """Return a name that candidates share if and only if they are one and the same network.

        The candidate's key, unless an evaluator knows better: a table of cells, say, which of them
        are isomorphic.
        """
        return candidate.key

    @property
    def alike(self) -> Callable[[Candidate], str] | None:
        """What names candidates that are one network measured apart; None if there are no such."""
        return None

    @property
    def promises(self) -> Callable[[Candidate], Mapping[str, float]] | None:
        """What guesses how good a candidate is, for much less than it costs to measure it.

        It gives guesses by name, more for better, and none of what it cannot judge; always the same
        ones. None if there are no guesses.
        """
        return None

    @abstractmethod
    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        """Return all values.

        What cannot be measured may be left out, with the reason: it has then failed for whoever
        wants that value. What is not finite has failed altogether. May raise anything: the executor
        turns an exception into a failed measurement.

        Args:
            candidate: Valid in the evaluator's space.
            fidelity: Share of the full effort, one that `fidelities` allows.
            seed: Seed of everything random in this evaluation; the same for all evaluations of one
                candidate, at whatever fidelity.
        """

    @abstractmethod
    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        """Write the candidate's network under `folder` and score it from there.

        Idempotent: a complete export that is already there is read, not made again.

        Args:
            candidate: Valid in the evaluator's space.
            folder: Of this candidate; created if need be.
            provenance: For the model's card.
            seed: Seed of everything random.

        Raises:
            ExportError: If it cannot be written, or if this evaluator has no networks (a table).
                With any other error of niwaki, too, the others are still exported.
            VerificationError: If the file does not compute what the network computes.
        """

    def alone(self, task: str) -> Exporting:
        """Return what exports the same candidates as networks that answer one task alone.

        Raises:
            ConfigError: If there are no such networks, as here, or no such task.
        """
        raise ConfigError(
            f"{type(self).__name__} gives no networks of one task: leave 'task: {task}' out, and "
            "the goal's networks answer all; or choose the evaluator 'supernet'"
        )

    def has_exported(self, folder: Path) -> bool:  # noqa: ARG002
        """Return whether what `export` wrote to a folder is there, whole; else it is written anew.

        True unless an evaluator looks.
        """
        return True

    @abstractmethod
    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        """Time exported models together, in one session, and complete their cards.

        Args:
            exports: What `export` returned, in any number.
            seed: Seed of everything random.
        """


class UnexportedEvaluator(Evaluator):
    """An evaluator that has no networks at hand, so that nothing is exported."""

    @property
    def exports(self) -> bool:
        return False

    @abstractmethod
    def why_not_exported(self, candidate: Candidate) -> str:
        """Return why there is no network of a candidate, as a sentence without its end."""

    def export(
        self,
        candidate: Candidate,
        folder: Path,  # noqa: ARG002
        *,
        provenance: Provenance,  # noqa: ARG002
        seed: int,  # noqa: ARG002
    ) -> Export:
        raise ExportError(self.why_not_exported(candidate))

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:  # noqa: ARG002
        return list(exports)

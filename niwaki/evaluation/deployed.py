"""What evaluators have in common whose candidates are networks that run on a target."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from niwaki.compress.quantization.plan import QuantizationPlan
from niwaki.core.candidate import Candidate
from niwaki.core.errors import StudyError
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Objective
from niwaki.evaluation.base import Evaluator, Export
from niwaki.evaluation.bundles import export_of, time_exports
from niwaki.evaluation.deployment import (
    Deployed,
    Deployment,
    DeploymentSettings,
    calibrated_in,
    measurement_of,
    require_same_data,
)
from niwaki.evaluation.values import deployed_values
from niwaki.export.bundle import intact_bundle
from niwaki.export.card import ModelCard
from niwaki.targets.base import Target
from niwaki.tasks.base import TaskData


class DeployedEvaluator(Evaluator):
    """Scores networks by what they do on the target's runtime, and exports them.

    Whatever is heavy is a `cached_property`: it stays behind when the evaluator travels, and is
    made anew in each process.

    Args:
        target: Where networks run.
        deployment: How int8 models are calibrated, and models scored.
        seed: The study's.
        notify: Told of the progress of `prepare`, in sentences.
    """

    def __init__(
        self,
        target: Target,
        deployment: DeploymentSettings,
        *,
        seed: int,
        notify: Callable[[str], None] | None,
    ) -> None:
        self._target, self._deployment_settings = target, deployment
        self._seed, self._notify = seed, notify
        self._folder: Path | None = None

    def __getstate__(self) -> dict[str, object]:
        """Travel light."""
        bases = type(self).__mro__
        heavy = {n for base in bases for n, v in vars(base).items() if _is_cached(v)}
        state = {name: value for name, value in self.__dict__.items() if name not in heavy}
        return {**state, "_notify": None}

    @property
    @abstractmethod
    def data(self) -> TaskData:
        """The tasks and their splits."""

    @abstractmethod
    def _layer_counts(self, candidate: Candidate) -> Mapping[str, Mapping[str, JSON]]:
        """Return what is known of each layer without running it, by path."""

    @property
    def values(self) -> tuple[Objective, ...]:
        return deployed_values(self.data)

    @property
    def exports(self) -> bool:
        return True

    @cached_property
    def _deployment(self) -> Deployment:
        return Deployment(self.data, self._target, self._deployment_settings)

    def has_exported(self, folder: Path) -> bool:
        return intact_bundle(folder) is not None

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        return time_exports(exports, self._deployment, seed=seed)

    def _settle(self, folder: Path) -> None:
        """Take a folder for what is prepared; its data and its device stay the same from then on.

        Raises:
            ConfigError: If it began with other data.
            TargetError: If it began on another device.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        require_same_data(folder, self.data)
        for warning in self.data.warnings:
            self._say(f"data: {warning}")
        self._target = calibrated_in(folder, self._target)

    def _in_folder(self, name: str) -> Path:
        if self._folder is None:
            raise StudyError("nothing is prepared yet: call `prepare` first")
        return self._folder / name

    def _measured(
        self,
        candidate: Candidate,
        deployed: Deployed,
        plan: QuantizationPlan,
        *,
        fidelity: float,
        seed: int,
    ) -> Measurement:
        """Return the measurement of a candidate that was run."""
        return measurement_of(
            candidate,
            deployed,
            plan,
            counts=self.cheap(candidate),
            layers=self._layer_counts(candidate),
            fidelity=fidelity,
            seed=seed,
        )

    def _exported(self, card: ModelCard, folder: Path, *, seed: int) -> Export:
        """Return the export of a card's candidate, whose bundle is in `folder`."""
        return export_of(
            card,
            folder,
            counts=self.cheap(card.candidate),
            layers=self._layer_counts(card.candidate),
            seed=seed,
        )

    def _say(self, sentence: str) -> None:
        if self._notify is not None:
            self._notify(sentence)


def _is_cached(attribute: object) -> bool:
    return isinstance(attribute, cached_property)

"""Networks of einspace that are trained and scored in torch, neither exported nor timed.

Where latency is no objective, a network then costs its training alone.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from niwaki import Candidate
from niwaki.core.fidelity import Fidelities
from niwaki.core.measurement import Measurement, Status
from niwaki.core.objectives import Objective
from niwaki.evaluation.base import Evaluator, Export, Provenance
from niwaki.evaluation.devices import best_device, placed, torch_threads
from niwaki.evaluation.families import NetworkFamily
from niwaki.evaluation.from_scratch import FromScratchEvaluator
from niwaki.evaluation.scratch_training import Progress, RecipeSettings, ScratchTraining
from niwaki.evaluation.values import MACS, PARAMS, PEAK_BYTES, WEIGHT_BYTES
from niwaki.spaces.base import Space
from niwaki.tasks import MEAN_SKILL
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.scoring import score

_BATCH = 256


def trained_skill(
    family: NetworkFamily,
    data: TaskData,
    candidate: Candidate,
    *,
    recipe: RecipeSettings,
    seed: int,
    split: SplitName,
    share: float = 1.0,
) -> tuple[float, Progress]:
    """Train a network and return its mean skill on a split, NaN if that failed, and how it went."""
    with torch_threads(1):
        training = ScratchTraining(
            lambda: family.build(candidate), data, recipe, fidelity=share, seed=seed
        )
        progress = training.run(nullcontext)
        if progress.failure:
            return math.nan, progress
        return _skill(training, data, split), progress


def _skill(training: ScratchTraining, data: TaskData, split: SplitName) -> float:
    device = best_device()
    network = placed(training.finished(), device, torch.contiguous_format)

    @torch.no_grad()
    def predictions() -> Iterator[tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]]:
        for batch in data[split].batches(_BATCH):
            answers = network(torch.from_numpy(batch.inputs).to(device))
            listed = (answers,) if isinstance(answers, Tensor) else answers
            named = zip(data.tasks, listed, strict=True)
            yield {task.name: answer.cpu().numpy() for task, answer in named}, batch.targets

    return score(data.tasks, predictions(), chance=data.chance)[MEAN_SKILL.name]


class TrainedOnly(Evaluator):
    """Scores candidates by their trained weights; exports them as the evaluator beneath does.

    Args:
        deployed: Trains, exports and times the same networks.
        recipe: How they are trained.
    """

    def __init__(self, deployed: FromScratchEvaluator, recipe: RecipeSettings) -> None:
        self._deployed, self._recipe = deployed, recipe

    @property
    def space(self) -> Space:
        return self._deployed.space

    @property
    def values(self) -> tuple[Objective, ...]:
        return (MEAN_SKILL, MACS, PARAMS, WEIGHT_BYTES, PEAK_BYTES)

    @property
    def exports(self) -> bool:
        return True

    @property
    def fidelities(self) -> Fidelities:
        return self._deployed.fidelities

    def prepare(self, folder: Path) -> None:
        self._deployed.prepare(folder)

    def baseline(self) -> Candidate:
        return self._deployed.baseline()

    def initial(self) -> tuple[Candidate, ...]:
        return self._deployed.initial()

    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        return self._deployed.cheap(candidate)

    @property
    def promises(self) -> Callable[[Candidate], Mapping[str, float]] | None:
        return self._deployed.promises

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        split = SplitName.SEARCH
        skill, progress = self._trained(candidate, seed=seed, split=split, share=fidelity)
        failed = not math.isfinite(skill)
        return Measurement(
            key=candidate.key,
            values={**self.cheap(candidate), **({} if failed else {MEAN_SKILL.name: skill})},
            status=Status.FAILED if failed else Status.COMPLETE,
            reason=(progress.failure or "its answers are not finite") if failed else "",
            fidelity=fidelity,
            seed=seed,
            details={"training": asdict(progress)},
        )

    def test_skill(self, candidate: Candidate, *, seed: int) -> float:
        """Return the score on the test split after one training; that of chance if it fails."""
        skill, _ = self._trained(candidate, seed=seed, split=SplitName.TEST)
        return skill if math.isfinite(skill) else 0.0

    def _trained(
        self, candidate: Candidate, *, seed: int, split: SplitName, share: float = 1.0
    ) -> tuple[float, Progress]:
        deployed = self._deployed
        return trained_skill(
            deployed.family,
            deployed.data,
            candidate,
            recipe=self._recipe,
            seed=seed,
            split=split,
            share=share,
        )

    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        return self._deployed.export(candidate, folder, provenance=provenance, seed=seed)

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        return self._deployed.measure_exports(exports, seed=seed)

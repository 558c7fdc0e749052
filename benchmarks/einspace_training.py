"""Networks of einspace that are trained and scored in torch, and timed if that is asked for.

A network then costs its training, and little else: scoring a deployed model takes longer on a
processor than training it on a GPU. What is timed is the graph that would be deployed.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from niwaki import Candidate
from niwaki.core.fidelity import Fidelities
from niwaki.core.measurement import Measurement, Status
from niwaki.core.objectives import Objective
from niwaki.evaluation.base import Evaluator, Export, Provenance
from niwaki.evaluation.deployment import Deployment, DeploymentSettings
from niwaki.evaluation.devices import best_device, placed, torch_threads
from niwaki.evaluation.families import NetworkFamily
from niwaki.evaluation.from_scratch.evaluator import FromScratchEvaluator
from niwaki.evaluation.from_scratch.training import Progress, RecipeSettings, ScratchTraining
from niwaki.evaluation.values import LATENCY, MACS, PARAMS, PEAK_BYTES, WEIGHT_BYTES
from niwaki.spaces.base import Space
from niwaki.targets.base import Effort, Target
from niwaki.tasks import MEAN_SKILL
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.scoring import score

_BATCH = 256


def trained_skills(
    family: NetworkFamily,
    data: TaskData,
    candidate: Candidate,
    *,
    recipe: RecipeSettings,
    seed: int,
    splits: Sequence[SplitName],
    share: float = 1.0,
) -> tuple[list[float], Progress]:
    """Train a network; return its mean skill on splits, NaN if that failed, and how it went."""
    with torch_threads(1):
        training = ScratchTraining(
            lambda: family.build(candidate), data, recipe, fidelity=share, seed=seed
        )
        progress = training.run(nullcontext)
        if progress.failure:
            return [math.nan] * len(splits), progress
        network = placed(training.finished(), best_device(), torch.contiguous_format)
        return [_skill(network, data, split) for split in splits], progress


def _skill(network: nn.Module, data: TaskData, split: SplitName) -> float:
    device = best_device()

    @torch.no_grad()
    def predictions() -> Iterator[tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]]:
        for batch in data[split].batches(_BATCH):
            answers = network(torch.from_numpy(batch.inputs).to(device))
            listed = (answers,) if isinstance(answers, Tensor) else answers
            named = zip(data.tasks, listed, strict=True)
            yield {task.name: answer.cpu().numpy() for task, answer in named}, batch.targets

    return score(data.tasks, predictions(), chance=data.chance)[MEAN_SKILL.name]


class TrainedOnly(Evaluator):
    """Scores candidates in torch; otherwise it does what the evaluator beneath does.

    Args:
        deployed: Of the same networks.
        recipe: How they are trained.
        target: Times each of them; None if latency is no objective.
    """

    def __init__(
        self, deployed: FromScratchEvaluator, recipe: RecipeSettings, target: Target | None = None
    ) -> None:
        self._deployed, self._recipe, self._target = deployed, recipe, target

    @property
    def space(self) -> Space:
        return self._deployed.space

    @property
    def values(self) -> tuple[Objective, ...]:
        timed = (LATENCY,) if self._target else ()
        return (MEAN_SKILL, *timed, MACS, PARAMS, WEIGHT_BYTES, PEAK_BYTES)

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

    def identity(self, candidate: Candidate) -> str:
        return self._deployed.identity(candidate)

    @property
    def promises(self) -> Callable[[Candidate], Mapping[str, float]] | None:
        return self._deployed.promises

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        (skill,), progress = self._trained(
            candidate, seed=seed, splits=[SplitName.SEARCH], share=fidelity
        )
        failed = not math.isfinite(skill)
        values = dict(self.cheap(candidate))
        if not failed:
            values[MEAN_SKILL.name] = skill
            if self._target:
                (values[LATENCY.name],) = self.latencies([candidate], seed=seed)
        return Measurement(
            key=candidate.key,
            values=values,
            status=Status.FAILED if failed else Status.COMPLETE,
            reason=(progress.failure or "its answers are not finite") if failed else "",
            fidelity=fidelity,
            seed=seed,
            details={"training": asdict(progress)},
        )

    def anew(self, candidate: Candidate, *, seed: int) -> dict[str, float]:
        """Return the scores on `val` and `test` after a training; those of chance if it fails."""
        splits = (SplitName.VAL, SplitName.TEST)
        skills, _ = self._trained(candidate, seed=seed, splits=splits)
        return {
            str(split): skill if math.isfinite(skill) else 0.0
            for split, skill in zip(splits, skills, strict=True)
        }

    def latencies(
        self, candidates: Sequence[Candidate], *, seed: int, effort: Effort = Effort.QUICK
    ) -> list[float]:
        """Return latencies in ms of networks, timed in one session; weights do not change them."""
        assert self._target is not None
        deployment = Deployment(self._deployed.data, self._target, DeploymentSettings())
        models = []
        for candidate in candidates:
            module = self._deployed.family.build(candidate).eval()
            models.append(deployment.float_graph(module, quantizable=False).model)
        feeds = [deployment.timing_feeds()] * len(models)
        timed = self._target.measure(models, feeds, effort=effort, seed=seed)
        return [each.latency_ms for each in timed]

    def _trained(
        self,
        candidate: Candidate,
        *,
        seed: int,
        splits: Sequence[SplitName],
        share: float = 1.0,
    ) -> tuple[list[float], Progress]:
        deployed = self._deployed
        return trained_skills(
            deployed.family,
            deployed.data,
            candidate,
            recipe=self._recipe,
            seed=seed,
            splits=splits,
            share=share,
        )

    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        return self._deployed.export(candidate, folder, provenance=provenance, seed=seed)

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        return self._deployed.measure_exports(exports, seed=seed)

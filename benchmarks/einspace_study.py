"""Tasks, evaluators and studies that `benchmarks/einspace.py` is made of."""

import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.einspace_training import TrainedOnly
from niwaki import Candidate
from niwaki.core.fidelity import Fidelities
from niwaki.core.files import write_text_atomically
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Trial
from niwaki.evaluation.base import Evaluator
from niwaki.evaluation.deployment import DeploymentSettings
from niwaki.evaluation.from_scratch.evaluator import FromScratchEvaluator, FromScratchSettings
from niwaki.evaluation.from_scratch.training import RecipeSettings
from niwaki.search.base import Problem, Searcher
from niwaki.search.nsga2 import NSGA2Settings
from niwaki.search.registry import SEARCHERS
from niwaki.search.regularized_evolution import RegularizedEvolutionSettings
from niwaki.search.schedulers.base import Scheduler
from niwaki.search.schedulers.full import FullEffort
from niwaki.search.schedulers.ladder import LadderSettings
from niwaki.search.schedulers.registry import SCHEDULERS
from niwaki.search.surrogate import SurrogateSettings
from niwaki.spaces.einspace import EinspaceSettings
from niwaki.spaces.grammar import Budget as TreeBudget
from niwaki.study.budget import Budget
from niwaki.study.executors.local_processes import LocalProcessExecutor, LocalProcessSettings
from niwaki.study.results.run import Run
from niwaki.study.study import Study, StudySettings
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.tasks.arrays import Arrays, ArraySplit
from niwaki.tasks.assembly import assemble
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.preprocessing import standardising
from niwaki.tasks.unseen import (
    DigitTriplesSettings,
    LanguageSettings,
    load_addnist,
    load_language,
    load_multnist,
)

DATA_SEED = 0
ANEW = 1_000_003  # seeds from here on were used by no search
SKILL, LATENCY = "mean_skill", "latency_ms"
EVOLUTION = "regularized_evolution"
SHORT = 0.25  # of a training, where a scheduler decides who is trained in full
PROXIES = ("snip", "synflow")  # chosen by ranks of networks trained on Language and AddNIST
LANGUAGES = (
    "dutch",
    "english",
    "esperanto",
    "estonian",
    "finnish",
    "indonesian",
    "italian",
    "portuguese",
    "spanish",
    "swedish",
)
MNIST = {"train": "mnist_train.npz", "test": "mnist_test.npz"}
_MadeSettings = TypeVar("_MadeSettings", DigitTriplesSettings, LanguageSettings)
SAMPLINGS: Mapping[str, EinspaceSettings] = {
    "published": EinspaceSettings(faithful=True, expected_operations=None),
    "published_weights": EinspaceSettings(expected_operations=None),
    "weights": EinspaceSettings(),
    "convolutions": EinspaceSettings(sampling="convolutions"),
    "sizes": EinspaceSettings(sampling="sizes"),
    "trees": EinspaceSettings(sampling="trees"),
}


@dataclass(frozen=True)
class Scale:
    """How much is trained.

    Attributes:
        train: Items.
        scored: Items of every split that networks are scored on; 0 for the task's own.
        epochs: Of every training.
        evaluations: Of every search.
        random: Random networks of each sampling.
        screened: How many of them are trained in full, the best after a quarter of the training;
            0 for all.
        retrained: How often a winner is trained anew, from other seeds.
        final_epochs: Of the winners among random networks when trained anew; 0 for as many as all.
        seeds: Searches that differ in nothing but the seed.
        batch_size: Items per step.
        parameters: Most weights of a network.
        macs: Most multiply-accumulates of a network.
        elements: Most numbers in all of its activations, for one example.
        max_seconds: Longest training, of processor time; a longer one is a failure.
        known: Networks that searches start from, which the budget must fit.
    """

    train: int
    scored: int
    epochs: int
    evaluations: int
    random: int
    screened: int
    retrained: int
    final_epochs: int
    seeds: int
    batch_size: int
    parameters: int
    macs: int
    elements: int
    max_seconds: int
    known: tuple[str, ...] = ("resnet8_w16", "resnet18_w16", "wrn10_1", "vit_small")

    @property
    def training(self) -> dict[str, JSON]:
        """What single results depend on: a run may go on with more of all else."""
        counts = ("evaluations", "random", "screened", "retrained", "final_epochs", "seeds")
        return {name: value for name, value in asdict(self).items() if name not in counts}

    @property
    def recipe(self) -> RecipeSettings:
        """How every network is trained."""
        return RecipeSettings(
            epochs=self.epochs, batch_size=self.batch_size, max_seconds=self.max_seconds
        )


@dataclass(frozen=True)
class Setup:
    """What all studies of one run of the benchmark share.

    Attributes:
        task: Name among `TASKS`.
        scale: How much is trained.
        folder: Of all run folders, and of models.
        n_workers: Processes.
        seeded: Whether searches start from the known networks.
    """

    task: str
    scale: Scale
    folder: Path
    n_workers: int
    seeded: bool = True

    def load(self) -> TaskData:
        """Return the data, the same for all seeds."""
        return _load(self.task, self.scale.train, self.scale.scored)

    def space(self, sampling: str) -> EinspaceSettings:
        """Return the space of one way of sampling, within the budget of the scale."""
        return _within(SAMPLINGS[sampling], self.scale)

    def evaluator(self, plan: "Plan", seed: int) -> FromScratchEvaluator:
        """Return what trains and scores the networks of a study."""
        settings = FromScratchSettings(
            recipe=self.scale.recipe,
            deployment=DeploymentSettings(batch_size=128),
            seeds=self.scale.known if plan.seeded else (),
            proxies=PROXIES if plan.objectives == (SKILL,) else (),
            max_memory_mib=1024,
        )
        return FromScratchEvaluator(
            partial(_load, self.task, self.scale.train, self.scale.scored),
            self.space(plan.sampling),
            OnnxRuntimeCpu(),
            settings=settings,
            seed=seed,
        )

    def search(self, name: str, plan: "Plan", seed: int) -> "Searched":
        """Run a study, or continue it, and return what it tried."""
        deployed = self.evaluator(plan, seed)
        target = OnnxRuntimeCpu() if LATENCY in plan.objectives else None
        evaluator = TrainedOnly(deployed, self.scale.recipe, target)
        folder = self.folder / f"{name}-{seed}"
        print(f"{folder.name}: {plan.evaluations} evaluations", file=sys.stderr, flush=True)
        study = Study(
            folder,
            evaluator,
            plan.make_searcher,
            StudySettings(
                objectives=plan.objectives,
                constraints=plan.constraints,
                budget=Budget(plan.evaluations),
                n_finalists=0,
                seed=seed,
                searcher=plan.searcher,
                scheduler=plan.scheduler,
                config={**self.scale.training, "plan": asdict(plan), "task": self.task},
            ),
            make_scheduler=plan.make_scheduler,
            make_executor=self._executor,
        )
        study.run()
        history = Run.read(folder).history
        assert history.baseline is not None
        return Searched(evaluator, history.baseline, history.trials, folder, self.n_workers)

    def _executor(self, evaluator: Evaluator) -> LocalProcessExecutor:
        return LocalProcessExecutor(evaluator, LocalProcessSettings(n_workers=self.n_workers))


@dataclass(frozen=True)
class Plan:
    """One kind of study.

    Attributes:
        searcher: Name in the registry.
        evaluations: How many networks are trained; a shorter training counts as its share.
        objectives: What is wanted.
        sampling: How random networks are drawn.
        seeded: Whether it starts from the known networks.
        scheduler: Name in the registry; empty for trainings of full length alone.
        constraints: Bounds on values, as text.
    """

    searcher: str
    evaluations: int
    objectives: tuple[str, ...] = (SKILL,)
    sampling: str = "convolutions"
    seeded: bool = True
    scheduler: str = ""
    constraints: tuple[str, ...] = ()

    def make_searcher(self, problem: Problem) -> Searcher:
        """Return the searcher, with a population that suits the evaluations.

        A search from seeds breeds from them at once. Half of what is evaluated lives, so that no
        seed retires before it had its turn.
        """
        population = max(4, self.evaluations // 2)
        n_random = 0 if self.seeded else None
        settings: object = None
        if self.searcher == EVOLUTION:
            settings = RegularizedEvolutionSettings(population, max(2, population // 3), n_random)
        elif self.searcher == "nsga2":
            settings = NSGA2Settings(population, n_random=n_random)
        elif self.searcher == "surrogate":
            settings = SurrogateSettings(n_initial=max(4, self.evaluations // 10))
        searcher: Searcher = SEARCHERS.find(self.searcher).load()(problem, settings)
        return searcher

    def make_scheduler(self, problem: Problem, fidelities: Fidelities) -> Scheduler:
        """Return the scheduler, with one rung beneath the full training."""
        if not self.scheduler:
            return FullEffort(problem, fidelities)
        settings = LadderSettings(reduction=1.0 / SHORT, least_fidelity=SHORT)
        scheduler: Scheduler = SCHEDULERS.find(self.scheduler).load()(problem, fidelities, settings)
        return scheduler


@dataclass(frozen=True)
class Searched:
    """What came of a study.

    Attributes:
        evaluator: Of the study; it times networks if latency was an objective.
        baseline: One of the networks that the search started with, measured before it.
        trials: In the order of telling.
        folder: Of the run.
        n_workers: Processes that train winners anew.
    """

    evaluator: TrainedOnly
    baseline: Trial
    trials: Sequence[Trial]
    folder: Path
    n_workers: int = 1

    def skill(self, trial: Trial) -> float:
        """Return the score on the search split; that of chance if it was not trained in full."""
        measured = trial.measurement
        return measured.values[SKILL] if measured.complete and measured.fidelity == 1.0 else 0.0

    @property
    def curve(self) -> list[float]:
        """Best score so far, after each evaluation."""
        return list(np.maximum.accumulate([self.skill(trial) for trial in self.trials]))

    @property
    def efforts(self) -> list[float]:
        """Full trainings so far, after each evaluation; a shorter one counts as its share."""
        return list(np.cumsum([trial.measurement.fidelity for trial in self.trials]))

    def best(self, n: int | None = None) -> Trial:
        """Return the best trial by the search split, of the first `n` or of all."""
        return max(self.trials[:n], key=self.skill)

    def best_seed(self) -> Trial:
        """Return the best of the networks that the search started with, by the search split."""
        known = {candidate.key for candidate in self.evaluator.initial()}
        tried = (self.baseline, *self.trials)
        return max((trial for trial in tried if trial.candidate.key in known), key=self.skill)

    def anew(self, candidates: Sequence[Candidate], n: int) -> list[dict[str, float]]:
        """Return mean scores on `val` and `test` over n trainings from seeds that no search used.

        What was trained is kept in the run's folder.
        """
        jobs = [(candidate, ANEW + number) for candidate in candidates for number in range(n)]
        left = [job for job in jobs if not self._file(*job).exists()]
        if self.n_workers > 1 and len(left) > 1:
            with ProcessPoolExecutor(self.n_workers, get_context("spawn")) as pool:
                list(pool.map(self._anew, *zip(*left, strict=True)))
        scores = [self._anew(*job) for job in jobs]
        by_candidate = [scores[at : at + n] for at in range(0, len(scores), n)]
        return [
            {split: float(np.mean([score[split] for score in each])) for split in each[0]}
            for each in by_candidate
        ]

    def _anew(self, candidate: Candidate, seed: int) -> dict[str, float]:
        file = self._file(candidate, seed)
        if not file.exists():
            write_text_atomically(file, json.dumps(self.evaluator.anew(candidate, seed=seed)))
        scores: dict[str, float] = json.loads(file.read_text())
        return scores

    def _file(self, candidate: Candidate, seed: int) -> Path:
        return self.folder / f"anew-{candidate.key}-{seed}.json"


def _load(task: str, train: int, scored: int) -> TaskData:
    match task:
        case "addnist" | "addnist_half":
            data = load_addnist(_sized(DigitTriplesSettings(MNIST), train, scored), seed=DATA_SEED)
            return _halved(data) if task == "addnist_half" else data
        case "multnist":
            return load_multnist(_sized(DigitTriplesSettings(MNIST), train, scored), seed=DATA_SEED)
        case "language":
            words = LanguageSettings("common_words.parquet", LANGUAGES)
            return load_language(_sized(words, train, scored), seed=DATA_SEED)
        case "digits":
            return load_addnist(_sized(DigitTriplesSettings(), train, scored), seed=DATA_SEED)
        case _:
            return load_language(_sized(LanguageSettings(), train, scored), seed=DATA_SEED)


def _sized(settings: _MadeSettings, train: int, scored: int) -> _MadeSettings:
    if not scored:
        return replace(settings, train=train)
    return replace(settings, train=train, search=scored, val=scored, test=scored)


def _halved(data: TaskData) -> TaskData:
    """Return images of half the height and width, means of two by two pixels.

    A network costs a quarter, and digits are as legible as they were.
    """
    splits = {}
    for name in SplitName:
        split = data[name]
        assert isinstance(split, ArraySplit)
        images = split.arrays.inputs
        n, channels, height, width = images.shape
        pixels = images.reshape(n, channels, height // 2, 2, width // 2, 2).mean(axis=(3, 5))
        splits[name] = Arrays(pixels.round().astype(images.dtype), split.arrays.targets)
    preprocessing = standardising(splits[SplitName.TRAIN].inputs, "NCHW")
    return assemble(data.tasks, splits, preprocessing)


TASKS = ("addnist", "addnist_half", "multnist", "language", "digits", "invented")
"""The last two need no file."""


def _within(space: EinspaceSettings, scale: Scale) -> EinspaceSettings:
    """Return the space with the budget that all samplings and searches share."""
    budget = TreeBudget(
        operations=128,
        network_operations=512,
        parameters=scale.parameters,
        macs=scale.macs,
        elements=scale.elements,
    )
    return EinspaceSettings(
        faithful=space.faithful,
        budget=budget,
        expected_operations=space.expected_operations,
        sampling=space.sampling,
        heads=space.heads,
    )

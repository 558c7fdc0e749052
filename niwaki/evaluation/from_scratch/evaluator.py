"""Evaluation without shortcuts: each candidate is trained from its initial weights."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import ConfigError, ExportError
from niwaki.core.fidelity import Fidelities
from niwaki.core.jsonable import JSON
from niwaki.core.limits import require_at_least, require_positive
from niwaki.core.measurement import Measurement, Status
from niwaki.core.objectives import Objective
from niwaki.core.randomness import stream
from niwaki.evaluation.base import Export, Provenance
from niwaki.evaluation.batches import n_batches
from niwaki.evaluation.bundles import Exporter
from niwaki.evaluation.checkpoints import CheckpointStore
from niwaki.evaluation.deployed import DeployedEvaluator
from niwaki.evaluation.deployment import DeploymentSettings, plan_of, require_precisions
from niwaki.evaluation.devices import best_device, torch_threads
from niwaki.evaluation.families import LayeredFamily, NamingFamily, NetworkFamily, family_of
from niwaki.evaluation.from_scratch.named_seeds import named_seed
from niwaki.evaluation.from_scratch.proxy_scores import ProxyScores, require_proxies
from niwaki.evaluation.from_scratch.training import Progress, RecipeSettings, ScratchTraining
from niwaki.evaluation.registry import Ingredients
from niwaki.evaluation.values import PEAK_BYTES
from niwaki.spaces.base import Space
from niwaki.spaces.layered import LayerRow
from niwaki.spaces.precision import ARCHITECTURE, FP32, INT8, QUANTIZATION
from niwaki.targets.base import Target
from niwaki.tasks.base import SplitName, TaskData

CHECKPOINTS = "checkpoints"

_MIB = 2**20
_BASELINE_DRAWS = 16
# Bytes per parameter while training: weight, gradient, momentum, and one that is being computed.
_TRAINING_BYTES = 16


@dataclass(frozen=True)
class FromScratchSettings:
    """How candidates are scored.

    Attributes:
        recipe: How a candidate is trained.
        final_epochs: Of the finalists, which are trained anew; 0 for those of the recipe.
        deployment: How int8 models are calibrated, and models scored.
        seeds: Networks that the search starts with: names that the space knows (resnet18, ...), or
            `.json` files of candidates. None to search from scratch.
        baseline: The seed that relative constraints refer to; the first one if empty.
        proxies: Zero-cost proxies by which `surrogate` sorts out what would learn nothing before it
            chooses, in spaces too large to be counted, such as [snip, synflow]; a function of yours
            by its path, `my_file.py:function`, gets an untrained network and a `Batch`. Each costs
            about as much as a step or two of training, for some dozens of candidates per
            evaluation. None: nobody guesses.
        max_memory_mib: A candidate whose training is estimated to need more is not built.
        checkpoints_mib: Disk for trainings that can be continued, with `recipe.schedule: full`; 0
            keeps none.
        n_threads: Torch's threads in a worker; 0 leaves torch's own choice.
        final_threads: Torch's threads for the finalists, which are trained one after the other.

    Raises:
        ConfigError: On a number out of its range.
    """

    recipe: RecipeSettings = field(default_factory=RecipeSettings)
    final_epochs: int = 0
    deployment: DeploymentSettings = field(default_factory=DeploymentSettings)
    seeds: tuple[str, ...] = ()
    baseline: str = ""
    proxies: tuple[str, ...] = ()
    max_memory_mib: float = 2048.0
    checkpoints_mib: float = 256.0
    n_threads: int = 1
    final_threads: int = 2

    def __post_init__(self) -> None:
        least = {"final_epochs": 0, "checkpoints_mib": 0, "n_threads": 0, "final_threads": 0}
        require_at_least(self, least)
        require_positive(self, "max_memory_mib")
        require_proxies(self.proxies)

    @property
    def final_recipe(self) -> RecipeSettings:
        """How finalists are trained: as long as it takes, for they have kept the limit before."""
        epochs = self.final_epochs or self.recipe.epochs
        return replace(self.recipe, epochs=epochs, max_seconds=0.0)


class FromScratchEvaluator(DeployedEvaluator):
    """Trains every candidate, deploys it on the target, and scores it there.

    A candidate is trained on the train split, written as an ONNX graph, quantized as its plan says,
    and run: its scores are those of the deployed model on the search split, and its latency is
    measured. A finalist is trained anew from another seed: what it scores was not selected for.

    The same candidate, seed and fidelity give the same scores, on one kind of device with one
    number of threads. A training that diverges, is too slow or too large is a failed measurement.

    Args:
        load_data: Gives the data; picklable, called once per process.
        space: Options of the space, which describe a family of networks.
        target: Where models run.
        precisions: What each layer may run in.
        settings: How networks are trained and scored.
        seed: The study's.
        notify: Told of the progress of `prepare`, in sentences.
    """

    def __init__(
        self,
        load_data: Callable[[], TaskData],
        space: object,
        target: Target,
        *,
        precisions: tuple[str, ...] = (FP32,),
        settings: FromScratchSettings | None = None,
        seed: int = 0,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings or FromScratchSettings()
        super().__init__(target, self._settings.deployment, seed=seed, notify=notify)
        self._load_data, self._space_options = load_data, space
        self._precisions = precisions

    @cached_property
    def data(self) -> TaskData:
        """The tasks and their splits."""
        return self._load_data()

    @cached_property
    def family(self) -> NetworkFamily:
        """The networks."""
        return family_of(self._space_options, self.data)

    @cached_property
    def space(self) -> Space:
        """Architectures; with the precision of each layer, unless all are to be fp32."""
        return self._layered.with_precisions(self._precisions) if self._joint else self.family.space

    @property
    def values(self) -> tuple[Objective, ...]:
        return (*super().values, PEAK_BYTES)

    @cached_property
    def fidelities(self) -> Fidelities:
        """Any share, down to one step of training, or to two of its items."""
        recipe, train = self._settings.recipe, self.data[SplitName.TRAIN]
        if recipe.shrinks == "data":
            return Fidelities(any_from=min(1.0, 2 / max(2, train.n_items or 2)))
        n_steps = recipe.epochs * n_batches(train, recipe.batch_size)
        kept = recipe.schedule == "full" and self._settings.checkpoints_mib > 0
        return Fidelities(any_from=1 / n_steps, continues=kept)

    def prepare(self, folder: Path) -> None:
        _ = self._seeds  # a seed that does not fit should be known before anything is trained
        self._settle(folder)

    def baseline(self) -> Candidate:
        """Return the seed that was named, else the first; with no seeds, a small random network."""
        if self._seeds:
            return self._seeds[self._settings.baseline or self._settings.seeds[0]]
        rng = stream(self._seed, "baseline")
        drawn = [self.space.sample(rng) for _ in range(_BASELINE_DRAWS)]
        trainable = [candidate for candidate in drawn if not self._refusal(candidate)]
        return min(trainable or drawn, key=lambda candidate: self.cheap(candidate)["macs"])

    def initial(self) -> tuple[Candidate, ...]:
        """Return all seeds, the baseline among them: they are what a search goes on from."""
        return tuple(dict.fromkeys(self._seeds.values()))

    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        counts = self.family.counts(self._architecture(candidate))
        asked = self._asked(candidate)
        n_int8 = sum(row.n_weights for row in self._rows(candidate) if asked[row.path] == INT8)
        return {
            "macs": counts["macs"],
            "params": counts["params"],
            "weight_bytes": 4 * counts["params"] - 3 * n_int8,
            "peak_bytes": counts["peak_bytes"],
        }

    def identity(self, candidate: Candidate) -> str:
        """Return the name of its network, and its precisions; the key if the family has no names.

        Trees of a grammar may differ and yet compile to one network: it is trained once.
        """
        if not isinstance(self.family, NamingFamily):
            return candidate.key
        name = self.family.identity(self._architecture(candidate))
        return f"{name} {candidate.part(QUANTIZATION).key}" if self._joint else name

    @property
    def promises(self) -> Callable[[Candidate], Mapping[str, float]] | None:
        return self._promises_of if self._settings.proxies else None

    def _promises_of(self, candidate: Candidate) -> Mapping[str, float]:
        """Return the proxies of its architecture, in fp32; none of one that is not to be built."""
        if self._refusal(candidate):
            return {}
        return self._proxies(self._architecture(candidate))

    @cached_property
    def _proxies(self) -> ProxyScores:
        names = self._settings.proxies
        return ProxyScores(names, self.data, self.family.build, seed=self._seed)

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        refusal = self._refusal(candidate)
        if refusal:
            return self._failed(candidate, refusal, fidelity=fidelity, seed=seed)
        plan = plan_of(self._asked(candidate), self._target)
        with self._computing(self._settings.n_threads):
            training, progress = self._train(candidate, self._settings.recipe, fidelity, seed)
            if progress.failure:
                failed = self._failed(candidate, progress.failure, fidelity=fidelity, seed=seed)
                return replace(failed, details={"training": asdict(progress)})
            with self._target.computing():
                module = training.finished()
                graph = self._deployment.float_graph(module, quantizable=bool(plan.int8_layers))
            deployed = self._deployment.measure(graph, plan, seed=seed)
        measurement = self._measured(candidate, deployed, plan, fidelity=fidelity, seed=seed)
        details = {**measurement.details, "training": asdict(progress)}
        return replace(measurement, details=details)

    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        def trained() -> nn.Module:
            recipe = self._settings.final_recipe
            training, progress = self._train(candidate, recipe, 1.0, seed)
            if progress.failure:
                raise ExportError(f"{candidate.key} could not be trained anew: {progress.failure}")
            return training.finished()

        plan = plan_of(self._asked(candidate), self._target)
        with self._computing(self._settings.final_threads):
            exporter = Exporter(self._deployment, provenance)
            card = exporter.write(trained, plan, folder, candidate=candidate)
        return self._exported(card, folder, seed=seed)

    def _train(
        self, candidate: Candidate, recipe: RecipeSettings, fidelity: float, seed: int
    ) -> tuple[ScratchTraining, Progress]:
        """Train a candidate, from where an earlier training of it stopped if it was kept."""
        architecture = self._architecture(candidate)
        training = ScratchTraining(
            lambda: self.family.build(architecture),
            self.data,
            recipe,
            fidelity=fidelity,
            seed=seed,
        )
        kept = (
            self._store if recipe == self._settings.recipe and self.fidelities.continues else None
        )
        name = f"{architecture.key}-{seed}"
        state = kept.load(name) if kept else None
        if state is not None and int(state["steps_done"]) <= training.n_steps:
            training.restore(state)
        progress = training.run(self._target.computing)
        if kept and not progress.failure:
            kept.save(name, training.state())
        return training, progress

    @property
    def _store(self) -> CheckpointStore:
        size_bytes = _MIB * self._settings.checkpoints_mib
        return CheckpointStore(self._in_folder(CHECKPOINTS), size_bytes)

    @contextmanager
    def _computing(self, n_threads: int) -> Iterator[None]:
        """Limit torch's threads; afterwards give back what a GPU remembers of this network."""
        try:
            with torch_threads(n_threads):
                yield
        finally:
            if best_device().type == "cuda":
                torch.cuda.empty_cache()

    def _refusal(self, candidate: Candidate) -> str:
        """Return why a candidate should not be built, or an empty string."""
        counts = self.family.counts(self._architecture(candidate))
        batch_size = self._settings.recipe.batch_size
        needed = _TRAINING_BYTES * counts["params"] + 4 * batch_size * counts["elements"]
        most = self._settings.max_memory_mib
        if needed <= most * _MIB:
            return ""
        return (
            f"training it on batches of {batch_size} is estimated to take "
            f"{needed / _MIB:,.0f} MiB, above `max_memory_mib` of {most:,.0f}"
        )

    def _failed(
        self, candidate: Candidate, reason: str, *, fidelity: float, seed: int
    ) -> Measurement:
        return Measurement(
            key=candidate.key,
            values=self.cheap(candidate),
            status=Status.FAILED,
            reason=reason,
            fidelity=fidelity,
            seed=seed,
        )

    @cached_property
    def _seeds(self) -> Mapping[str, Candidate]:
        """The seeds by name, spelled as candidates of the space, in fp32 if that is an option."""
        precision = FP32 if FP32 in self._precisions else self._precisions[0]
        found = {name: named_seed(name, self.family) for name in self._settings.seeds}
        if self._joint:
            found = {name: self._layered.spell(c, precision) for name, c in found.items()}
        if self._settings.baseline and self._settings.baseline not in found:
            raise ConfigError(
                f"`evaluator.baseline` is '{self._settings.baseline}', which is none of the seeds: "
                f"{', '.join(found) or 'there are none'}"
            )
        return found

    @property
    def _joint(self) -> bool:
        """Whether candidates decide precisions beside the architecture."""
        return self._precisions != (FP32,)

    @property
    def _layered(self) -> LayeredFamily:
        if isinstance(self.family, LayeredFamily):
            return self.family
        raise ConfigError(
            f"{type(self.family).__name__} does not name the layers of its networks, so that they "
            "cannot be quantized: set `quantization.precisions` to [fp32]"
        )

    def _architecture(self, candidate: Candidate) -> Candidate:
        return candidate.part(ARCHITECTURE) if self._joint else candidate

    def _asked(self, candidate: Candidate) -> Mapping[str, Value]:
        """Return the precision of each layer that can be quantized, by path."""
        if self._joint:
            return candidate.part(QUANTIZATION).decisions
        return {row.path: FP32 for row in self._rows(candidate)}

    def _rows(self, candidate: Candidate) -> Sequence[LayerRow]:
        if not isinstance(self.family, LayeredFamily):
            return ()
        return self.family.layers(self._architecture(candidate))

    def _layer_counts(self, candidate: Candidate) -> dict[str, dict[str, JSON]]:
        asked = self._asked(candidate)
        return {
            row.path: {
                "kind": str(row.kind),
                "width": row.n_outputs,
                "macs": row.macs,
                "size_bytes": row.n_weights * (1 if asked[row.path] == INT8 else 4),
            }
            for row in self._rows(candidate)
        }


def create(settings: FromScratchSettings, ingredients: Ingredients) -> FromScratchEvaluator:
    """Return the evaluator that a configuration describes.

    Raises:
        ConfigError: If a section that it needs is absent.
        TargetError: If the target does not run one of the precisions.
    """
    if ingredients.space is None:
        raise ConfigError("evaluator 'from_scratch' needs a section `space`")
    load_data, target = ingredients.data_and_target("from_scratch")
    require_precisions(ingredients.precisions, target)
    return FromScratchEvaluator(
        load_data,
        ingredients.space,
        target,
        precisions=ingredients.precisions,
        settings=settings,
        seed=ingredients.seed,
        notify=ingredients.notify,
    )

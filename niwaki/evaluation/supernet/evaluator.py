"""Evaluation by weight sharing: candidates are slices of one trained super-network."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import torch

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import ConfigError
from niwaki.core.jsonable import JSON
from niwaki.core.limits import require_at_least
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Objective
from niwaki.core.randomness import stream
from niwaki.evaluation.base import Export, Provenance
from niwaki.evaluation.bundles import Exporter
from niwaki.evaluation.checkpoints import load_checkpoint, save_checkpoint
from niwaki.evaluation.deployed import DeployedEvaluator
from niwaki.evaluation.deployment import DeploymentSettings, plan_of, require_precisions
from niwaki.evaluation.devices import torch_threads
from niwaki.evaluation.families import ElasticFamily, ElasticSettings, elastic_family_of, heads_of
from niwaki.evaluation.registry import Ingredients
from niwaki.evaluation.supernet.one_task import OneTask, named_task, only_task
from niwaki.evaluation.supernet.subnetworks import SubNetworks
from niwaki.evaluation.supernet.table_check import require_true_table
from niwaki.evaluation.supernet.task_policies import restore_policies, task_policies
from niwaki.evaluation.supernet.training import SuperNetworkTraining, TrainingSettings
from niwaki.evaluation.values import MACS, PARAMS, WEIGHT_BYTES, counted_costs, own_costs, own_name
from niwaki.spaces.heads import Head
from niwaki.spaces.joint import JointSpace
from niwaki.spaces.precision import (
    ARCHITECTURE,
    FP32,
    INT8,
    QUANTIZATION,
    in_one_precision,
    with_precisions,
)
from niwaki.spaces.super_network.space import ElasticSpace, SharedLayer
from niwaki.targets.base import Target
from niwaki.tasks.base import TaskData

CHECKPOINT = "supernet.pt"


@dataclass(frozen=True)
class SupernetSettings:
    """How candidates are scored.

    Attributes:
        training: How the super-network is trained.
        deployment: How int8 models are calibrated, and models scored.
        n_recalibration: Train images that batch-norm statistics are taken from.
        n_threads: Torch's threads in a worker; 0 leaves torch's own choice.

    Raises:
        ConfigError: On a number out of its range.
    """

    training: TrainingSettings = field(default_factory=TrainingSettings)
    deployment: DeploymentSettings = field(default_factory=DeploymentSettings)
    n_recalibration: int = 256
    n_threads: int = 1

    def __post_init__(self) -> None:
        require_at_least(self, {"n_recalibration": 1, "n_threads": 0})


class SupernetEvaluator(DeployedEvaluator):
    """Trains one super-network, then scores slices of it on the target's runtime.

    A candidate is extracted, gets batch-norm statistics of its own, is written as an ONNX graph,
    quantized as its plan says, and run: its scores are those of the quantized model itself, on the
    search split, and its latency is measured.

    Args:
        load_data: Gives the data; picklable, called once per process.
        space: Options of the space, which describe an elastic family.
        target: Where models run.
        precisions: What each layer may run in.
        alone: Tasks of which networks are wanted, too, that answer nothing else: these are counted
            and timed, as `<task>_macs` or `<task>_latency_ms`, and exported by `alone`.
        settings: How networks are trained and scored.
        seed: The study's.
        notify: Told of the progress of `prepare`, in sentences.
    """

    def __init__(
        self,
        load_data: Callable[[], TaskData],
        space: ElasticSettings,
        target: Target,
        *,
        precisions: tuple[str, ...] = ("fp32", "int8"),
        alone: tuple[str, ...] = (),
        settings: SupernetSettings | None = None,
        seed: int = 0,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings or SupernetSettings()
        super().__init__(target, self._settings.deployment, seed=seed, notify=notify)
        self._load_data, self._space_options = load_data, space
        self._precisions, self._alone = precisions, alone

    @cached_property
    def data(self) -> TaskData:
        """The tasks and their splits."""
        return self._load_data()

    @cached_property
    def family(self) -> ElasticFamily:
        """The networks."""
        return elastic_family_of(self._space_options, self.data)

    @property
    def architectures(self) -> ElasticSpace:
        """The architectures alone."""
        return self.family.space

    @cached_property
    def space(self) -> JointSpace:
        """Architectures, and the precision of each of their layers."""
        return with_precisions(self.architectures, self._precisions)

    @cached_property
    def _subnetworks(self) -> SubNetworks:
        supernet = self.family.super_network(torch.Generator())
        trained = load_checkpoint(self._in_folder(CHECKPOINT))["network"]
        # For one task alone, it has less than what was trained for all.
        own = supernet.full.state_dict()
        supernet.full.load_state_dict({name: trained[name] for name in trained if name in own})
        return SubNetworks(
            supernet,
            self._deployment,
            n_recalibration=self._settings.n_recalibration,
            seed=self._seed,
        )

    def prepare(self, folder: Path) -> None:
        self._settle(folder)
        path = folder / CHECKPOINT
        settings = self._settings.training
        with torch_threads(settings.n_threads):
            training = SuperNetworkTraining(self.family, self.data, settings, seed=self._seed)
            require_true_table(self.architectures, training.network, self.data.input_shape)
            if path.exists():
                training.restore(load_checkpoint(path))
            while training.epochs_done < settings.epochs:
                loss = training.run_epoch()
                save_checkpoint(training.state(), path)
                done = f"epoch {training.epochs_done} of {settings.epochs}"
                self._say(f"super-network: {done}, loss {loss:.3f}")
        if training.policies and (doubt := training.policies.warning()):
            self._say(f"policies: {doubt}")

    def baseline(self) -> Candidate:
        """Return the super-network itself, in fp32 if that is an option."""
        return self.spell(self.architectures.largest, FP32)

    def initial(self) -> tuple[Candidate, ...]:
        """Return a few networks, each in one precision throughout.

        They are those that the space knows by name, and the best of each task's policy, if there
        are policies.
        """
        first = (*self.architectures.seeds.values(), *self._learned)
        spelled = [self.spell(a, p) for p in reversed(self._precisions) for a in first]
        return tuple(dict.fromkeys(c for c in spelled if c != self.baseline()))

    @cached_property
    def _learned(self) -> tuple[Candidate, ...]:
        """What the policies of tasks found, if there are any."""
        settings = self._settings.training.policies
        if settings is None:
            return ()
        policies = task_policies(self.family, settings)
        restore_policies(policies, load_checkpoint(self._in_folder(CHECKPOINT)))
        n, rng = settings.n_candidates, stream(self._seed, "policies", "initial")
        return tuple(c for task in policies.tasks for c in policies.candidates(task, n, rng))

    def spell(self, architecture: Candidate, precision: str) -> Candidate:
        """Return the candidate of an architecture with every layer in one precision."""
        kept = precision if precision in self._precisions else self._precisions[0]
        return in_one_precision(self.space, architecture, kept)

    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        layers = self.architectures.layer_table(candidate.part(ARCHITECTURE))
        asked = candidate.part(QUANTIZATION).decisions
        found = _counts(layers, asked)
        for task in self._alone:
            own = _counts((layer for layer in layers if layer.serves(task)), asked)
            found |= {own_name(task, name): count for name, count in own.items()}
        return found

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        plan = plan_of(candidate.part(QUANTIZATION).decisions, self._target)
        with torch_threads(self._settings.n_threads):
            with self._target.computing():
                graph = self._subnetworks.graph(
                    candidate.part(ARCHITECTURE), quantizable=bool(plan.int8_layers)
                )
            deployed = self._deployment.measure(graph, plan, seed=seed, alone=self._alone)
        return self._measured(candidate, deployed, plan, fidelity=fidelity, seed=seed)

    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        with torch_threads(self._settings.training.n_threads):
            card = Exporter(self._deployment, provenance).write(
                lambda: self._subnetworks.extract(candidate.part(ARCHITECTURE)),
                plan_of(candidate.part(QUANTIZATION).decisions, self._target),
                folder,
                candidate=candidate,
            )
        return self._exported(card, folder, seed=seed)

    @property
    def values(self) -> tuple[Objective, ...]:
        return (*super().values, *(cost for task in self._alone for cost in own_costs(task)))

    @property
    def exported_values(self) -> tuple[Objective, ...]:
        # Files of all tasks are counted without decoders of some, but not timed.
        counted = [cost for task in self._alone for cost in counted_costs(task)]
        return (*super().values, *counted)

    def alone(self, task: str) -> OneTask:
        asked = named_task(self.data, task)
        if task not in self._alone:
            raise ConfigError(
                f"networks of '{task}' alone were not asked for: make the evaluator with "
                f"`alone=('{task}',)`"
            )
        return OneTask(partial(self._of_task, task), asked)

    def _of_task(self, task: str) -> "SupernetEvaluator":
        """Return what exports slices of this super-network, trained, for one task."""
        evaluator = SupernetEvaluator(
            partial(only_task, self._load_data, task),
            _Alone(self._space_options, heads_of(self.data), task),
            self._target,
            precisions=self._precisions,
            settings=self._settings,
            seed=self._seed,
        )
        evaluator._folder = self._folder
        return evaluator

    def _layer_counts(self, candidate: Candidate) -> dict[str, dict[str, JSON]]:
        asked = candidate.part(QUANTIZATION).decisions
        return {
            layer.path: {
                "kind": str(layer.kind),
                "width": layer.n_outputs,
                "macs": layer.macs,
                "size_bytes": _bytes(layer.n_weights, asked[layer.path]),
            }
            for layer in self.architectures.layer_table(candidate.part(ARCHITECTURE))
        }


def create(settings: SupernetSettings, ingredients: Ingredients) -> SupernetEvaluator:
    """Return the evaluator that a configuration describes.

    Raises:
        ConfigError: If a section that it needs is absent, or the space has no super-network.
        TargetError: If the target does not run one of the precisions.
    """
    if ingredients.space is None:
        raise ConfigError("evaluator 'supernet' needs a section `space`, such as {kind: slimmable}")
    if not isinstance(ingredients.space, ElasticSettings):
        raise ConfigError(
            f"a space of {type(ingredients.space).__name__} describes no super-network: choose "
            "`{kind: slimmable}`, `{kind: multi_resolution}`, one of your own whose options have a "
            "method `elastic_family(input_shape, heads)`, or the evaluator 'from_scratch'"
        )
    load_data, target = ingredients.data_and_target("supernet")
    require_precisions(ingredients.precisions, target)
    return SupernetEvaluator(
        load_data,
        ingredients.space,
        target,
        precisions=ingredients.precisions,
        alone=ingredients.alone,
        settings=settings,
        seed=ingredients.seed,
        notify=ingredients.notify,
    )


def _counts(layers: Iterable[SharedLayer], precisions: Mapping[str, Value]) -> dict[str, float]:
    """Return what a network of these layers counts, in these precisions by path of the layer."""
    layers = list(layers)
    n_params = sum(layer.params for layer in layers)
    n_int8 = sum(layer.n_weights for layer in layers if precisions[layer.path] == INT8)
    return {
        MACS.name: float(sum(layer.macs for layer in layers)),
        PARAMS.name: float(n_params),
        WEIGHT_BYTES.name: float(4 * n_params - 3 * n_int8),
    }


@dataclass(frozen=True)
class _Alone:
    """Options of the networks of one task, which were trained with those of others."""

    options: ElasticSettings
    heads: tuple[Head, ...]
    task: str

    def elastic_family(
        self,
        input_shape: tuple[int, ...],
        heads: tuple[Head, ...],  # noqa: ARG002
    ) -> ElasticFamily:
        return self.options.elastic_family(input_shape, self.heads).alone(self.task)


def _bytes(n_weights: int, precision: Value) -> int:
    return n_weights * (4 if precision == FP32 else 1)

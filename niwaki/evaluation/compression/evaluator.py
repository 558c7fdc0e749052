"""Evaluation of a compressed model: pruned, fine-tuned, quantized, run on the target."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.allocation import Ladder, Price, reference_losses
from niwaki.compress.pruning import PruningPlan
from niwaki.compress.pruning.compensation import InputMoments, compensated, input_moments
from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.groups import Refusal
from niwaki.compress.pruning.model_calls import in_evaluation
from niwaki.compress.pruning.rebuilding import apply_plan
from niwaki.compress.quantization.plan import QuantizationPlan
from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import ConfigError, ExportError
from niwaki.core.fidelity import Fidelities
from niwaki.core.files import computed_before, write_text_atomically
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement
from niwaki.evaluation.base import Export, Provenance
from niwaki.evaluation.bundles import Exporter
from niwaki.evaluation.checkpoints import CheckpointStore
from niwaki.evaluation.compression.at_chance import answered
from niwaki.evaluation.compression.given_data.given_batches import ALONE
from niwaki.evaluation.compression.given_model.input_type import settle_declared
from niwaki.evaluation.compression.given_model.model_source import ModelSource
from niwaki.evaluation.compression.left_alone import LEFT_ALONE_FILE, LeftAlone
from niwaki.evaluation.compression.original import Original, example_of, fitted_to
from niwaki.evaluation.compression.plans import CompressionPlans
from niwaki.evaluation.compression.proposing.importance import (
    importance,
    looked_at,
)
from niwaki.evaluation.compression.proposing.judged import JudgedStates
from niwaki.evaluation.compression.proposing.masked_oracle import MaskedOracle, Ranked
from niwaki.evaluation.compression.proposing.prices import MacsPrice
from niwaki.evaluation.compression.proposing.pricing import Pricing
from niwaki.evaluation.compression.proposing.proposals import Allocating, Proposals, reachable
from niwaki.evaluation.compression.proposing.sensitivity import most_sensitive, sensitivities
from niwaki.evaluation.compression.remarks import remarks, remarks_on_tuning
from niwaki.evaluation.compression.reused_memory import reusing_memory
from niwaki.evaluation.compression.settings import CompressionSettings
from niwaki.evaluation.compression.tuning.effects import (
    IN_FLOAT,
    ROUNDED,
    Effect,
    NotedEffects,
    Tell,
)
from niwaki.evaluation.compression.tuning.fine_tuning import Tuning
from niwaki.evaluation.compression.tuning.kept_statistics import (
    KeptStatistics,
    has_statistics,
    skill_lost_anew,
)
from niwaki.evaluation.compression.tuning.own_training import training_function
from niwaki.evaluation.deployed import DeployedEvaluator
from niwaki.evaluation.deployment import Deployment, FloatGraph, plan_of, require_precisions
from niwaki.evaluation.devices import torch_threads
from niwaki.evaluation.recent_graphs import RecentGraphs
from niwaki.evaluation.registry import Ingredients
from niwaki.spaces import Choice, ChoiceSpace, JointSpace
from niwaki.spaces.precision import FP32, INT8, QUANTIZATION
from niwaki.targets.base import Target
from niwaki.tasks.base import TaskData
from niwaki.tasks.model_inputs import ModelInput

PRUNING = "pruning"
PROPOSALS_FILE = "proposals.json"
PRICED_FILE = "priced.json"
JUDGED_FILE = "judged.jsonl"
IMPORTANCE_FILE = "importance.json"
SENSITIVE_FILE = "sensitive.json"
STATISTICS_FILE = "statistics.json"
TUNED = "tuned"
EFFECTS = "effects"
PLANS = "plans"
_MIB = 2**20
_N_PROVEN = 32  # inputs on which what was read of a file has to answer as the file does
_LEAST_FIDELITY = 0.1
_MOST_LOST = 0.05  # of skill, by the whole model with batch-norm statistics of its train split


class CompressedEvaluator(DeployedEvaluator):
    """Prunes, fine-tunes and quantizes one trained model.

    A candidate says how many channels each group keeps, and in which precision each layer runs. It
    is cut from the original, fine-tuned with the original as its teacher, written as an ONNX
    graph, quantized, and run: its scores are those of the deployed model on the search split.

    Args:
        source: Gives the model.
        load_data: Gives the data; picklable, called once per process.
        target: Where models run.
        precisions: What each layer may run in.
        settings: How the model is compressed.
        seed: The study's.
        notify: Told of the progress of `prepare`, in sentences.
    """

    def __init__(
        self,
        source: ModelSource,
        load_data: Callable[[], TaskData],
        target: Target,
        *,
        precisions: tuple[str, ...] = (FP32, INT8),
        settings: CompressionSettings | None = None,
        seed: int = 0,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings or CompressionSettings()
        super().__init__(target, self._settings.deployment, seed=seed, notify=notify)
        self._source, self._load_data = source, load_data
        self._precisions = (FP32,) if self._settings.only == "prune" else precisions
        self._graphs = RecentGraphs()

    @cached_property
    def original(self) -> Original:
        """The model, with its data and what can be done to it."""
        data = self._load_data()
        given = data.model_inputs or [ModelInput(ALONE, data.input_shape)]
        self._source.fit({each.name: each.shape for each in given})
        module = self._source.load()
        settle_declared(module, data)
        self._source.require_own_layers(example_of(data))
        if not self._source.part:
            self._source.require_answers_of_file(example_of(data, _N_PROVEN))
        data = fitted_to(data, module)
        return Original(module, data, Deployment(data, self._target, self._settings.deployment))

    @property
    def data(self) -> TaskData:
        """The tasks, in the order of the model's outputs, and their splits."""
        return self.original.data

    @cached_property
    def ladder(self) -> Ladder:
        """The counts that each channel group may keep; only the whole if nothing is pruned."""
        pruning = self._settings.pruning
        if self._settings.only == "quantize":
            return Ladder(tuple((n,) for n in self.original.groups.n_units.tolist()))
        return self.original.ladder(
            self._grain,
            least_share=pruning.least_share,
            n_steps=pruning.n_steps,
        )

    @property
    def _grain(self) -> int:
        return self._target.capabilities.channel_grain.get(FP32, 1)

    @cached_property
    def space(self) -> JointSpace:
        """Counts of every group that can be pruned, and the precision of every layer."""
        named = zip(self.original.groups.names, self.ladder.steps, strict=True)
        widths = ChoiceSpace(tuple(Choice(name, steps) for name, steps in named))
        layers = ChoiceSpace(tuple(Choice(p, self._precisions) for p in self.original.layers))
        return JointSpace({PRUNING: widths, QUANTIZATION: layers})

    @property
    def fidelities(self) -> Fidelities:
        """Shares of the epochs of fine-tuning."""
        tuning, only = self._settings.tuning, self._settings.only
        tunes = (tuning.epochs > 0 and only != "quantize") or self._trains_quantized
        return Fidelities(any_from=_LEAST_FIDELITY if tunes else 1.0)

    def gains_by_effort(self, candidate: Candidate) -> bool:
        plan = plan_of(candidate.part(QUANTIZATION).decisions, self._target)
        tunes = self._settings.tuning.epochs > 0 and bool(self.plan(candidate).cuts)
        return tunes or self._trains_with(plan)

    @property
    def _trains_quantized(self) -> bool:
        return self._settings.tuning.quantized_epochs > 0 and INT8 in self._precisions

    @cached_property
    def _tuning(self) -> Tuning:
        teacher = copied(self.original.module)
        return Tuning(
            teacher,
            self.data,
            self._settings.tuning,
            seed=self._seed,
            computing=self._target.computing,
        )

    @cached_property
    def _moments(self) -> InputMoments | None:
        n_items = self._settings.pruning.n_compensation
        if not n_items:
            return None
        inputs = looked_at(self.data, n_items, seed=self._seed)
        with reusing_memory():
            return input_moments(self.original.module, inputs)

    @cached_property
    def _ranked(self) -> Ranked:
        scores = computed_before(
            self._in_folder(IMPORTANCE_FILE),
            lambda rows: {name: np.array(rows[name], np.float64) for name in rows},
        )
        return Ranked(self.original.groups, scores)

    @property
    def _pricing(self) -> Pricing:
        return Pricing(
            self.original, self._ranked, self.ladder, self._precisions, self._seed, self._say
        )

    @cached_property
    def _proposals(self) -> Proposals:
        return Proposals.load(self._in_folder(PROPOSALS_FILE))

    def prepare(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._source.require_same(folder)
        self._settle(folder)
        with torch_threads(self._settings.n_threads):
            self._report_model()
            self._report_left_alone()
            self._report_unfollowed()
            self._rank()
            self._propose()
            self._find_sensitive()

    def baseline(self) -> Candidate:
        """Return the model as it was given, in fp32 if that is an option."""
        return self._spell(self.ladder.whole, {})

    def initial(self) -> tuple[Candidate, ...]:
        """Return the model in int8, and its allocations in fp32, in int8, and mixed."""
        counts = [self.ladder.whole, *(a.counts for a in self._proposals.allocations)]
        int8 = dict.fromkeys(self.original.layers, INT8)
        kept_in_float = self._sensitive()
        mixed = {layer: p for layer, p in int8.items() if layer not in kept_in_float}
        ways: list[dict[str, str]] = [int8, mixed, {}] if INT8 in self._precisions else [{}]
        spelled = [self._spell(each, way) for way in ways for each in counts]
        return tuple(dict.fromkeys(c for c in spelled if c != self.baseline()))

    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        counts = self._counts(candidate)
        asked = candidate.part(QUANTIZATION).decisions
        in_int8 = {path for path in asked if asked[path] == INT8}
        return {
            "macs": float(self.original.groups.costs.macs(counts)),
            "params": self.original.params(counts),
            "weight_bytes": self.original.weight_bytes(counts, in_int8),
        }

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        plan = plan_of(candidate.part(QUANTIZATION).decisions, self._target)
        with torch_threads(self._settings.n_threads):
            graph = self._graph(candidate, plan, share=fidelity)
            deployed = self._deployment_of(plan).measure(graph, plan, seed=seed)
        measured = self._measured(candidate, deployed, plan, fidelity=fidelity, seed=seed)
        effects = self._effects.details(self._names_of_stages(candidate, fidelity))
        return replace(measured, details={**measured.details, **effects})

    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        plan = plan_of(candidate.part(QUANTIZATION).decisions, self._target)
        with torch_threads(self._settings.n_threads):
            called = dict(zip(self.data.output_names, self._source.outputs, strict=False))
            exporter = Exporter(self._deployment_of(plan), provenance, called)
            card = exporter.write(
                lambda: self._module(candidate, plan, share=1.0),
                plan,
                folder,
                candidate=candidate,
            )
        plans = CompressionPlans(self.plan(candidate), plan)
        plans.save(self._in_folder(PLANS) / f"{candidate.key}.json")
        return self._exported(card, folder, seed=seed)

    def plan(self, candidate: Candidate) -> PruningPlan:
        """Return what is removed from the original for a candidate."""
        if self._settings.only == "quantize":
            return PruningPlan()
        return self._ranked.plan(self._counts(candidate))

    def _graph(self, candidate: Candidate, plan: QuantizationPlan, *, share: float) -> FloatGraph:
        """Return the float graph of a candidate, made ready once for all that share its weights."""
        quantizable = bool(plan.int8_layers)
        whose = candidate if self._trains_with(plan) else candidate.part(PRUNING)

        def make() -> FloatGraph:
            model = self._float_model(candidate, plan, share=share)
            with self._target.computing():
                return self._deployment_of(plan).prepared(model, quantizable=quantizable)

        return self._graphs.get((whose.key, share, quantizable), make)

    def _float_model(
        self, candidate: Candidate, plan: QuantizationPlan, *, share: float
    ) -> onnx.ModelProto:
        """Return the float graph of a candidate, written once for all that share its weights."""
        name = f"{candidate.part(PRUNING).key}-{share:.4f}-graph"
        shared = not self._trains_with(plan)
        if shared and (state := self._store.load(name)) is not None:
            return onnx.load_from_string(state["model"].numpy().tobytes())
        module = self._module(candidate, plan, share=share)
        with self._target.computing():
            model = self._deployment.float_model(module)
        if shared:
            written = np.frombuffer(model.SerializeToString(), np.uint8)
            self._store.save(name, {"model": torch.from_numpy(written.copy())})
        return model

    def _trains_with(self, plan: QuantizationPlan) -> bool:
        """Whether a candidate is trained with its quantization, so that its weights are its own."""
        return (
            bool(plan.int8_layers)
            and self._trains_quantized
            and self._unfollowed is None
            and any(parameter.requires_grad for parameter in self.original.module.parameters())
        )

    def _deployment_of(self, plan: QuantizationPlan) -> Deployment:
        """Return how a candidate is quantized: as it was trained, if it was trained for that."""
        return self._deployment.uncorrected if self._trains_with(plan) else self._deployment

    def _module(self, candidate: Candidate, plan: QuantizationPlan, *, share: float) -> nn.Module:
        """Return the network of a candidate, trained with its plan if that is asked for."""
        if not self._trains_with(plan):
            return self._pruned(candidate, share=share)
        return self._kept(
            self._names_of_stages(candidate, share)[ROUNDED],
            self.plan(candidate),
            lambda tell: self._tuning.tuned_quantized(
                copied(self._pruned(candidate, share=share)),
                plan,
                self._deployment,
                share=share,
                tell=tell,
            ),
        )

    def _pruned(self, candidate: Candidate, *, share: float) -> nn.Module:
        """Return the pruned network of a candidate, fine-tuned in float."""
        plan = self.plan(candidate)
        if not plan.cuts:
            return self.original.module
        return self._kept(
            self._names_of_stages(candidate, share)[IN_FLOAT],
            plan,
            lambda tell: self._tuning.tuned(
                compensated(self.original.module, plan, self._moments),
                share=share,
                adjust=self._adjusting(plan),
                tell=tell,
            ),
        )

    def _names_of_stages(self, candidate: Candidate, share: float) -> Mapping[str, str]:
        """Return what the weights of a candidate are kept under, tuned in float and rounded."""
        return {
            IN_FLOAT: f"{candidate.part(PRUNING).key}-{share:.4f}",
            ROUNDED: f"{candidate.key}-{share:.4f}-quantized",
        }

    def _adjusting(self, plan: PruningPlan) -> Callable[[nn.Module], None] | None:
        """Return what moves the statistics of a pruned network; None if they are taken anew."""
        if self._statistics is None:
            return None
        return partial(self._statistics.adjust, plan=plan)

    @cached_property
    def _statistics(self) -> KeptStatistics | None:
        """Batch-norm statistics that the model would not be the same without; None if it would."""
        path, module = self._in_folder(STATISTICS_FILE), self.original.module
        n_items = self._settings.tuning.n_recalibration
        if not n_items or not has_statistics(module):
            return None
        if not path.exists():
            images = looked_at(self.data, n_items, seed=self._seed)
            with reusing_memory():
                lost = skill_lost_anew(module, self.data, images, answered)
            write_text_atomically(path, json.dumps({"skill_lost_anew": lost}, indent=1) + "\n")
        lost = computed_before(path, lambda found: dict(found["skill_lost_anew"]))
        if max(lost.values()) <= _MOST_LOST:
            return None
        n_items = self._settings.pruning.n_recalibration
        return KeptStatistics(module, looked_at(self.data, n_items, seed=self._seed))

    def _kept(self, name: str, plan: PruningPlan, tuned: Callable[[Tell], nn.Module]) -> nn.Module:
        """Return a module tuned, now or before: weights are kept, so that it is tuned once."""
        if (state := self._store.load(name)) is not None:
            module = apply_plan(self.original.module, plan)
            module.load_state_dict(state)
            return in_evaluation(module)
        module = tuned(partial(self._note, name))
        self._store.save(name, module.state_dict())
        return module

    def _note(self, name: str, effect: Effect) -> None:
        self._effects.note(name, effect)
        if effect.is_harm:
            self._say(f"fine-tuning did harm and is taken back: {effect}")

    @property
    def _effects(self) -> NotedEffects:
        return NotedEffects(self._in_folder(EFFECTS))

    @property
    def _store(self) -> CheckpointStore:
        return CheckpointStore(self._in_folder(TUNED), _MIB * self._settings.tuned_mib)

    @cached_property
    def _unfollowed(self) -> str | None:
        """Why the model cannot be trained with quantization; None if it can."""
        plan = plan_of(dict.fromkeys(self.original.layers, INT8), self._target)
        try:
            self._deployment.fake_quantized(copied(self.original.module), plan)
        except ExportError as error:
            return str(error)
        return None

    def _report_left_alone(self) -> None:
        prunes, quantizes = self._settings.only != "quantize", INT8 in self._precisions
        original = self.original
        whole = self._without_choice() if prunes else []
        left = LeftAlone(
            [*whole, *original.groups.refused] if prunes else (),
            original.in_float if quantizes else {},
        )
        left.save(self._in_folder(LEFT_ALONE_FILE))
        if prunes:
            n_groups = len(original.groups.groups) - len(whole)
            self._say(f"{n_groups} channel groups can be pruned{left.by_pruning}")
        if quantizes:
            self._say(f"{len(original.layers)} layers can run in int8{left.by_quantization}")

    def _without_choice(self) -> list[Refusal]:
        """Return the groups of which no smaller count is worth it."""
        why = (
            f"no smaller count gives each of its layers a multiple of {self._grain} channels, as "
            f"the target wants, and keeps {self._settings.pruning.least_share:.0%} of them"
        )
        steps = zip(self.original.groups.groups, self.ladder.steps, strict=True)
        return [Refusal(group.name, group.n_units, why) for group, n in steps if len(n) == 1]

    def _report_unfollowed(self) -> None:
        if self._trains_quantized and self._unfollowed is not None:
            self._say(f"quantized without training for it: {self._unfollowed}")

    def _report_model(self) -> None:
        taken = (f"{t.name} ({t.kind.spelled}) by {t.metrics[0].name}" for t in self.data.tasks)
        self._say(f"answers are scored as {', '.join(taken)}")
        if self._source.remark:
            self._say(self._source.remark)
        if names := self._source.computed:
            self._say(
                f"taken as plain weights, which a norm or the like computes: {', '.join(names)}"
            )
        for each in remarks(self.original, batch_size=self._settings.deployment.batch_size):
            self._say(each)
        if self._settings.only != "quantize" and self._statistics is not None:
            self._say(
                "batch-norm statistics of the model are others than its train split has, and with "
                "those it would lose skill: they are kept, also while it is fine-tuned"
            )
        if self._settings.tuning.epochs > 0 and self._settings.only != "quantize":
            self._report_tuning()

    def _report_tuning(self) -> None:
        if function := self._settings.tuning.function:
            training_function(function)  # or an error, before anything is paid for
            self._say(f"networks are fine-tuned by '{function}'")
            return
        for each in remarks_on_tuning(self.original, self._tuning):
            self._say(each)

    def _rank(self) -> None:
        path = self._in_folder(IMPORTANCE_FILE)
        if path.exists():
            return
        pruning = self._settings.pruning
        scores = {}
        if self._settings.only != "quantize":
            scores = importance(
                self.original.module,
                self.original.groups,
                self.data,
                criterion=pruning.criterion,
                seed=self._seed,
            )
        rows = {name: each.tolist() for name, each in scores.items()}
        write_text_atomically(path, json.dumps(rows) + "\n")

    def _propose(self) -> None:
        path = self._in_folder(PROPOSALS_FILE)
        if path.exists():
            return
        groups, pruning = self.original.groups, self._settings.pruning
        if self._settings.only == "quantize" or not groups.groups:
            Proposals(groups.names, ()).save(path)
            return
        oracle = MaskedOracle(
            copied(self.original.module),
            self._ranked,
            self.data,
            recalibration=looked_at(self.data, pruning.n_recalibration, seed=self._seed),
            statistics=self._statistics,
            moments=self._moments,
            kept=JudgedStates(self._in_folder(JUDGED_FILE)),
            n_items=pruning.n_judged,
        )
        if pruning.allocation == "pagcp":
            reference_losses(oracle, self.ladder)  # or an error, before prices are measured
        price: Price = MacsPrice(groups.costs)
        if pruning.price == "latency":
            price = self._pricing.latency_price(pruning.n_priced, self._in_folder(PRICED_FILE))
        whole, least = float(price.of(self.ladder.whole)), float(price.of(self.ladder.least))
        shares = (reachable(share, whole, least) for share in pruning.shares)
        budgets = sorted({*shares, *pruning.budgets}, reverse=True)
        allocating = Allocating(
            groups,
            dict(self._ranked.scores),
            self.ladder,
            oracle,
            price,
            pruning.greedy,
            pruning.pagcp,
        )
        found = allocating.to_budgets(pruning.allocation, budgets, notify=self._say)
        Proposals(groups.names, found).save(path)

    def _find_sensitive(self) -> None:
        """Look for the layers that the mixed candidates keep in fp32."""
        path = self._in_folder(SENSITIVE_FILE)
        if path.exists():
            return
        lost: Mapping[str, NDArray[np.float64]] = {}
        if {FP32, INT8} <= set(self._precisions):
            with self._target.computing():
                graph = self._deployment.float_graph(self.original.module)
                lost = sensitivities(
                    self._deployment,
                    graph,
                    self.original.layers,
                    n_items=self._settings.pruning.n_judged,
                )
        chosen = most_sensitive(lost)
        tasks = [task.name for task in self.data.tasks]
        rows = {layer: dict(zip(tasks, each.tolist(), strict=True)) for layer, each in lost.items()}
        data = {"tasks": tasks, "lost_skill": rows, "kept_in_fp32": list(chosen)}
        write_text_atomically(path, json.dumps(data, indent=1) + "\n")
        if chosen:
            self._say(f"most sensitive to int8: {', '.join(chosen[:5])}")

    def _sensitive(self) -> tuple[str, ...]:
        return computed_before(
            self._in_folder(SENSITIVE_FILE), lambda noted: tuple(map(str, noted["kept_in_fp32"]))
        )

    def _spell(self, counts: NDArray[np.int64], asked: Mapping[str, str]) -> Candidate:
        """Return the candidate of (n_groups,) counts; layers that are not named are in fp32."""
        kept = dict(zip(self.original.groups.names, counts.tolist(), strict=True))
        otherwise = FP32 if FP32 in self._precisions else self._precisions[0]

        def answer(path: str, options: Sequence[Value]) -> Value:  # noqa: ARG001
            part, _, inner = path.partition("/")
            return kept[inner] if part == PRUNING else asked.get(inner, otherwise)

        return self.space.decide(answer)

    def _counts(self, candidate: Candidate) -> NDArray[np.int64]:
        kept = candidate.part(PRUNING).decisions
        return np.array([kept[name] for name in self.original.groups.names], np.int64)

    def _layer_counts(self, candidate: Candidate) -> dict[str, dict[str, JSON]]:
        asked = candidate.part(QUANTIZATION).decisions
        return {
            path: {
                "width": layer.width,
                "macs": round(layer.macs),
                "size_bytes": round(layer.n_weights * (1 if asked[path] == INT8 else 4)),
            }
            for path, layer in self.original.layer_counts(self._counts(candidate)).items()
        }


def create(settings: CompressionSettings, ingredients: Ingredients) -> CompressedEvaluator:
    """Return the evaluator that a configuration describes.

    Raises:
        ConfigError: If a section that it needs is absent, or no model is named.
        TargetError: If the target does not run one of the precisions.
    """
    if not settings.model:
        raise ConfigError(
            "evaluator 'compressed' needs `evaluator.model`: my_model.py:build, or my_model.onnx"
        )
    ingredients.tell_unread("compressed", "space")
    load_data, target = ingredients.data_and_target("compressed")
    require_precisions(ingredients.precisions, target)
    return CompressedEvaluator(
        ModelSource(settings.model, kept=settings.outputs),
        load_data,
        target,
        precisions=ingredients.precisions,
        settings=settings,
        seed=ingredients.seed,
        notify=ingredients.notify,
    )

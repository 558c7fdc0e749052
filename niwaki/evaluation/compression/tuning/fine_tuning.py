"""Fine-tuning of a pruned network: from the labels, and from the model that it was cut from."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from niwaki.compress.pruning.model_calls import in_evaluation, let_forget, named_tensors
from niwaki.compress.pruning.model_calls import repeatable as repeatable_passes
from niwaki.compress.quantization.plan import QuantizationPlan
from niwaki.core.limits import require_at_least, require_positive, require_share
from niwaki.core.randomness import derived_seed, stream
from niwaki.evaluation.batches import drawn, inputs_for_statistics, n_batches, sizable
from niwaki.evaluation.compression.given_model.plain_calls import layout_of
from niwaki.evaluation.compression.given_model.several_inputs import TakingApart
from niwaki.evaluation.compression.reused_memory import reusing_memory
from niwaki.evaluation.compression.tuning.effects import LOSS, Effect, Tell, nobody
from niwaki.evaluation.compression.tuning.own_training import trained_by
from niwaki.evaluation.deployment import Deployment
from niwaki.evaluation.devices import best_device, drawing, placed, repeatable, to_tensors
from niwaki.evaluation.learning_rate import one_cycle
from niwaki.evaluation.recalibration import recalibrate
from niwaki.export.torch_outputs import named_outputs
from niwaki.tasks.base import Batch, SplitName, TaskData
from niwaki.tasks.losses import task_losses, total_distillation, total_loss
from niwaki.tasks.scoring import MEAN_SKILL, score

_WARMUP = 0.1
_N_OBSERVATIONS = 8
_FULL_RATE_STEPS = 40
_RATES = (1.0, 0.1)  # each where the one before did harm
_N_JUDGED, _JUDGED_BATCH = 512, 64
_Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class TuningSettings:
    """How a pruned network is fine-tuned.

    Attributes:
        epochs: Passes over the train split, 0 for none; a fraction is a part of one pass.
        function: Fine-tunes in the place of niwaki, if it is given: `my_file.py:tune`, which gets
            the network, the epochs and the original. Of what follows, `n_recalibration` (before it)
            and both of `quantized_` stay as they are; all else is its own.
        batch_size: Items per step, at least 2.
        learning_rate: Peak of a one-cycle cosine schedule of AdamW; of n steps, fewer than 40, the
            square root of n/40 of it. Where that does harm, a tenth of it is tried.
        weight_decay: Of AdamW.
        distillation: Share of the original's answers in what is learnt; the labels are the rest.
        gradient_clip: Largest norm of the gradient.
        n_recalibration: Train items that batch-norm statistics are taken from before anything is
            judged; 0 keeps the original's.
        quantized_epochs: Further passes in which what is to run in int8 is rounded as it will be,
            for networks with int8 layers; 0 for none.
        quantized_learning_rate: Peak of the schedule in these, however few.

    Raises:
        ConfigError: On a number out of its range.
    """

    epochs: float = 3.0
    function: str = ""
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    distillation: float = 0.5
    gradient_clip: float = 5.0
    n_recalibration: int = 512
    quantized_epochs: float = 0.0
    quantized_learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        least = {"epochs": 0, "batch_size": 2, "weight_decay": 0, "n_recalibration": 0}
        require_at_least(self, {**least, "quantized_epochs": 0})
        require_positive(self, "learning_rate", "quantized_learning_rate", "gradient_clip")
        require_share(self, "distillation")


class _DivergedError(Exception):
    """A loss of fine-tuning became NaN or infinite."""


class Tuning:
    """Fine-tunes networks that were cut from one model, and leaves none worse than it was.

    Few steps, few items or a rate that is too high may spoil a network that a fit in closed form
    has just mended. So the loss on some items of the search split is taken before and after, and
    the better network is kept.

    Args:
        original: The model itself, whose answers are learnt from.
        data: Tasks in the order of the model's outputs.
        settings: How.
        seed: Of the order of the items, and of what the networks draw, such as dropout.
        computing: Entered around each step, so that measurements on this machine can come in
            between.
    """

    def __init__(
        self,
        original: nn.Module,
        data: TaskData,
        settings: TuningSettings,
        *,
        seed: int,
        computing: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._device = best_device()
        self._original = in_evaluation(placed(original, self._device, layout_of(original)))
        self._data, self._settings, self._seed = data, settings, seed
        self._computing = computing
        self._losses = task_losses(data)

    @reusing_memory()
    def tuned(
        self,
        module: nn.Module,
        *,
        share: float = 1.0,
        adjust: Callable[[nn.Module], None] | None = None,
        tell: Tell = nobody,
    ) -> nn.Module:
        """Recalibrate and fine-tune a module in place; returned on the CPU, in evaluation mode.

        Args:
            module: Not the original itself.
            share: Of the epochs.
            adjust: Sets batch-norm statistics that then stay as they are; without it, they are
                taken anew before and after fine-tuning.
            tell: Told what fine-tuning did, if there was any; harm is undone.
        """
        network = placed(module, self._device, layout_of(module))
        if adjust is None:
            self.recalibrate(network)
        else:
            with self._computing():
                adjust(network)
        epochs = share * self._settings.epochs
        if epochs and self._settings.function:
            tell(self._tuned_by_function(network, epochs))
        elif n_steps := self._n_steps(epochs):

            def tune(rate: float) -> None:
                network.train()
                if self.otherwise_in_training:
                    _put_own_code_in_evaluation(network)
                if adjust is not None:
                    _put_norms_in_evaluation(network)
                forget = partial(_forget, network) if self.otherwise_in_training else None
                self._train(network, n_steps, rate, forget)
                let_forget(network)
                if adjust is None:
                    self.recalibrate(network)

            rates = [share * self._rate(n_steps) for share in _RATES]
            ways = [partial(tune, rate) for rate in rates]
            tell(self._unless_harm(network, partial(self._loss_on_others, network), ways))
        return in_evaluation(placed(network, torch.device("cpu"), torch.contiguous_format))

    def _tuned_by_function(self, network: nn.Module, epochs: float) -> Effect:
        """Let the user's function fine-tune a network, and leave it as that did if it is no worse.

        Raises:
            ConfigError: As of `trained_by`.
        """

        def tune() -> None:
            state = trained_by(
                self._settings.function,
                network,
                self._original,
                epochs=epochs,
                seed=derived_seed(self._seed, "fine-tuning by a function"),
                computing=self._computing,
            )
            network.load_state_dict(state)
            let_forget(network)

        judge = partial(self._skill_on_others, network)
        return self._unless_harm(network, judge, [tune], measure=MEAN_SKILL.name)

    def _rate(self, n_steps: int) -> float:
        """Return the peak rate: few steps do not come back from where a high one has led."""
        return self._settings.learning_rate * math.sqrt(min(1.0, n_steps / _FULL_RATE_STEPS))

    @cached_property
    def otherwise_in_training(self) -> str:
        """How the model's answers in training mode are none of its tasks; empty if they are.

        Then its own code stays in evaluation mode while it is tuned, in which it will run, and
        torch's layers alone (norms, dropout) are in training mode.
        """
        network = self._original
        inputs = next(self._drawn_inputs(2))
        with torch.no_grad(), repeatable_passes(network):
            expected = network(inputs)
            network.train()
            try:
                found = network(inputs)
            except Exception as error:  # of the model's own code, which may raise anything
                return f"it raises {type(error).__name__}: {error}"
            finally:
                network.eval()
        wanted, given = _shapes(expected), _shapes(found)
        # What a mapping holds besides is not looked at.
        if wanted == given or (isinstance(found, Mapping) and wanted.items() <= given.items()):
            return ""
        return f"it answers {_form(given)} in place of {_form(wanted)}"

    @reusing_memory()
    def tuned_quantized(
        self,
        module: nn.Module,
        plan: QuantizationPlan,
        deployment: Deployment,
        *,
        share: float,
        tell: Tell = nobody,
    ) -> nn.Module:
        """Train a module in place, rounded by a plan; returned on the CPU, in evaluation mode.

        Args:
            module: Not the original itself. Batch-norm statistics stay as they are.
            plan: By which the module will be quantized.
            deployment: Observes the ranges of activations, as it will for the export.
            share: Of the epochs.
            tell: As of `tuned`; both networks are rounded when their losses are taken.

        Raises:
            ExportError: If the module cannot be followed: see `FakeQuantized`.
        """
        n_steps = self._n_steps(share * self._settings.quantized_epochs)
        network = placed(module, self._device, layout_of(module))
        rounded = deployment.fake_quantized(network, plan)
        if n_steps:
            every = max(1, n_steps // _N_OBSERVATIONS)

            def observe(step: int) -> None:
                if step % every == 0:
                    rounded.observe(deployment.ranges)

            inputs = deployment.inputs
            whole = rounded if len(inputs) == 1 else TakingApart(rounded, inputs)

            def tune() -> None:
                self._train(whole, n_steps, self._settings.quantized_learning_rate, observe)
                rounded.observe(deployment.ranges)

            rounded.observe(deployment.ranges)
            tell(self._unless_harm(network, partial(self._loss_on_others, whole), [tune]))
        return in_evaluation(placed(network, torch.device("cpu"), torch.contiguous_format))

    def recalibrate(self, network: nn.Module) -> None:
        """Take batch-norm statistics anew, if there are any, and leave the network in eval mode."""
        if self._settings.n_recalibration:
            seed = derived_seed(self._seed, "recalibration")
            with self._computing(), drawing(seed, self._device):
                recalibrate(network, self._drawn_inputs(self._settings.n_recalibration))
        network.eval()

    def _unless_harm(
        self,
        network: nn.Module,
        judge: Callable[[], float],
        ways: Sequence[Callable[[], None]],
        *,
        measure: str = LOSS,
    ) -> Effect:
        """Tune a network by the first way after which it is no worse; take back what the others do.

        Args:
            network: Whose weights are changed.
            judge: Says how good it is, or what runs in its place.
            ways: Each changes the weights; at least one.
            measure: What `judge` returns; see `Effect`.

        Returns:
            What the last of those that were tried did.
        """
        before = judge()
        weights = deepcopy(network.state_dict())
        for tune in ways:
            try:
                tune()
                after = judge()
            except _DivergedError:  # which is told as what it is: harm
                after = math.nan
            effect = Effect(before, after, measure)
            if not effect.is_harm:
                break
            network.load_state_dict(weights)
            let_forget(network)
        return effect

    @repeatable()
    def _loss_on_others(self, network: nn.Module) -> float:
        """Return the mean loss on items of the search split, the same each time; in eval mode."""
        network.eval()
        total, n_items = 0.0, 0
        for batch in self._others():
            seed = derived_seed(self._seed, "judged", n_items)
            with self._computing(), torch.no_grad(), drawing(seed, self._device):
                total += self._loss(network, batch).item() * len(batch)
            n_items += len(batch)
        return total / n_items

    @repeatable()
    def _skill_on_others(self, network: nn.Module) -> float:
        """Return the mean skill on the same items; NaN if an answer is no finite number."""
        network.eval()
        data = self._data
        values = score(data.tasks, self._answers_to_others(network), chance=data.chance)
        return values[MEAN_SKILL.name]

    def _answers_to_others(self, network: nn.Module) -> Iterator[tuple[_Arrays, _Arrays]]:
        for number, batch in enumerate(self._others()):
            seed = derived_seed(self._seed, "judged", number)
            with self._computing(), torch.no_grad(), drawing(seed, self._device):
                inputs, _ = to_tensors(batch, self._device)
                outputs = named_outputs(network(inputs), self._data.output_names)
                answers = {name: values.cpu().numpy() for name, values in outputs.items()}
            yield answers, batch.targets

    def _others(self) -> Iterator[Batch]:
        """Go through items that are not learnt from, the same each time."""
        # Drawn: an ordered file would show one class alone.
        rng = stream(self._seed, "judged before and after fine-tuning")
        return drawn(self._data[SplitName.SEARCH], _N_JUDGED, _JUDGED_BATCH, rng=rng)

    @repeatable()
    def _train(
        self,
        network: nn.Module,
        n_steps: int,
        learning_rate: float,
        before_step: Callable[[int], None] | None = None,
    ) -> None:
        parameters = [p for p in network.parameters() if p.requires_grad]
        if not parameters:
            return
        optimiser = torch.optim.AdamW(
            parameters, lr=learning_rate, weight_decay=self._settings.weight_decay
        )
        for step, batch in enumerate(self._steps(n_steps)):
            # In the middle of each step: at its end, the last one would learn nothing.
            rate = learning_rate * one_cycle((step + 0.5) / n_steps, warmup=_WARMUP)
            for group in optimiser.param_groups:
                group["lr"] = rate
            with self._computing():
                if before_step is not None:
                    before_step(step)
                optimiser.zero_grad(set_to_none=True)
                with drawing(derived_seed(self._seed, "fine-tuning", step), self._device):
                    loss = self._loss(network, batch)
                if not math.isfinite(loss.item()):
                    raise _DivergedError
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(parameters, self._settings.gradient_clip)
                optimiser.step()

    def _loss(self, network: nn.Module, batch: Batch) -> Tensor:
        inputs, targets = to_tensors(batch, self._device)
        answers = self._answers(network, inputs)
        share = self._settings.distillation
        loss = (1.0 - share) * total_loss(self._losses, answers, targets)
        if share:
            with torch.no_grad():
                wanted = self._answers(self._original, inputs)
            loss = loss + share * total_distillation(self._losses, answers, wanted)
        return loss

    def _answers(self, network: nn.Module, inputs: Tensor) -> dict[str, Any]:
        """Return what a network answers to each task."""
        outputs = named_outputs(network(inputs), self._data.output_names)
        return {task.name: task.answer(outputs) for task in self._data.tasks}

    def _steps(self, n_steps: int) -> Iterator[Batch]:
        epoch = 0
        while n_steps > 0:
            shuffling = stream(self._seed, "fine-tuning", epoch)
            train = self._data[SplitName.TRAIN]
            for batch in sizable(train.batches(self._settings.batch_size, rng=shuffling)):
                if n_steps <= 0:
                    return
                n_steps -= 1
                yield batch
            epoch += 1

    def _n_steps(self, epochs: float) -> int:
        if not epochs:
            return 0
        return math.ceil(epochs * n_batches(self._data[SplitName.TRAIN], self._settings.batch_size))

    def _drawn_inputs(self, n_items: int) -> Iterator[Tensor]:
        train = self._data[SplitName.TRAIN]
        # Shuffled: an ordered file would show one class alone.
        rng = stream(derived_seed(self._seed, "recalibration"), "order")
        return inputs_for_statistics(train, n_items, self._device, rng=rng)


def _shapes(answer: object) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in named_tensors(answer)}


def _form(shapes: Mapping[str, tuple[int, ...]]) -> str:
    parts = [f"{name} {shape}".strip() for name, shape in shapes.items()]
    return " and ".join(parts) or "no tensor"


def _forget(network: nn.Module, step: int) -> None:
    """Let own code that stays in evaluation mode forget what it keeps of the weights there."""
    del step
    let_forget(network)


def _put_own_code_in_evaluation(network: nn.Module) -> None:
    for module in network.modules():
        if not type(module).__module__.startswith("torch.nn."):
            module.training = False


def _put_norms_in_evaluation(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.training = False

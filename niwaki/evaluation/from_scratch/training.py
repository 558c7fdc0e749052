"""Training one network from its initial weights: the same every time, and able to go on."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from niwaki.compress.pruning.model_calls import in_evaluation
from niwaki.core.errors import ConfigError
from niwaki.core.limits import require_at_least, require_positive, require_share
from niwaki.core.randomness import derived_seed, stream
from niwaki.evaluation.batches import inputs_for_statistics, n_batches, train_batches
from niwaki.evaluation.devices import (
    Tensors,
    best_device,
    drawing,
    laid_out,
    layout_for,
    placed,
    repeatable,
)
from niwaki.evaluation.from_scratch.captured import CapturedGradients, captured
from niwaki.evaluation.recalibration import recalibrate
from niwaki.evaluation.units import Units
from niwaki.tasks.arrays import ArraySplit
from niwaki.tasks.base import Split, SplitName, TaskData
from niwaki.tasks.losses import ClassLoss, OwnLoss, TaskLoss, task_losses, total_loss


@dataclass(frozen=True)
class RecipeSettings:
    """How a network is trained.

    The defaults are the published recipe of einspace's searches: SGD with momentum, a cosine to
    zero, no warm-up, no augmentation. It is for 45,000 items; fewer want smaller batches.

    Attributes:
        epochs: Passes over the train split at full fidelity.
        batch_size: Items per step, at least 2.
        learning_rate: At the first step.
        momentum: Of SGD, below 1.
        weight_decay: On all parameters.
        gradient_clip: Largest norm of the gradient; 0 has no limit.
        shrinks: What a lower fidelity has less of: `steps`, or `data` (as many passes over a part
            of the train items, the same part for all candidates).
        schedule: Over which steps the learning rate falls to zero: its `own`, so that every
            training ends as a whole one; or those of the `full` training, of which a lower fidelity
            is the beginning, so that it can be continued.
        max_seconds: Longest training, in seconds of this process's processor time, so that a busy
            machine condemns nobody; of wall time on a GPU. 0 has no limit.
        n_recalibration: Train items that batch-norm statistics are taken from at the end, so that
            they are right after few steps too; 0 keeps the moving averages.

    Raises:
        ConfigError: On a number out of its range, or settings that exclude each other.

    References:
        Ericsson et al., NeurIPS 2024, "einspace: searching for neural architectures from
        fundamental operations", table 5.
    """

    epochs: int = 8
    batch_size: int = 256
    learning_rate: float = 0.04
    momentum: float = 0.9
    weight_decay: float = 3e-4
    gradient_clip: float = 0.0
    shrinks: Literal["steps", "data"] = "steps"
    schedule: Literal["own", "full"] = "own"
    max_seconds: float = 0.0
    n_recalibration: int = 512

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_size": 2, "weight_decay": 0, "gradient_clip": 0}
        require_at_least(self, {**least, "max_seconds": 0, "n_recalibration": 0})
        require_positive(self, "learning_rate")
        require_share(self, "momentum")
        if self.momentum == 1.0:
            raise ConfigError("'momentum' is 1: give a number below 1")
        if self.schedule == "full" and self.shrinks == "data":
            raise ConfigError(
                "'schedule: full' continues trainings of fewer steps: it needs 'shrinks: steps'"
            )


@dataclass(frozen=True)
class Progress:
    """How far a training came.

    Attributes:
        steps: Done, those of an earlier training that it continued included.
        continued_from: Steps that an earlier training had done.
        loss: Mean over the last epoch of its own, about 1 at chance; NaN if there was none.
        seconds: Spent in these steps, as `RecipeSettings.max_seconds` counts them.
        failure: Why it stopped early, a sentence; empty if it did not.
    """

    steps: int
    continued_from: int
    loss: float
    seconds: float
    failure: str = ""


class ScratchTraining:
    """One training run.

    Real targets are learned in standard deviations from their means, and answered in their own
    units.

    Everything random follows from the seed: weights, the order of the items, and whatever the
    network draws in a step. So a training that was continued gives what an unbroken one gives.

    Args:
        build: Makes the network, its weights drawn by torch's global generator.
        data: What it is trained on.
        recipe: How.
        fidelity: Share of the full training, in (0, 1].
        seed: Of everything random.

    Attributes:
        network: As far as it is trained.
        n_steps: Where `run` ends.
        steps_done: So far.
        captures: Whether steps run as a CUDA graph: on a GPU, until one turns out to be none.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        data: TaskData,
        recipe: RecipeSettings,
        *,
        fidelity: float,
        seed: int,
    ) -> None:
        self._data, self._recipe, self._seed = data, recipe, seed
        self._device = best_device()
        by_steps = recipe.shrinks == "steps"
        train = data[SplitName.TRAIN]
        self._split = train if by_steps else part_of(train, fidelity)
        self._steps_per_epoch = n_batches(self._split, recipe.batch_size)
        n_full = self._steps_per_epoch * recipe.epochs
        self.n_steps = max(1, round(n_full * fidelity)) if by_steps else n_full
        self._n_annealed = n_full if recipe.schedule == "full" else self.n_steps
        self._losses = task_losses(data)
        self._nats = _nats(self._losses)
        with drawing(derived_seed(seed, "weights"), self._device):
            network = build()
        network = network.to(self._device)
        self._layout = torch.channels_last
        (images, *_) = self._drawn_images(2)
        self._layout = layout_for(network, images)
        self.network = placed(network, self._device, self._layout)
        self._units = Units(data.statistics[task.name] for task in data.tasks).to(self._device)
        self._in_units = True  # states of earlier versions are not, nor what goes on from there
        self._parameters = [p for p in self.network.parameters() if p.requires_grad]
        self._optimiser = torch.optim.SGD(
            self._parameters or [torch.zeros(1)],  # a network without parameters is one, too
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        self.steps_done, self._seconds = 0, 0.0
        own = any(isinstance(loss, OwnLoss) for loss in self._losses.values())
        self.captures = self._device.type == "cuda" and not own  # which may look at numbers
        self._captured: CapturedGradients | None = None

    def run(
        self,
        computing: Callable[[], AbstractContextManager[None]],
        *,
        clock: Callable[[], float] | None = None,
    ) -> Progress:
        """Train to the end, or until something goes wrong, and say which.

        Args:
            computing: Entered around each step, so that measurements on this machine can come in
                between.
            clock: Gives seconds; by default of processor time, of wall time on a GPU.
        """
        clock = clock or (time.process_time if self._device.type == "cpu" else time.perf_counter)
        self.network.train()
        try:
            return self._run(computing, clock)
        finally:
            self._captured = None  # it holds memory, and knows where the weights lie

    def _run(
        self, computing: Callable[[], AbstractContextManager[None]], clock: Callable[[], float]
    ) -> Progress:
        begin = self.steps_done
        losses: list[float] = []
        for batch in self._batches():
            if self.steps_done % self._steps_per_epoch == 0:
                losses.clear()
            with computing():
                started = clock()
                losses.append(self._step(batch))
                self._seconds += clock() - started
            if failure := self._failure(losses[-1]):
                return Progress(self.steps_done, begin, losses[-1], self._seconds, failure)
        mean = sum(losses) / len(losses) if losses else math.nan
        return Progress(self.steps_done, begin, mean, self._seconds)

    def finished(self) -> nn.Module:
        """Return the network on the CPU, in evaluation mode, batch-norm statistics taken anew.

        It answers in the targets' own units. The training has ended.
        """
        self.network = placed(self.network, self._device, self._layout)
        if self._recipe.n_recalibration:
            seed = derived_seed(self._seed, "recalibration")
            with drawing(seed, self._device):
                recalibrate(self.network, self._drawn_images(self._recipe.n_recalibration))
        finished = in_evaluation(placed(self.network, torch.device("cpu"), torch.contiguous_format))
        if self._units.differ:
            (images, *_) = self._drawn_images(2)
            self._units.cpu().give(finished, images.cpu())
        return finished

    def state(self) -> dict[str, Any]:
        """Return everything that the rest of the training depends on."""
        return {
            "steps_done": self.steps_done,
            "seconds": self._seconds,
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "in_units": self._in_units,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned here, or in a version without units."""
        self._in_units = bool(state.get("in_units", False))
        if not self._in_units:
            self._units.drop()
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.steps_done = int(state["steps_done"])
        self._seconds = float(state.get("seconds", 0.0))  # earlier versions did not keep it

    def _batches(self) -> Iterator[Tensors]:
        """Yield the batches that are still to be learnt from."""
        for epoch in range(self.steps_done // self._steps_per_epoch, self.n_steps):
            shuffling = stream(self._seed, "shuffling", epoch)
            number = epoch * self._steps_per_epoch
            size = self._recipe.batch_size
            batches = train_batches(self._split, size, self._device, rng=shuffling)
            for images, targets in batches:
                if number >= self.n_steps:
                    return
                number += 1
                if number > self.steps_done:
                    yield laid_out(images, self._layout), targets

    @repeatable()
    def _step(self, batch: Tensors) -> float:
        rate = self._learning_rate()
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        with drawing(derived_seed(self._seed, "step", self.steps_done), self._device):
            self._optimiser.zero_grad(set_to_none=True)
            loss = self._gradients(*batch)
        if self._recipe.gradient_clip:
            nn.utils.clip_grad_norm_(self._parameters, self._recipe.gradient_clip)
        self._optimiser.step()
        self.steps_done += 1
        return loss.item()

    def _gradients(self, images: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Return the loss, and leave its gradients in the parameters."""
        if self.captures and len(images) == self._recipe.batch_size:
            if self._captured is None:
                with drawing(0, self._device):  # what it draws is not what this step draws
                    self._captured = captured(self._computed, self.network, images, targets)
                self.captures = self._captured is not None
            if self._captured is not None:
                return self._captured(images, targets)
        return self._computed(images, targets)

    def _computed(self, images: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        loss = total_loss(self._losses, self._answers(images), targets)
        if loss.requires_grad:
            (loss * self._nats).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _answers(self, images: Tensor) -> dict[str, Tensor]:
        outputs = self.network(images)
        names = (task.name for task in self._data.tasks)
        return dict(zip(names, self._units(outputs), strict=True))

    def _learning_rate(self) -> float:
        progress = self.steps_done / self._n_annealed
        return self._recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))

    def _failure(self, loss: float) -> str:
        limit, seconds = self._recipe.max_seconds, self._seconds
        done = f"{self.steps_done} of {self.n_steps} steps"
        if not math.isfinite(loss):
            return f"the training diverged: its loss is {loss} after {done}"
        if limit and seconds > limit and self.steps_done < self.n_steps:
            return f"the training is too slow: {done} took {seconds:.3g} s, of {limit:g} s allowed"
        return ""

    def _drawn_images(self, n_images: int) -> Iterator[Tensor]:
        rng = stream(derived_seed(self._seed, "recalibration"), "order")
        drawn = inputs_for_statistics(self._split, n_images, self._device, rng=rng)
        return (laid_out(images, self._layout) for images in drawn)


def part_of(split: Split, share: float) -> Split:
    """Return a part of a split in memory, at least two items, drawn at random but always the same.

    Larger parts contain the smaller ones.

    Raises:
        ConfigError: If the split is read from a loader, so that its items cannot be picked.
    """
    if not isinstance(split, ArraySplit):
        raise ConfigError(
            "'shrinks: data' needs data in memory, and these are read from a loader: "
            "use 'shrinks: steps'"
        )
    n_kept = min(split.n_items, max(2, round(split.n_items * share)))
    order = stream(0, "part of the train split").permutation(split.n_items)
    return ArraySplit(split.arrays.take(order[:n_kept]), split.preprocessing)


def _nats(losses: dict[str, TaskLoss]) -> float:
    """Return the factor that brings losses of about 1 to nats, the unit of the published recipe.

    The gradient of one classification task is then that of its plain cross-entropy, and learning
    rates mean what they mean elsewhere.
    """
    nats = [loss.chance_nats for loss in losses.values() if isinstance(loss, ClassLoss)]
    return sum(nats) / len(nats) if nats else 1.0

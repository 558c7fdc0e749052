"""Training a super-network: sandwich rule, in-place distillation, resumable at any epoch."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, StudyError
from niwaki.core.limits import require_at_least, require_positive, require_share
from niwaki.core.randomness import derived_seed, stream
from niwaki.evaluation.batches import n_batches, sizable
from niwaki.evaluation.devices import best_device, drawing, placed, repeatable, to_tensors
from niwaki.evaluation.families import ElasticFamily
from niwaki.evaluation.learning_rate import one_cycle
from niwaki.evaluation.supernet.task_policies import restore_policies, task_policies
from niwaki.evaluation.units import spread
from niwaki.search.policies import PolicySettings
from niwaki.search.policies.task_policies import Pair
from niwaki.tasks.base import Batch, SplitName, TaskData
from niwaki.tasks.losses import (
    each_loss,
    task_losses,
    total_distillation,
    total_loss,
    weighted_sum,
)
from niwaki.tasks.statistics import best_constant

# A class that never occurs in training still gets a finite answer, and can still be learned: see
# Lin et al., ICCV 2017, "Focal loss for dense object detection", section 4.1.
_LEAST_FREQUENT = 1e-4


@dataclass(frozen=True)
class TrainingSettings:
    """How the super-network is trained.

    Attributes:
        epochs: Passes over the train split.
        batch_size: Images per step, at least 2.
        learning_rate: Peak of a one-cycle cosine schedule.
        warmup: Share of the steps in which the learning rate rises, below 1.
        weight_decay: Of AdamW, on all weights.
        n_random: Random sub-networks per step, beside the largest and the smallest.
        distillation: Share of the largest network's answers in what the smaller ones learn from;
            the labels are the rest.
        gradient_clip: Largest norm of the gradient.
        n_threads: Torch's threads while training; 0 leaves torch's own choice.
        policies: How a policy is learned for each task, from which the random sub-networks are then
            drawn; None draws them at equal odds throughout.

    Raises:
        ConfigError: On a number out of its range.
    """

    epochs: int = 8
    batch_size: int = 64
    learning_rate: float = 4e-3
    warmup: float = 0.15
    weight_decay: float = 1e-2
    n_random: int = 1
    distillation: float = 0.7
    gradient_clip: float = 5.0
    n_threads: int = 2
    policies: PolicySettings | None = None

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_size": 2, "weight_decay": 0, "n_random": 0, "n_threads": 0}
        require_at_least(self, least)
        require_positive(self, "learning_rate", "gradient_clip")
        require_share(self, "warmup", "distillation")
        if self.warmup == 1.0:
            raise ConfigError("'warmup' is 1: leave steps in which the learning rate falls")
        if self.policies is not None and self.n_random < 2:
            raise ConfigError(
                f"'n_random' is {self.n_random}, but 'policies' learn from pairs of networks: "
                "give at least 2"
            )


@dataclass(frozen=True)
class _Slices:
    """The smaller networks of one step: `alone`, and in pairs that policies learn from."""

    alone: tuple[Candidate, ...]
    pairs: tuple[Pair, ...]


class SuperNetworkTraining:
    """One training run.

    References:
        Yu and Huang, ICCV 2019: in each step the largest, the smallest and random sub-networks
        (sandwich rule), the smaller ones learning from the largest (in-place distillation). Ours
        also lets them learn from the labels, and trains several tasks at once. With policies, as
        in arXiv 2111.10007 (FBNetV5), the random ones are drawn from those of the tasks, all of
        which learn from each; weights learn from them alike, whoever drew them.

    Args:
        family: Whose super-network is trained.
        data: What it is trained on.
        settings: How.
        seed: Of the weights, the order of the images and the sampled sub-networks.
    """

    def __init__(
        self, family: ElasticFamily, data: TaskData, settings: TrainingSettings, *, seed: int
    ) -> None:
        self._data, self._settings, self._seed = data, settings, seed
        self._device = best_device()
        generator = torch.Generator().manual_seed(derived_seed(seed, "weights"))
        network = family.super_network(generator)
        network.start_at(
            {
                name: best_constant(each, least=_LEAST_FREQUENT).tolist()
                for name, each in data.statistics.items()
            },
            {name: spread(s) for name, s in data.statistics.items()},
        )
        self.network = placed(network, self._device, torch.channels_last)
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self._losses = task_losses(data)
        own = settings.policies
        self._space = family.space
        self.policies = None if own is None else task_policies(family, own)
        self.epochs_done = 0
        n_steps = n_batches(data[SplitName.TRAIN], settings.batch_size)
        self._n_steps = n_steps * settings.epochs

    def run_epoch(self) -> float:
        """Train one epoch.

        Returns:
            Mean loss of the largest network, about 1 per unit of task weight at chance.

        Raises:
            StudyError: If the loss is no longer a finite number.
        """
        epoch = self.epochs_done
        sampling = stream(self._seed, "sandwich", epoch)
        shuffling = stream(self._seed, "shuffling", epoch)
        train = self._data[SplitName.TRAIN]
        step = epoch * self._n_steps // self._settings.epochs
        losses: list[float] = []
        for batch in sizable(train.batches(self._settings.batch_size, rng=shuffling)):
            self._set_learning_rate(step + len(losses))
            slices = self._sandwich(step + len(losses), sampling)
            seed = derived_seed(self._seed, "step", step + len(losses))
            with drawing(seed, self._device):
                losses.append(self._step(batch, slices, sampling))
        self.epochs_done += 1
        return sum(losses) / max(1, len(losses))

    def state(self) -> dict[str, Any]:
        """Return everything that the rest of the run depends on."""
        return {
            "epochs_done": self.epochs_done,
            "network": self.network.full.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            **({"policies": self.policies.state()} if self.policies else {}),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.network.full.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        if self.policies:
            restore_policies(self.policies, state)
        self.epochs_done = int(state["epochs_done"])

    @repeatable()
    def _step(self, batch: Batch, slices: _Slices, sampling: np.random.Generator) -> float:
        images, targets = to_tensors(batch, self._device)
        self._optimiser.zero_grad(set_to_none=True)
        answers = self._answers(images, self._space.largest)
        loss = total_loss(self._losses, answers, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        teacher = {name: answer.detach() for name, answer in answers.items()}

        def learn(candidate: Candidate) -> list[Tensor]:
            return self._learn_smaller(images, targets, teacher, candidate)

        for candidate in slices.alone:
            learn(candidate)
        lost = [[learn(candidate) for candidate in pair] for pair in slices.pairs]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._settings.gradient_clip)
        self._optimiser.step()
        value = loss.item()
        if not math.isfinite(value):
            raise StudyError(
                f"the super-network's loss became {value} in epoch {self.epochs_done + 1}: "
                "lower `evaluator.training.learning_rate`, or look for extreme values in the data, "
                "and start again under another name (--name)"
            )
        if self.policies and lost:
            told = torch.stack([torch.stack([torch.stack(one) for one in pair]) for pair in lost])
            self.policies.learn(slices.pairs, told.double().cpu().numpy(), rng=sampling)
        return value

    def _sandwich(self, step: int, sampling: np.random.Generator) -> _Slices:
        """Draw the smaller networks of a step."""
        space, settings = self._space, self._settings
        pairs: tuple[Pair, ...] = ()
        if self.policies and settings.policies:
            warm = step >= settings.policies.warmup * self._n_steps
            n_pairs = settings.n_random // 2 if warm else 0
            pairs = tuple(self.policies.pair(sampling) for _ in range(n_pairs))
        n_alone = settings.n_random - 2 * len(pairs)
        drawn = (space.sample(sampling) for _ in range(n_alone))
        return _Slices((space.smallest, *drawn), pairs)

    def _learn_smaller(
        self,
        images: Tensor,
        targets: dict[str, Tensor],
        teacher: dict[str, Tensor],
        candidate: Candidate,
    ) -> list[Tensor]:
        """Let the weights learn from one smaller network; return what each task lost by it."""
        answers = self._answers(images, candidate)
        share = self._settings.distillation
        from_labels = each_loss(self._losses, answers, targets)
        loss = share * total_distillation(self._losses, answers, teacher)
        loss = loss + (1.0 - share) * weighted_sum(self._losses, from_labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return [each.detach() for each in from_labels.values()]

    def _answers(self, images: Tensor, candidate: Candidate) -> dict[str, Tensor]:
        # A copy: all networks of a step get the same, and one may change it in place.
        outputs = self.network(images.clone(), candidate)
        return dict(zip((task.name for task in self._data.tasks), outputs, strict=True))

    def _set_learning_rate(self, step: int) -> None:
        # In the middle of the step: at its end, the last one would learn nothing.
        factor = one_cycle(min(1.0, (step + 0.5) / self._n_steps), warmup=self._settings.warmup)
        for group in self._optimiser.param_groups:
            group["lr"] = self._settings.learning_rate * factor

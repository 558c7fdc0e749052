"""A super-network as a researcher may write one: towers of which each task's network keeps some.

Nothing of it is sliced, and it shares no code with those of niwaki: only the interface.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from niwaki.core.candidate import Candidate
from niwaki.spaces.choices import Choice, ChoiceSpace, Condition
from niwaki.spaces.heads import Head, HeadKind
from niwaki.spaces.super_network.base import SuperNetwork
from niwaki.spaces.super_network.layers import Layer, convolution, first, linear
from niwaki.spaces.super_network.space import ElasticSpace

WIDTH = 4


@dataclass(frozen=True)
class TowerSettings:
    """Options.

    Attributes:
        n_towers: Of one convolution each; the first is always there.
    """

    n_towers: int = 3

    def elastic_family(
        self, input_shape: tuple[int, ...], heads: tuple[Head, ...]
    ) -> "TowerFamily":
        """Return the family."""
        assert all(head.kind is HeadKind.VECTOR for head in heads)
        return TowerFamily(TowerSpace(self.n_towers, input_shape, heads))


@dataclass(frozen=True)
class TowerSpace(ElasticSpace):
    """Which towers there are."""

    n_towers: int
    input_shape: tuple[int, ...]
    heads: tuple[Head, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(head.task for head in self.heads)

    @cached_property
    def choices(self) -> ChoiceSpace:
        return ChoiceSpace(
            tuple(Choice(f"tower{number}", (False, True)) for number in range(1, self.n_towers))
        )

    @cached_property
    def layer_conditions(self) -> Mapping[str, tuple[Condition, ...]]:
        towers = range(1, self.n_towers)
        found: dict[str, tuple[Condition, ...]] = {"towers.0.conv": ()}
        found |= {f"towers.{n}.conv": (Condition(f"tower{n}", (True,)),) for n in towers}
        return found | {f"decoders.{task}": () for task in self.tasks}

    @property
    def largest(self) -> Candidate:
        return self.decide(lambda path, options: True)

    @property
    def smallest(self) -> Candidate:
        return self.decide(lambda path, options: False)

    @property
    def seeds(self) -> Mapping[str, Candidate]:
        return {"all": self.largest, "one": self.smallest}

    def towers(self, candidate: Candidate) -> list[int]:
        """Return which towers are there."""
        later = range(1, self.n_towers)
        return [0, *(n for n in later if candidate.decisions[f"tower{n}"])]

    def layer_table(self, candidate: Candidate) -> tuple[Layer, ...]:
        channels, height, width = self.input_shape
        pixels = (height // 4) * (width // 4)
        towers = [
            convolution(f"towers.{n}", first(channels), WIDTH, pixels, kernel=4, stride=4)
            for n in self.towers(candidate)
        ]
        answers = [
            linear(f"decoders.{head.task}", WIDTH, head.n_outputs, tasks=frozenset({head.task}))
            for head in self.heads
        ]
        return (*towers, *answers)


@dataclass(frozen=True)
class TowerFamily:
    """What evaluators ask for."""

    space: TowerSpace

    def super_network(self, generator: torch.Generator) -> "TowerSuperNetwork":
        """Return the super-network."""
        return TowerSuperNetwork(self.space, generator)

    def alone(self, task: str) -> "TowerFamily":
        """Return the family of one task."""
        heads = tuple(head for head in self.space.heads if head.task == task)
        return TowerFamily(TowerSpace(self.space.n_towers, self.space.input_shape, heads))


class Towers(nn.Module):
    """Some towers, added up, and a linear answer for each task."""

    def __init__(self, space: TowerSpace, towers: Sequence[int]) -> None:
        super().__init__()
        channels, height, width = space.input_shape
        self.towers = nn.ModuleDict({str(number): _tower(channels) for number in towers})
        self.act, self.pool = nn.ReLU(), nn.MaxPool2d((height // 4, width // 4))
        self.decoders = nn.ModuleDict(
            {head.task: nn.Linear(WIDTH, head.n_outputs) for head in space.heads}
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Map (B, C, H, W) to (B, n_outputs) per task."""
        first, *rest = self.towers.values()
        total = first(image)
        for tower in rest:
            total = total + tower(image)
        pooled = self.pool(self.act(total)).flatten(1)
        return tuple(decoder(pooled) for decoder in self.decoders.values())


def _tower(channels: int) -> nn.Sequential:
    tower = nn.Sequential()
    tower.add_module("conv", nn.Conv2d(channels, WIDTH, 4, 4, bias=False))
    tower.add_module("norm", nn.BatchNorm2d(WIDTH))
    return tower


class TowerSuperNetwork(SuperNetwork):
    """All towers, of which a candidate's are run."""

    def __init__(self, space: TowerSpace, generator: torch.Generator) -> None:
        super().__init__()
        self.space, self._full = space, Towers(space, range(space.n_towers))
        for name, parameter in self._full.named_parameters():
            if ".norm." not in name:
                nn.init.normal_(parameter, std=0.3, generator=generator)

    @property
    def full(self) -> Towers:
        return self._full

    def start_at(
        self,
        answers: Mapping[str, Sequence[float]],
        units: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        with torch.no_grad():
            for task, values in answers.items():
                bias = self.full.decoders[task].get_parameter("bias")
                bias.copy_(torch.tensor(values))

    def forward(self, inputs: Tensor, candidate: Candidate) -> tuple[Tensor, ...]:
        network = Towers(self.space, self.space.towers(candidate))
        own: dict[str, Tensor] = dict(self.full.named_parameters())
        weights = {name: own[name] for name, _ in network.named_parameters()}
        outputs: tuple[Tensor, ...] = torch.func.functional_call(network, weights, (inputs,))
        return outputs

    def extract(self, candidate: Candidate) -> Towers:
        network = Towers(self.space, self.space.towers(candidate))
        network.load_state_dict(self.full.state_dict(), strict=False)
        return network

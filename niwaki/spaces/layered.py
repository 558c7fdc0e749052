"""Spaces of architectures whose layers can be named without building them."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate, Value
from niwaki.spaces.base import Choose, EnumerableSpace
from niwaki.spaces.choices import ChoiceSpace, Condition, holds

_MOST_KNOWN = 1 << 12  # answers that are kept: they are asked for again and again


class LayerRow(Protocol):
    """A layer that can run in int8."""

    @property
    def path(self) -> str:
        """Qualified name of the module, which is that of its node in the graph."""

    @property
    def kind(self) -> str:
        """`conv` or `linear`."""

    @property
    def n_outputs(self) -> int:
        """Output channels."""

    @property
    def n_weights(self) -> int:
        """Elements of the weight tensor, bias left out."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one item."""


class LayeredSpace(EnumerableSpace):
    """A space of architectures whose layers can be named without building them."""

    @property
    @abstractmethod
    def all_layers(self) -> tuple[str, ...]:
        """Paths of every quantizable layer that some candidate has, in order of execution."""

    @property
    @abstractmethod
    def layer_switches(self) -> frozenset[str]:
        """The decisions that say which layers exist, such as depths."""

    @abstractmethod
    def layers(self, switches: Candidate) -> tuple[str, ...]:
        """Paths of the layers that exist, given at least the decisions in `layer_switches`."""


class LayeredChoices(LayeredSpace):
    """Plain choices, with conditions that say which layers there are."""

    @property
    @abstractmethod
    def choices(self) -> ChoiceSpace:
        """The decisions as a plain space of choices."""

    @property
    @abstractmethod
    def layer_conditions(self) -> Mapping[str, tuple[Condition, ...]]:
        """Conditions on decisions for each quantizable layer, by path, in order of execution.

        One of them must hold for the layer to exist; a layer without any always does.
        """

    def decide(self, choose: Choose) -> Candidate:
        return self.choices.decide(choose)

    def sample(self, rng: np.random.Generator) -> Candidate:
        return self.choices.sample(rng)

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        return self.choices.mutate(candidate, rng)

    def crossover(self, first: Candidate, second: Candidate, rng: np.random.Generator) -> Candidate:
        return self.choices.crossover(first, second, rng)

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        return self.choices.encode(candidates)

    @property
    def encoded_paths(self) -> Sequence[str] | None:
        return self.choices.encoded_paths

    @property
    def switches(self) -> frozenset[str]:
        return self.choices.switches

    @property
    def size(self) -> int:
        return self.choices.size

    def projections(self, paths: Collection[str]) -> list[tuple[Candidate, int]]:
        return self.choices.projections(paths)

    @cached_property
    def all_layers(self) -> tuple[str, ...]:
        return tuple(self.layer_conditions)

    @cached_property
    def layer_switches(self) -> frozenset[str]:
        conditions = self.layer_conditions.values()
        return frozenset(each.path for alternatives in conditions for each in alternatives)

    def layers(self, switches: Candidate) -> tuple[str, ...]:
        decided = switches.decisions
        seen = tuple((path, decided[path]) for path in self._ordered_switches if path in decided)
        if seen not in self._known_layers:
            if len(self._known_layers) == _MOST_KNOWN:
                self._known_layers.clear()
            self._known_layers[seen] = tuple(
                layer
                for layer, alternatives in self.layer_conditions.items()
                if not alternatives or any(holds(each, decided) for each in alternatives)
            )
        return self._known_layers[seen]

    @cached_property
    def _ordered_switches(self) -> tuple[str, ...]:
        return tuple(sorted(self.layer_switches))

    @cached_property
    def _known_layers(self) -> dict[tuple[tuple[str, Value], ...], tuple[str, ...]]:
        return {}

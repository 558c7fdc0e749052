"""What is known of the networks of a super-network without building any."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

from niwaki.core.candidate import Candidate
from niwaki.spaces.layered import LayeredChoices, LayerRow
from niwaki.spaces.super_network.options import as_number


class SharedLayer(LayerRow, Protocol):
    """A layer that can run in int8, in the network of one candidate."""

    @property
    def n_positions(self) -> int:
        """Output pixels; 1 for a linear layer."""

    @property
    def params(self) -> int:
        """Trained parameters: weights, biases, and those of a norm behind it."""

    def serves(self, task: str) -> bool:
        """Whether it is in the network that answers this task alone."""


class ElasticSpace(LayeredChoices):
    """Architectures that are all parts of the largest one.

    Decisions that no task's answer depends on are best made inactive, by conditions: then no two
    candidates are one network, and what is not there has no precision.
    """

    @property
    @abstractmethod
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of the network's outputs."""

    @cached_property
    def largest(self) -> Candidate:
        """The super-network itself, each option its largest; each step of training teaches it."""
        return self.decide(lambda _, options: max(options, key=as_number))

    @cached_property
    def smallest(self) -> Candidate:
        """The one with the least weights, each option its smallest; taught by each step as well."""
        return self.decide(lambda _, options: min(options, key=as_number))

    @property
    @abstractmethod
    def seeds(self) -> Mapping[str, Candidate]:
        """Well-known architectures by name, which a search tries first."""

    @abstractmethod
    def layer_table(self, candidate: Candidate) -> Sequence[SharedLayer]:
        """Return every layer of `candidate` that has weights, with exact counts.

        They are those that `layers` names, in its order.
        """

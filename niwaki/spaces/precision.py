"""Precision policies: one precision for every quantizable layer that is there."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.spaces.base import EnumerableSpace, Space
from niwaki.spaces.choices import Choice, ChoiceSpace
from niwaki.spaces.joint import DependentSpace, JointSpace

ARCHITECTURE = "architecture"
QUANTIZATION = "quantization"
FP32 = "fp32"
INT8 = "int8"


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


@dataclass(frozen=True)
class PrecisionSpace(DependentSpace):
    """One precision per existing layer of an architecture: the policy of SimQ-NAS.

    Attributes:
        architecture: Where the layers come from; the part called `architecture`.
        precisions: What each layer may run in.
    """

    architecture: LayeredSpace
    precisions: tuple[str, ...] = (FP32, INT8)

    @property
    def reads(self) -> Mapping[str, frozenset[str]]:
        return {ARCHITECTURE: self.architecture.layer_switches}

    def given(self, earlier: Mapping[str, Candidate]) -> Space:
        return self._of(self.architecture.layers(earlier[ARCHITECTURE]))

    @property
    def switches(self) -> frozenset[str]:
        return frozenset()

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        return self._everywhere.encode(candidates)

    @cached_property
    def _everywhere(self) -> ChoiceSpace:
        return ChoiceSpace(
            tuple(Choice(layer, self.precisions) for layer in self.architecture.all_layers)
        )

    @cached_property
    def _known(self) -> dict[tuple[str, ...], ChoiceSpace]:
        return {}

    def _of(self, layers: tuple[str, ...]) -> ChoiceSpace:
        if layers not in self._known:
            self._known[layers] = self._everywhere.restricted(frozenset(layers))
        return self._known[layers]


def with_precisions(
    architecture: LayeredSpace, precisions: tuple[str, ...] = (FP32, INT8)
) -> JointSpace:
    """Return the joint space of architectures and the precision of each of their layers."""
    return JointSpace(
        {
            ARCHITECTURE: architecture,
            QUANTIZATION: PrecisionSpace(architecture, precisions),
        }
    )

"""Precision policies: one precision for every quantizable layer that is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate, Value
from niwaki.spaces.base import Space
from niwaki.spaces.choices import Choice, ChoiceSpace
from niwaki.spaces.joint import DependentSpace, JointSpace
from niwaki.spaces.layered import LayeredChoices, LayeredSpace

ARCHITECTURE = "architecture"
QUANTIZATION = "quantization"
FP32 = "fp32"
INT8 = "int8"

_MOST_KNOWN = 1 << 10


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

    def n_together(self, earlier: Mapping[str, Space]) -> int | None:
        own = self.architecture
        if earlier != {ARCHITECTURE: own} or not isinstance(own, LayeredChoices):
            return None
        # Each precision behind the last decision that it hangs on, so that few are kept in mind.
        place = {choice.path: number for number, choice in enumerate(own.choices.choices, 1)}
        behind: list[list[Choice]] = [[] for _ in range(len(place) + 1)]
        for layer, conditions in own.layer_conditions.items():
            precision = Choice(f"{QUANTIZATION}/{layer}", self.precisions, when_any=conditions)
            behind[max((place[each.path] for each in conditions), default=0)].append(precision)
        for choice, precisions in zip(own.choices.choices, behind[1:], strict=True):
            behind[0] += [choice, *precisions]
        return ChoiceSpace(tuple(behind[0])).size

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        return self._everywhere.encode(candidates)

    @property
    def encoded_paths(self) -> Sequence[str] | None:
        return self._everywhere.encoded_paths

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
            if len(self._known) == _MOST_KNOWN:
                self._known.clear()
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


def in_one_precision(space: JointSpace, architecture: Candidate, precision: str) -> Candidate:
    """Return the joint candidate of an architecture with every layer in one precision.

    Args:
        space: Of architectures and precisions.
        architecture: Of the part of that name.
        precision: An option of every layer.
    """

    def answer(path: str, options: Sequence[Value]) -> Value:  # noqa: ARG001
        part, _, inner = path.partition("/")
        return architecture.decisions[inner] if part == ARCHITECTURE else precision

    return space.decide(answer)

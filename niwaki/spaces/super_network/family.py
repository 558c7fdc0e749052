"""The networks of a super-network that is sliced: each of them alone, and all of them as one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.core.registry import nearest
from niwaki.spaces.joint import JointSpace
from niwaki.spaces.precision import in_one_precision, with_precisions
from niwaki.spaces.super_network.base import SuperNetwork
from niwaki.spaces.super_network.slices import MultiTaskModule
from niwaki.spaces.super_network.space import ElasticSpace, SharedLayer

_OUTPUTS_PER_LAYER = 3  # of the convolution, of the norm behind it, of the activation


class SlicedFamily(ABC):
    """Networks of an elastic space, which evaluators train together or one by one.

    Attributes:
        space: Their architectures.
    """

    space: ElasticSpace

    @abstractmethod
    def build(self, candidate: Candidate) -> MultiTaskModule:
        """Return the untrained network, its weights drawn by torch's global generator."""

    @abstractmethod
    def super_network(self, generator: torch.Generator) -> SuperNetwork:
        """Return the super-network, its weights drawn by `generator`."""

    @abstractmethod
    def alone(self, task: str) -> "SlicedFamily":
        """Return the same networks without what serves other tasks only."""

    @property
    def seeds(self) -> Mapping[str, Candidate]:
        """Well-known networks by name."""
        return self.space.seeds

    def seed(self, name: str) -> Candidate:
        """Return one of `seeds`.

        Raises:
            SpaceError: If there is none of that name.
        """
        if name not in self.seeds:
            known = list(self.seeds)
            raise SpaceError(
                f"there is no seed '{name}'{nearest(name, known)} Known: {', '.join(known)}"
            )
        return self.seeds[name]

    def counts(self, candidate: Candidate) -> Mapping[str, float]:
        """Return parameters and MACs, and bounds on what stays in memory."""
        layers = self.space.layer_table(candidate)
        outputs = [layer.n_outputs * layer.n_positions for layer in layers]
        all_there = [*outputs, *self.enlarged(candidate)]
        return {
            "params": float(sum(layer.params for layer in layers)),
            "macs": float(sum(layer.macs for layer in layers)),
            "elements": float(_OUTPUTS_PER_LAYER * sum(outputs)),
            "peak_bytes": 4.0 * (_OUTPUTS_PER_LAYER * max(outputs) + sum(all_there)),
        }

    def enlarged(self, candidate: Candidate) -> Sequence[int]:  # noqa: ARG002
        """Return the elements of what a network makes beside its layers' outputs, one by one."""
        return ()

    def layers(self, candidate: Candidate) -> Sequence[SharedLayer]:
        """Return the layers that can run in int8: all of them."""
        return self.space.layer_table(candidate)

    def with_precisions(self, precisions: tuple[str, ...]) -> JointSpace:
        """Return the space of architectures and the precision of each of their layers."""
        return with_precisions(self.space, precisions)

    def spell(self, architecture: Candidate, precision: str) -> Candidate:
        """Return the joint candidate of an architecture with every layer in one precision."""
        return in_one_precision(self.with_precisions((precision,)), architecture, precision)

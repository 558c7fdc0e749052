"""The slimmable space as a family of networks."""

from dataclasses import dataclass

import torch

from niwaki.core.candidate import Candidate
from niwaki.spaces.heads import Head, Shape
from niwaki.spaces.slimmable.build import MultiTaskNetwork, build, super_network
from niwaki.spaces.slimmable.space import SlimmableSettings, SlimmableSpace
from niwaki.spaces.super_network.family import SlicedFamily
from niwaki.spaces.super_network.options import for_task
from niwaki.spaces.super_network.slices import SlicedNetwork


@dataclass(frozen=True)
class SlimmableFamily(SlicedFamily):
    """Networks of fixed width and depth, as `slimmable.build` makes them.

    Attributes:
        space: Their architectures.
    """

    space: SlimmableSpace

    @classmethod
    def of(
        cls, options: SlimmableSettings, input_shape: tuple[int, ...], heads: tuple[Head, ...]
    ) -> "SlimmableFamily":
        """Return the family for images of one shape.

        Raises:
            DataError: If the inputs are not images.
            SpaceError: If the options allow no network.
        """
        return cls(SlimmableSpace(options, Shape.of(input_shape, heads)))

    def build(self, candidate: Candidate) -> MultiTaskNetwork:
        return build(self.space, candidate)

    def enlarged(self, candidate: Candidate) -> list[int]:
        """Return the elements of maps as high and wide as the image."""
        return self.space.layout(candidate).shape.answers

    def super_network(self, generator: torch.Generator) -> SlicedNetwork[MultiTaskNetwork]:
        return super_network(self.space, generator)

    def alone(self, task: str) -> "SlimmableFamily":
        own = for_task(self.space.settings, task)
        return SlimmableFamily(SlimmableSpace(own, self.space.shape.alone(task)))

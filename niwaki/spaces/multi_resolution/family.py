"""Networks of several resolutions as a family."""

from dataclasses import dataclass

import torch

from niwaki.core.candidate import Candidate
from niwaki.core.jsonable import JSON, fingerprint
from niwaki.spaces.heads import Head, Shape
from niwaki.spaces.multi_resolution.build import MultiResolutionNetwork, build, super_network
from niwaki.spaces.multi_resolution.settings import MultiResolutionSettings
from niwaki.spaces.multi_resolution.space import MultiResolutionSpace
from niwaki.spaces.super_network.family import SlicedFamily
from niwaki.spaces.super_network.options import for_task
from niwaki.spaces.super_network.slices import SlicedNetwork


@dataclass(frozen=True)
class MultiResolutionFamily(SlicedFamily):
    """Networks as `multi_resolution.build` makes them.

    Attributes:
        space: Their architectures.
    """

    space: MultiResolutionSpace

    @classmethod
    def of(
        cls,
        options: MultiResolutionSettings,
        input_shape: tuple[int, ...],
        heads: tuple[Head, ...],
    ) -> "MultiResolutionFamily":
        """Return the family for images of one shape.

        Raises:
            DataError: If the inputs are not images.
            SpaceError: If the options allow no network.
        """
        return cls(MultiResolutionSpace(options, Shape.of(input_shape, heads)))

    def build(self, candidate: Candidate) -> MultiResolutionNetwork:
        return build(self.space, candidate)

    def identity(self, candidate: Candidate) -> str:
        """Return a name that candidates share only if their networks are built alike.

        Which of the blocks of a path are left out in a stage makes no difference to networks that
        share no weights, but how many are. Blocks of two stages that no fusion of their path parts
        are told apart, though they need not be.
        """
        layout = self.space.layout(candidate)
        blocks = [[[w for w in path if w] for path in stage.hidden] for stage in layout.stages]
        fusions: list[JSON] = [list(map(list, stage.fusions)) for stage in layout.stages]
        decoders: list[JSON] = [[each.width, list(each.reads)] for each in layout.decoders]
        return fingerprint([blocks, fusions, decoders])

    def enlarged(self, candidate: Candidate) -> list[int]:
        """Return the elements of maps as large as the image, and of what is enlarged for a path."""
        layout = self.space.layout(candidate)
        fused = [to for stage in layout.stages for source, to in stage.fusions if source > to]
        fusions = [layout.channels[to] * layout.positions(to) for to in fused]
        finest = layout.positions(0)
        read = [each.width * finest for each in layout.decoders for _ in each.reads]
        return [*layout.shape.answers, *fusions, *read]

    def super_network(self, generator: torch.Generator) -> SlicedNetwork[MultiResolutionNetwork]:
        return super_network(self.space, generator)

    def alone(self, task: str) -> "MultiResolutionFamily":
        own = for_task(self.space.settings, task)
        return MultiResolutionFamily(MultiResolutionSpace(own, self.space.shape.alone(task)))

"""From layouts to modules: plain networks, and the super-network they are slices of."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from niwaki.core.candidate import Candidate
from niwaki.spaces.heads import Head, HeadKind
from niwaki.spaces.slimmable.layout import Layout, side_after
from niwaki.spaces.slimmable.space import SlimmableSpace
from niwaki.spaces.super_network.layers import Layer
from niwaki.spaces.super_network.modules import Block, ConvNorm, VectorDecoder
from niwaki.spaces.super_network.slices import MultiTaskModule, SlicedNetwork, require_free_names


class MapDecoder(nn.Module):
    """Upsamples the deepest features, merging the skip of each stage on the way."""

    def __init__(self, layers: Mapping[str, Layer], path: str, layout: Layout) -> None:
        super().__init__()
        n_merges = len(layout.stages) - 1
        self.factors = [layout.stages[n_merges - step].stride for step in range(n_merges)]
        self.merges = nn.ModuleList(
            ConvNorm(layers[f"{path}.merges.{step}.conv"]) for step in range(n_merges)
        )
        leave = layers[f"{path}.leave"]
        self.leave = nn.Conv2d(leave.n_inputs, leave.n_outputs, 1)
        self.last_factor = 2 * layout.stages[0].stride

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map the stages' features to (B, n_outputs, H, W)."""
        x = features[-1]
        for step, merge in enumerate(self.merges):
            if self.factors[step] > 1:
                x = functional.interpolate(x, scale_factor=self.factors[step], mode="nearest")
            x = merge(torch.cat([x, features[len(features) - 2 - step]], dim=1))
        return functional.interpolate(
            self.leave(x), scale_factor=self.last_factor, mode="bilinear", align_corners=False
        )


class MultiTaskNetwork(MultiTaskModule):
    """A shared encoder and one decoder per task, of fixed widths: an ordinary module.

    Raises:
        SpaceError: If a task has a name that modules of torch have for something else.
    """

    def __init__(self, layout: Layout, layers: tuple[Layer, ...]) -> None:
        super().__init__()
        require_free_names([head.task for head in layout.shape.heads])
        by_path = {layer.path: layer for layer in layers}
        self.stem = ConvNorm(by_path["stem.conv"])
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(by_path, f"stages.{s}.{b}") for b in range(len(stage.hidden))))
            for s, stage in enumerate(layout.stages)
        )
        self.decoders = nn.ModuleDict(
            {head.task: _decoder(head, by_path, layout) for head in layout.shape.heads}
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Map (B, channels, H, W) to one output per task, in the order of the shape's heads."""
        x = self.stem(image)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return tuple(decoder(features) for decoder in self.decoders.values())


def _decoder(head: Head, layers: Mapping[str, Layer], layout: Layout) -> nn.Module:
    path = f"decoders.{head.task}"
    if head.kind is HeadKind.VECTOR:
        return VectorDecoder(layers, path, side_after(layout, len(layout.stages)))
    return MapDecoder(layers, path, layout)


def build(space: SlimmableSpace, candidate: Candidate) -> MultiTaskNetwork:
    """Build the plain network that `candidate` decides, with torch's default weights."""
    return MultiTaskNetwork(space.layout(candidate), space.layer_table(candidate))


def super_network(
    space: SlimmableSpace, generator: torch.Generator
) -> SlicedNetwork[MultiTaskNetwork]:
    """Return the super-network of a space.

    Raises:
        SpaceError: If the memory that may be used does not hold it while it is trained, or a task
            has a name that modules of torch have for something else.
    """
    return SlicedNetwork(space, partial(build, space), generator)

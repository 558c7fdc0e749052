"""From layouts to modules: networks of parallel paths."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from niwaki.core.candidate import Candidate
from niwaki.spaces.heads import Head, HeadKind
from niwaki.spaces.multi_resolution.layout import Layout, Stage, path_of
from niwaki.spaces.multi_resolution.space import MultiResolutionSpace
from niwaki.spaces.super_network.layers import Layer
from niwaki.spaces.super_network.modules import Block, ConvNorm, VectorDecoder
from niwaki.spaces.super_network.slices import MultiTaskModule, SlicedNetwork, require_free_names


class Fusion(nn.Module):
    """Adds the neighbours of a path to it: coarser ones enlarged, finer ones skipping pixels."""

    def __init__(self, layers: Mapping[str, Layer], name: str, sources: list[int], to: int) -> None:
        super().__init__()
        self._sources, self._to = sources, to
        for source in sources:
            layer = layers[f"{name}.from_path{source}.conv"]
            self.add_module(f"from_path{source}", ConvNorm(layer, activation=False))
        self.act = nn.ReLU()

    def forward(self, paths: Mapping[int, Tensor]) -> Tensor:
        """Map features of all paths to those of this one."""
        total = paths[self._to]
        for source in self._sources:
            added: Tensor = self.get_submodule(f"from_path{source}")(paths[source])
            if source > self._to:
                added = functional.interpolate(added, scale_factor=2, mode="nearest")
            total = total + added
        fused: Tensor = self.act(total)
        return fused


class PathStage(nn.Module):
    """The blocks that there are on each path, and the fusions behind them."""

    def __init__(self, layers: Mapping[str, Layer], name: str, stage: Stage) -> None:
        super().__init__()
        self.blocks, self.fusions = nn.ModuleDict(), nn.ModuleDict()
        for path, hidden in enumerate(stage.hidden):
            there = {
                str(block): f"{name}.blocks.path{path}.{block}" for block in range(len(hidden))
            }
            blocks = {n: Block(layers, own) for n, own in there.items() if hidden[int(n)]}
            if blocks:
                self.blocks[f"path{path}"] = nn.ModuleDict(blocks)
            sources = [source for source, to in stage.fusions if to == path]
            if sources:
                own = f"{name}.fusions.path{path}"
                self.fusions[f"path{path}"] = Fusion(layers, own, sources, path)

    def forward(self, paths: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """Map features by path to features by path, of the same shapes."""
        deep = dict(paths)
        for path in paths:
            if f"path{path}" in self.blocks:
                for block in self.blocks.get_submodule(f"path{path}").children():
                    deep[path] = block(deep[path])
        fused = dict(deep)
        for path in paths:
            if f"path{path}" in self.fusions:
                fused[path] = self.fusions[f"path{path}"](deep)
        return fused


class MapDecoder(nn.Module):
    """Two convolutions on the finest path, to which coarser ones are added, enlarged."""

    def __init__(self, layers: Mapping[str, Layer], name: str, reads: tuple[int, ...]) -> None:
        super().__init__()
        leave = layers[f"{name}.leave"]
        self._paths = reads
        self.enter = ConvNorm(layers[f"{name}.enter.conv"], activation=False)
        self.reads = nn.ModuleDict(
            {
                f"path{path}": ConvNorm(layers[f"{name}.reads.path{path}.conv"], activation=False)
                for path in reads
            }
        )
        self.act = nn.ReLU()
        self.leave = nn.Conv2d(leave.n_inputs, leave.n_outputs, 1)

    def forward(self, paths: Mapping[int, Tensor]) -> Tensor:
        """Map features by path to (B, n_outputs, H, W)."""
        total = self.enter(paths[0])
        for path, read in zip(self._paths, self.reads.values(), strict=True):
            total = total + functional.interpolate(
                read(paths[path]), scale_factor=2**path, mode="nearest"
            )
        answer = self.leave(self.act(total))
        return functional.interpolate(answer, scale_factor=2, mode="bilinear", align_corners=False)


class MultiResolutionNetwork(MultiTaskModule):
    """Parallel paths and one decoder per task, what reaches no decoder left out: a plain module.

    Raises:
        SpaceError: If a task has a name that modules of torch have for something else.
    """

    def __init__(self, layout: Layout, layers: tuple[Layer, ...]) -> None:
        super().__init__()
        heads = layout.shape.heads
        require_free_names([head.task for head in heads])
        by_path = {layer.path: layer for layer in layers}
        self.stem = ConvNorm(by_path["stem.conv"])
        entries = {p: f"entries.path{p}.conv" for p in range(1, len(layout.channels))}
        self.entries = nn.ModuleDict(
            {f"path{p}": ConvNorm(by_path[n]) for p, n in entries.items() if n in by_path}
        )
        self.stages = nn.ModuleList(
            PathStage(by_path, f"stages.{number}", stage)
            for number, stage in enumerate(layout.stages)
        )
        self.decoders = nn.ModuleDict(
            {
                head.task: _decoder(head, by_path, layout, decoder.reads)
                for head, decoder in zip(heads, layout.decoders, strict=True)
            }
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Map (B, channels, H, W) to one output per task, in the order of the shape's heads."""
        paths = {0: self.stem(image)}
        for entry in self.entries.values():
            paths[len(paths)] = entry(paths[len(paths) - 1])
        for stage in self.stages:
            paths = stage(paths)
        deepest = [paths[max(paths)]]
        return tuple(
            decoder(paths if isinstance(decoder, MapDecoder) else deepest)
            for decoder in self.decoders.values()
        )


def _decoder(
    head: Head, layers: Mapping[str, Layer], layout: Layout, reads: tuple[int, ...]
) -> nn.Module:
    name = f"decoders.{head.task}"
    if head.kind is HeadKind.VECTOR:
        coarsest = path_of(head, len(layout.channels))
        return VectorDecoder(layers, name, layout.side(coarsest))
    return MapDecoder(layers, name, reads)


def build(space: MultiResolutionSpace, candidate: Candidate) -> MultiResolutionNetwork:
    """Build the plain network that `candidate` decides, with torch's default weights."""
    return MultiResolutionNetwork(space.layout(candidate), space.layer_table(candidate))


def super_network(
    space: MultiResolutionSpace, generator: torch.Generator
) -> SlicedNetwork[MultiResolutionNetwork]:
    """Return the super-network of a space.

    Raises:
        SpaceError: If the memory that may be used does not hold it while it is trained, or a task
            has a name that modules of torch have for something else.
    """
    return SlicedNetwork(space, partial(build, space), generator)

"""From layouts to modules: plain networks, and the super-network they are slices of."""

from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from niwaki.core.candidate import Candidate
from niwaki.spaces.slimmable.layout import Head, HeadKind, Layout, side_after
from niwaki.spaces.slimmable.space import SlimmableSpace
from niwaki.spaces.super_network.layers import Layer
from niwaki.spaces.super_network.slices import MultiTaskModule, SlicedNetwork, require_free_names


class ConvNorm(nn.Module):
    """Convolution and batch-norm, with or without a ReLU behind."""

    def __init__(self, layer: Layer, *, activation: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            layer.n_inputs,
            layer.n_outputs,
            layer.kernel,
            layer.stride,
            layer.kernel // 2,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(layer.n_outputs)
        self.act = nn.ReLU() if activation else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_inputs, H, W) to (B, n_outputs, H / stride, W / stride)."""
        y: Tensor = self.act(self.norm(self.conv(x)))
        return y


class Block(nn.Module):
    """A residual block of two 3x3 convolutions; the first of a stage has a 1x1 shortcut."""

    def __init__(self, layers: Mapping[str, Layer], path: str) -> None:
        super().__init__()
        self.enter = ConvNorm(layers[f"{path}.enter.conv"])
        self.leave = ConvNorm(layers[f"{path}.leave.conv"], activation=False)
        self.shortcut: nn.Module = nn.Identity()
        if f"{path}.shortcut.conv" in layers:
            self.shortcut = ConvNorm(layers[f"{path}.shortcut.conv"], activation=False)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, width, H / stride, W / stride)."""
        y: Tensor = self.act(self.leave(self.enter(x)) + self.shortcut(x))
        return y


class VectorDecoder(nn.Module):
    """Takes the strongest answer of each deepest feature, and classifies or regresses.

    The maximum, not the mean: what a task asks about may be small, and a mean would drown it.
    """

    def __init__(self, layers: Mapping[str, Layer], path: str, side: tuple[int, int]) -> None:
        super().__init__()
        enter, leave = layers[f"{path}.enter"], layers[f"{path}.leave"]
        self.pool = nn.MaxPool2d(side)
        self.enter = nn.Linear(enter.n_inputs, enter.n_outputs)
        self.act = nn.ReLU()
        self.leave = nn.Linear(leave.n_inputs, leave.n_outputs)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map features, of which the last are the deepest, to (B, n_outputs)."""
        pooled = self.pool(features[-1]).flatten(1)  # (B, C)
        y: Tensor = self.leave(self.act(self.enter(pooled)))
        return y


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


def recalibrate(network: nn.Module, images: Iterator[Tensor]) -> None:
    """Set batch-norm statistics to those of `images`, and leave the network in evaluation mode.

    A network without such statistics looks at none of them. All but the norms is in evaluation mode
    throughout: the statistics are those of the network as it will run, without dropout, and code
    that does something else in training, or keeps its norms frozen there, does not do so. Norms
    that no image reaches keep what they have.

    Every sub-network sees other activations than the super-network, so it needs statistics of its
    own: a mean over batches, not a moving average.

    References:
        Yu and Huang, ICCV 2019, section 3.3.
    """
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    network.eval()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    reached: set[nn.Module] = set()

    def take(norm: nn.Module, _: object) -> None:
        assert isinstance(norm, _BatchNorm)
        if norm not in reached:
            norm.reset_running_stats()
            norm.momentum = None
            reached.add(norm)
        norm.training = True  # just before it is called: modules around it may set its mode

    handles = [norm.register_forward_pre_hook(take) for norm in norms]
    try:
        with torch.no_grad():
            for batch in images:
                network(batch)
    finally:
        network.eval()
        for handle in handles:
            handle.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

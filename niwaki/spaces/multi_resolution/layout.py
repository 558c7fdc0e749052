"""The layers of one network of several resolutions, whom they serve, and what they cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from niwaki.spaces.heads import Head, HeadKind, Shape
from niwaki.spaces.super_network.layers import Layer, convolution, first, linear

TaskSets: TypeAlias = list[frozenset[str]]  # by path


@dataclass(frozen=True)
class Stage:
    """Blocks of each path, and the fusion behind them.

    Attributes:
        hidden: For each path, by block, the channels inside; 0 where it is not there.
        fusions: Pairs of a path and a neighbour that it is added to.
    """

    hidden: tuple[tuple[int, ...], ...]
    fusions: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Decoder:
    """What one head is made of.

    Attributes:
        width: Channels inside.
        reads: Paths that it reads beside the one that it always does.
    """

    width: int
    reads: tuple[int, ...] = ()


@dataclass(frozen=True)
class Layout:
    """All numbers that make one network, what reaches no head left out.

    Attributes:
        shape: What comes in and goes out.
        channels: Of the paths, finest first.
        stages: In order.
        decoders: In the order of the shape's heads.
    """

    shape: Shape
    channels: tuple[int, ...]
    stages: tuple[Stage, ...]
    decoders: tuple[Decoder, ...]

    def side(self, path: int) -> tuple[int, int]:
        """Return height and width of the features of a path."""
        return self.shape.height >> path + 1, self.shape.width >> path + 1

    def positions(self, path: int) -> int:
        """Return the pixels of a path."""
        height, width = self.side(path)
        return height * width


def path_of(head: Head, n_paths: int) -> int:
    """Return the path that a head always reads: the finest for maps, the coarsest for vectors."""
    return 0 if head.kind is HeadKind.MAP else n_paths - 1


@dataclass(frozen=True)
class Served:
    """The tasks that each part of a network serves: those whose heads it reaches.

    Attributes:
        paths: By stage and path, of the blocks.
        fused: By stage and path, of what is added to it behind the blocks.
    """

    paths: list[TaskSets]
    fused: list[TaskSets]


def served(layout: Layout) -> Served:
    """Return whom each part of a network serves, followed back from the heads."""
    n_paths = len(layout.channels)
    both = list(zip(layout.shape.heads, layout.decoders, strict=True))
    wanted = [
        frozenset(h.task for h, d in both if path in (path_of(h, n_paths), *d.reads))
        for path in range(n_paths)
    ]
    paths: list[TaskSets] = []
    fused: list[TaskSets] = []
    for stage in reversed(layout.stages):
        fused.insert(0, wanted)
        wanted = [
            wanted[path].union(*(wanted[to] for source, to in stage.fusions if source == path))
            for path in range(n_paths)
        ]
        paths.insert(0, wanted)
    return Served(paths, fused)


def layers_of(layout: Layout) -> tuple[Layer, ...]:
    """Return the layers of a network, in order of execution."""
    whom = served(layout)
    layers = _beginning(layout, whom.paths[0])
    for index, stage in enumerate(layout.stages):
        for path, hidden in enumerate(stage.hidden):
            layers += _blocks(layout, f"stages.{index}.blocks", path, hidden, whom.paths[index])
        for source, to in stage.fusions:
            name = f"stages.{index}.fusions.path{to}.from_path{source}"
            layers.append(_fusion(layout, name, source, to, whom.fused[index]))
    for head, decoder in zip(layout.shape.heads, layout.decoders, strict=True):
        layers += _decoder(layout, head, decoder)
    return tuple(layers)


def _beginning(layout: Layout, wanted: TaskSets) -> list[Layer]:
    """Return the stem, and the way down to each path that is there in the first stage."""
    n = layout.channels
    layers = [
        convolution("stem", first(layout.shape.channels), n[0], layout.positions(0), stride=2)
    ]
    for path in range(1, len(n)):
        tasks = frozenset[str]().union(*wanted[path:])
        if tasks:
            positions = layout.positions(path)
            name, inputs = f"entries.path{path}", first(n[path - 1])
            layers.append(convolution(name, inputs, n[path], positions, stride=2, tasks=tasks))
    return layers


def _blocks(
    layout: Layout, name: str, path: int, hidden: Sequence[int], wanted: TaskSets
) -> list[Layer]:
    width, positions, tasks = layout.channels[path], layout.positions(path), wanted[path]
    layers: list[Layer] = []
    for block, inside in enumerate(hidden):
        if inside:
            own = f"{name}.path{path}.{block}"
            layers += [
                convolution(f"{own}.enter", first(width), inside, positions, tasks=tasks),
                convolution(f"{own}.leave", first(inside), width, positions, tasks=tasks),
            ]
    return layers


def _fusion(layout: Layout, name: str, source: int, to: int, wanted: TaskSets) -> Layer:
    """Return what brings a path to the channels of its neighbour: upwards before it is enlarged."""
    inputs, n_outputs = first(layout.channels[source]), layout.channels[to]
    positions, tasks = layout.positions(max(source, to)), wanted[to]
    if source < to:
        return convolution(name, inputs, n_outputs, positions, stride=2, tasks=tasks)
    return convolution(name, inputs, n_outputs, positions, kernel=1, tasks=tasks)


def _decoder(layout: Layout, head: Head, decoder: Decoder) -> list[Layer]:
    width = decoder.width
    name, own = f"decoders.{head.task}", frozenset({head.task})
    path = path_of(head, len(layout.channels))
    n, positions = layout.channels[path], layout.positions(path)
    enter, leave = f"{name}.enter", f"{name}.leave"
    if head.kind is HeadKind.VECTOR:
        return [
            linear(enter, n, width, tasks=own),
            linear(leave, width, head.n_outputs, tasks=own),
        ]
    inputs, n_outputs = first(width), head.n_outputs
    reads = [
        convolution(
            f"{name}.reads.path{other}",
            first(layout.channels[other]),
            width,
            layout.positions(other),
            kernel=1,
            tasks=own,
        )
        for other in decoder.reads
    ]
    return [
        convolution(enter, first(n), width, positions, tasks=own),
        *reads,
        convolution(leave, inputs, n_outputs, positions, kernel=1, norm=False, tasks=own),
    ]

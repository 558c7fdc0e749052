"""The layers of one slimmable network: their widths, their share of the full one, their costs."""

from dataclasses import dataclass
from math import prod

from niwaki.spaces.heads import Head, HeadKind, Shape
from niwaki.spaces.super_network.layers import Layer, Segment, convolution, first, linear


@dataclass(frozen=True)
class Stage:
    """One encoder stage: `width` channels of residual stream, one hidden width per block."""

    width: int
    hidden: tuple[int, ...]
    stride: int


@dataclass(frozen=True)
class Decoder:
    """One task's decoder."""

    task: str
    width: int


@dataclass(frozen=True)
class Layout:
    """All numbers that make one network."""

    shape: Shape
    stem_width: int
    stages: tuple[Stage, ...]
    decoders: tuple[Decoder, ...]


def layers_of(layout: Layout, *, full: Layout) -> tuple[Layer, ...]:
    """Return the layers of `layout` as parts of those of `full`, in order of execution."""
    layers = _encoder(layout)
    for decoder, widest in zip(layout.decoders, full.decoders, strict=True):
        head = next(head for head in layout.shape.heads if head.task == decoder.task)
        if head.kind is HeadKind.VECTOR:
            layers += _vector_decoder(layout, decoder, head)
        else:
            layers += _map_decoder(layout, full, decoder, widest, head)
    return tuple(layers)


def side_after(layout: Layout, n_stages: int) -> tuple[int, int]:
    """Return height and width of the feature map after the stem and `n_stages` stages."""
    factor = 2 * prod(stage.stride for stage in layout.stages[:n_stages])
    return layout.shape.height // factor, layout.shape.width // factor


def _encoder(layout: Layout) -> list[Layer]:
    pixels = prod(side_after(layout, 0))
    layers = [
        convolution("stem", first(layout.shape.channels), layout.stem_width, pixels, stride=2)
    ]
    n_inputs = layout.stem_width
    for index, stage in enumerate(layout.stages):
        pixels = prod(side_after(layout, index + 1))
        for block, hidden in enumerate(stage.hidden):
            path, stride = f"stages.{index}.{block}", stage.stride if block == 0 else 1
            layers.append(
                convolution(f"{path}.enter", first(n_inputs), hidden, pixels, stride=stride)
            )
            layers.append(convolution(f"{path}.leave", first(hidden), stage.width, pixels))
            if block == 0:
                # Always there, also where widths happen to agree: whether a layer exists must
                # depend on depths alone.
                layers.append(
                    convolution(
                        f"{path}.shortcut",
                        first(n_inputs),
                        stage.width,
                        pixels,
                        kernel=1,
                        stride=stride,
                    )
                )
            n_inputs = stage.width
    return layers


def _vector_decoder(layout: Layout, decoder: Decoder, head: Head) -> list[Layer]:
    path, own = f"decoders.{decoder.task}", frozenset({decoder.task})
    return [
        linear(f"{path}.enter", layout.stages[-1].width, decoder.width, tasks=own),
        linear(f"{path}.leave", decoder.width, head.n_outputs, tasks=own),
    ]


def _map_decoder(
    layout: Layout, full: Layout, decoder: Decoder, widest: Decoder, head: Head
) -> list[Layer]:
    path, own = f"decoders.{decoder.task}", frozenset({decoder.task})
    layers: list[Layer] = []
    n_deep, n_deep_full = layout.stages[-1].width, full.stages[-1].width
    for step, index in enumerate(reversed(range(len(layout.stages) - 1))):
        skip = Segment(n_deep_full, layout.stages[index].width)
        pixels = prod(side_after(layout, index + 1))
        merge, inputs = f"{path}.merges.{step}", (*first(n_deep), skip)
        layers.append(convolution(merge, inputs, decoder.width, pixels, tasks=own))
        n_deep, n_deep_full = decoder.width, widest.width
    pixels = prod(side_after(layout, 1))
    leave, deep = f"{path}.leave", first(n_deep)
    layers.append(convolution(leave, deep, head.n_outputs, pixels, kernel=1, norm=False, tasks=own))
    return layers

"""The layers of one slimmable network: their widths, their share of the full one, their costs."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from math import prod

# Networks of one space consist of the same few layers, whose costs are asked for again and again.
_MOST_LAYERS = 1 << 14
DECODERS = "decoders"  # begins the paths of all layers of decoders


class HeadKind(StrEnum):
    """What a decoder puts out."""

    VECTOR = "vector"  # (B, n_outputs): pooled, then two linear layers
    MAP = "map"  # (B, n_outputs, H, W): upsampled with skips, at input resolution


@dataclass(frozen=True)
class Head:
    """The output of one task.

    Attributes:
        task: Its name.
        kind: One vector per image, or one per pixel.
        n_outputs: Classes or regressed values.
    """

    task: str
    kind: HeadKind
    n_outputs: int


@dataclass(frozen=True)
class Shape:
    """What comes in, and what goes out.

    Attributes:
        channels: Of the input image.
        height: Of the input image, in pixels.
        width: Of the input image, in pixels.
        heads: One per task, in the order of the network's outputs.
    """

    channels: int
    height: int
    width: int
    heads: tuple[Head, ...]


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


class LayerKind(StrEnum):
    """Kinds of quantizable layers."""

    CONV = "conv"
    LINEAR = "linear"


@dataclass(frozen=True)
class Segment:
    """A run of input channels: `n` of them, which start at `offset` in the full layer.

    A layer that reads a concatenation has one segment for each piece, because the second piece
    starts where the *full* first piece ends, whatever the first piece was slimmed to.
    """

    offset: int
    n: int


@dataclass(frozen=True)
class Layer:
    """One convolution or linear layer.

    Attributes:
        path: Qualified name of the module.
        kind: Convolution or linear.
        inputs: Which channels of the full layer it reads.
        n_outputs: It computes the first `n_outputs` of the full layer's.
        kernel: Side of the square kernel; 1 for linear.
        stride: Of the convolution.
        n_positions: Output pixels.
        norm: Path of the batch-norm that follows it, or empty: then the layer has a bias.
    """

    path: str
    kind: LayerKind
    inputs: tuple[Segment, ...]
    n_outputs: int
    kernel: int
    stride: int
    n_positions: int
    norm: str

    @cached_property
    def n_inputs(self) -> int:
        """Input channels."""
        return sum(segment.n for segment in self.inputs)

    @cached_property
    def n_weights(self) -> int:
        """Elements of the weight tensor."""
        return self.n_inputs * self.n_outputs * self.kernel**2

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return self.n_weights * self.n_positions

    @cached_property
    def params(self) -> int:
        """Trained parameters: weights, and the bias or the batch-norm's scale and shift."""
        return self.n_weights + self.n_outputs * (2 if self.norm else 1)

    def serves(self, task: str) -> bool:
        """Whether it is in the network that answers this task alone: not in another's decoder."""
        return not self.path.startswith(f"{DECODERS}.") or self.path.startswith(
            f"{DECODERS}.{task}."
        )


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


@lru_cache(_MOST_LAYERS)
def _conv(
    path: str,
    inputs: tuple[Segment, ...],
    n_outputs: int,
    n_positions: int,
    /,
    *,
    kernel: int = 3,
    stride: int = 1,
    norm: bool = True,
) -> Layer:
    return Layer(
        path=f"{path}.conv" if norm else path,
        kind=LayerKind.CONV,
        inputs=inputs,
        n_outputs=n_outputs,
        kernel=kernel,
        stride=stride,
        n_positions=n_positions,
        norm=f"{path}.norm" if norm else "",
    )


@lru_cache(_MOST_LAYERS)
def _linear(path: str, n_inputs: int, n_outputs: int) -> Layer:
    return Layer(path, LayerKind.LINEAR, (Segment(0, n_inputs),), n_outputs, 1, 1, 1, "")


@lru_cache(_MOST_LAYERS)
def _first(n: int) -> tuple[Segment, ...]:
    return (Segment(0, n),)


def _encoder(layout: Layout) -> list[Layer]:
    pixels = prod(side_after(layout, 0))
    layers = [_conv("stem", _first(layout.shape.channels), layout.stem_width, pixels, stride=2)]
    n_inputs = layout.stem_width
    for index, stage in enumerate(layout.stages):
        pixels = prod(side_after(layout, index + 1))
        for block, hidden in enumerate(stage.hidden):
            path, stride = f"stages.{index}.{block}", stage.stride if block == 0 else 1
            layers.append(_conv(f"{path}.enter", _first(n_inputs), hidden, pixels, stride=stride))
            layers.append(_conv(f"{path}.leave", _first(hidden), stage.width, pixels))
            if block == 0:
                # Always there, also where widths happen to agree: whether a layer exists must
                # depend on depths alone.
                layers.append(
                    _conv(
                        f"{path}.shortcut",
                        _first(n_inputs),
                        stage.width,
                        pixels,
                        kernel=1,
                        stride=stride,
                    )
                )
            n_inputs = stage.width
    return layers


def _vector_decoder(layout: Layout, decoder: Decoder, head: Head) -> list[Layer]:
    path = f"{DECODERS}.{decoder.task}"
    return [
        _linear(f"{path}.enter", layout.stages[-1].width, decoder.width),
        _linear(f"{path}.leave", decoder.width, head.n_outputs),
    ]


def _map_decoder(
    layout: Layout, full: Layout, decoder: Decoder, widest: Decoder, head: Head
) -> list[Layer]:
    path = f"{DECODERS}.{decoder.task}"
    layers: list[Layer] = []
    n_deep, n_deep_full = layout.stages[-1].width, full.stages[-1].width
    for step, index in enumerate(reversed(range(len(layout.stages) - 1))):
        skip = Segment(n_deep_full, layout.stages[index].width)
        pixels = prod(side_after(layout, index + 1))
        inputs = (Segment(0, n_deep), skip)
        layers.append(_conv(f"{path}.merges.{step}", inputs, decoder.width, pixels))
        n_deep, n_deep_full = decoder.width, widest.width
    pixels = prod(side_after(layout, 1))
    layers.append(
        _conv(f"{path}.leave", _first(n_deep), head.n_outputs, pixels, kernel=1, norm=False)
    )
    return layers

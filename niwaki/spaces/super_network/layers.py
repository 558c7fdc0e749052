"""Layers as slices of wider ones: which channels they read, and what they cost."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import TypeAlias

# Networks of one space consist of the same few layers, whose costs are asked for again and again.
_MOST_LAYERS = 1 << 14

Tasks: TypeAlias = frozenset[str] | None


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
        tasks: Whose answers depend on it; None if all do.
    """

    path: str
    kind: LayerKind
    inputs: tuple[Segment, ...]
    n_outputs: int
    kernel: int
    stride: int
    n_positions: int
    norm: str
    tasks: frozenset[str] | None = None

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
        """Whether it is in the network that answers this task alone."""
        return self.tasks is None or task in self.tasks


@lru_cache(_MOST_LAYERS)
def convolution(
    path: str,
    inputs: tuple[Segment, ...],
    n_outputs: int,
    n_positions: int,
    /,
    *,
    kernel: int = 3,
    stride: int = 1,
    norm: bool = True,
    tasks: Tasks = None,
) -> Layer:
    """Return a convolution, with a batch-norm behind it (in `path`, too) or a bias of its own."""
    return Layer(
        path=f"{path}.conv" if norm else path,
        kind=LayerKind.CONV,
        inputs=inputs,
        n_outputs=n_outputs,
        kernel=kernel,
        stride=stride,
        n_positions=n_positions,
        norm=f"{path}.norm" if norm else "",
        tasks=tasks,
    )


@lru_cache(_MOST_LAYERS)
def linear(path: str, n_inputs: int, n_outputs: int, /, *, tasks: Tasks = None) -> Layer:
    """Return a linear layer."""
    return Layer(path, LayerKind.LINEAR, first(n_inputs), n_outputs, 1, 1, 1, "", tasks)


@lru_cache(_MOST_LAYERS)
def first(n: int) -> tuple[Segment, ...]:
    """Return the first n channels."""
    return (Segment(0, n),)

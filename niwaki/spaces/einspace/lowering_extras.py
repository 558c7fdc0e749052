"""Which module does what each operation of the extra grammars says."""

from collections.abc import Mapping
from types import MappingProxyType

from niwaki.spaces.einspace.attributes import Shape
from niwaki.spaces.einspace.layout import IMAGE, Layout, Tape
from niwaki.spaces.einspace.lowering import OPERATIONS, Lower, write_convolution, write_linear


def to_width(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:  # noqa: ARG001
    """Write a linear layer, or a convolution, of the width that comes out."""
    write_linear(tape, gives[-1])


def depthwise(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:
    """Write a convolution of each channel for itself."""
    k, n_channels = parameters["k"], gives[0]
    window = (k, parameters["s"], k // 2)
    write_convolution(tape, n_channels, window, kind=IMAGE, groups=n_channels)


def grouped(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:
    """Write a convolution of groups of channels."""
    k = parameters["k"]
    window = (k, parameters["s"], k // 2)
    write_convolution(tape, gives[0], window, kind=IMAGE, groups=parameters["g"])


def glu(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:  # noqa: ARG001
    """Write a gated linear unit over channels or features."""
    layout = tape.layout
    axis = layout.features_axis
    halved = layout.with_features(layout.shape[axis] // 2)
    tape.put("glu", halved, settings=(("axis", axis),))


def zero(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:  # noqa: ARG001
    """Write zeros."""
    tape.put("zero", tape.layout)


def pool(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:
    """Write an average over windows, the zeros around left out."""
    settings = (("k", parameters["k"]), ("s", parameters["s"]))
    tape.put("window_mean", Layout(IMAGE, gives), settings=settings)


ALL_OPERATIONS: Mapping[str, Lower] = MappingProxyType(
    {
        **OPERATIONS,
        "widen": to_width,
        "narrow": to_width,
        "slimmable": to_width,
        "depthwise": depthwise,
        "grouped": grouped,
        "glu": glu,
        "zero": zero,
        "pool": pool,
    }
)

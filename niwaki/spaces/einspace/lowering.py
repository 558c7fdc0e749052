"""From trees to blueprints: which module does what each operation says."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from niwaki.spaces.einspace.attributes import Shape
from niwaki.spaces.einspace.blueprint import Setting
from niwaki.spaces.einspace.layout import IMAGE, MAP, TOKENS, Layout, Tape
from niwaki.spaces.einspace.routing import axes_of

# Writes an operation with these parameters, which gives this shape, as trees speak of it.
Lower: TypeAlias = Callable[[Tape, Mapping[str, int], Shape], None]


def identity(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:
    """Write nothing."""


def linear(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:  # noqa: ARG001
    """Write a linear layer of `d` outputs."""
    write_linear(tape, parameters["d"])


def write_linear(tape: Tape, width: int) -> None:
    """Write a convolution where patches or a map come, a linear layer along the last axis else."""
    patches = tape.take_patches()
    if patches is not None:
        write_convolution(tape, width, patches)
    elif tape.layout.kind == MAP:
        write_convolution(tape, width, (1, 1, 0))
    else:
        layout = tape.layout
        n_inputs = layout.shape[-1]
        tape.put(
            "linear",
            Layout(layout.kind, (*layout.shape[:-1], width)),
            parameters=(n_inputs + 1) * width,
            weights=n_inputs * width,
            macs=math.prod(layout.shape) * width,
            settings=(("n_inputs", n_inputs), ("n_outputs", width)),
        )


def write_convolution(
    tape: Tape, width: int, window: tuple[int, int, int], *, kind: str = MAP, groups: int = 1
) -> None:
    """Write a convolution of `width` channels, with windows of (k, s, p), that gives `kind`."""
    (k, s, p), layout = window, tape.layout
    n_inputs, *sides = layout.shape
    sizes = [(side + 2 * p - k) // s + 1 for side in sides]
    weights = n_inputs // groups * k ** len(sides) * width
    tape.put(
        f"conv{len(sides)}d",
        Layout(kind, (width, *sizes)),
        parameters=weights + width,
        weights=weights,
        macs=weights * math.prod(sizes),
        settings=(
            ("n_inputs", n_inputs), ("n_outputs", width),
            ("k", k), ("s", s), ("p", p), ("groups", groups),
        ),
    )  # fmt: skip


def norm(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:  # noqa: ARG001
    """Write batch norm over an image's channels, layer norm over a token's features."""
    if tape.layout.kind == IMAGE:
        channels = tape.layout.shape[0]
        settings: tuple[tuple[str, Setting], ...] = (("n", channels),)
        tape.put("batch_norm", tape.layout, parameters=2 * channels, settings=settings)
        return
    tape.as_tokens()
    width = tape.layout.shape[-1]
    tape.put("layer_norm", tape.layout, parameters=2 * width, settings=(("n", width),))


def relu(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:  # noqa: ARG001
    """Write leaky ReLU."""
    tape.put("relu", tape.layout)


def softmax(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:  # noqa: ARG001
    """Write softmax over the rows of an image, or over the features of tokens."""
    layout = tape.layout
    axis = 0 if layout.kind == MAP else len(layout.shape) - 1
    tape.put("softmax", layout, settings=(("axis", axis),))


def position(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:  # noqa: ARG001
    """Write the sum with a trained tensor."""
    layout = tape.layout
    tape.put(
        "position",
        layout,
        parameters=math.prod(layout.shape),
        settings=(("shape", layout.shape),),
    )


def im2col(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:  # noqa: ARG001
    """Cut patches."""
    tape.patches(parameters["k"], parameters["s"], parameters["p"])


def col2im(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:  # noqa: ARG001
    """Write nothing where the map is that image already; else cut the values anew."""
    layout, image = tape.layout, Layout(IMAGE, gives)
    if layout.kind == MAP and layout.shape == gives:
        tape.rename(image)
    elif layout.kind == TOKENS:
        tape.put("to_image", image, view=True, settings=(("shape", gives),))
    else:
        tape.put("reshape", image, view=True, settings=(("shape", gives),))


def permute(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:
    """Reorder axes."""
    layout = tape.layout
    if layout.kind == IMAGE:
        axes = axes_of(parameters["order"])
        tape.put("permute", Layout(IMAGE, gives), view=True, settings=(("axes", axes),))
    elif layout.kind == MAP:
        # (D, H, W) lies in memory as (D, S) does: the tokens of the transposed matrix.
        tokens = Layout(TOKENS, gives)
        if layout.shape == gives:
            tape.rename(tokens)
        else:
            tape.put("flatten", tokens, view=True)
    else:
        tape.put("transpose", Layout(TOKENS, gives), view=True)


def conv1d(tape: Tape, parameters: Mapping[str, int], gives: Shape) -> None:  # noqa: ARG001
    """Write a convolution along the tokens, as many zeros around as keep their number."""
    tape.as_sequence()
    k, layout = parameters["k"], tape.layout
    before = (k - 1) // 2
    after = k - 1 - before
    if before != after:
        # torch pads alike on both sides only.
        padded = Layout(MAP, (layout.shape[0], layout.shape[1] + k - 1))
        tape.put("pad", padded, settings=(("before", before), ("after", after)))
        write_convolution(tape, parameters["d"], (k, 1, 0))
    else:
        write_convolution(tape, parameters["d"], (k, 1, before))


OPERATIONS: Mapping[str, Lower] = MappingProxyType(
    {
        "identity": identity,
        "linear": linear,
        "norm": norm,
        "relu": relu,
        "softmax": softmax,
        "posenc": position,
        "im2col": im2col,
        "col2im": col2im,
        "permute": permute,
        "conv1d": conv1d,
    }
)

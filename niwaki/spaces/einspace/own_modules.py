"""Operations with modules of their own, which a grammar file names."""

from niwaki.core.errors import SpaceError
from niwaki.spaces.einspace.attributes import shape_of
from niwaki.spaces.einspace.layout import Tape, plain
from niwaki.spaces.grammar.attributes import Step
from niwaki.spaces.grammar.grammar import Operation


def write_own(tape: Tape, operation: Operation, builder: str, step: Step) -> None:
    """Write an operation whose module `builder` makes.

    The module gets images as (B, C, H, W) and tokens as (B, S, D); its costs are those that its
    attribute rule says.

    Raises:
        SpaceError: If what it gives is neither an image nor tokens.
    """
    tape.as_tokens()
    gives = shape_of(step.output)
    if len(gives) not in (2, 3):
        raise SpaceError(
            f"'{operation.spelled}' gives {gives}: let it give an image (c, h, w) or tokens (s, d)"
        )
    tape.put(
        "own",
        plain(gives),
        parameters=step.cost.parameters,
        macs=step.cost.macs,
        settings=(("path", builder), ("given", tape.layout.shape), *operation.parameters),
    )

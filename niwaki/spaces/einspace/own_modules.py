"""Operations with modules of their own, which a grammar file names."""

import math
from collections.abc import Sequence

from niwaki.core.errors import SpaceError
from niwaki.spaces.einspace.attributes import Shape, shape_of
from niwaki.spaces.einspace.blueprint import Fork, Piece
from niwaki.spaces.einspace.joins import Branch
from niwaki.spaces.einspace.layout import Layout, Tape, plain
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
    layout = _given_by(operation, step)
    tape.put(
        "own",
        layout,
        parameters=step.cost.parameters,
        macs=step.cost.macs,
        inside=_inside(step, math.prod(layout.shape)),
        settings=(("path", builder), ("given", tape.layout.shape), *operation.parameters),
    )


def _given_by(operation: Operation, step: Step) -> Layout:
    gives = shape_of(step.output)
    if len(gives) not in (2, 3):
        raise SpaceError(
            f"'{operation.spelled}' gives {gives}: let it give an image (c, h, w) or tokens (s, d)"
        )
    return plain(gives)


def _inside(step: Step, given: int) -> int:
    """Return how many of the elements that an attribute rule says are not in the output."""
    return max(0, step.cost.elements - given)


def split_own(
    tape: Tape, operation: Operation, builder: str, step: Step, parts: Sequence[Shape]
) -> Piece:
    """Return the piece of a split whose module `builder` makes.

    Args:
        tape: What it is given; its module gets that as images or tokens.
        operation: The split.
        builder: Its module gives a sequence of tensors, one for each branch.
        step: What its attribute rule says.
        parts: Shapes of what the branches are given.
    """
    tape.as_tokens()
    given = tape.layout.shape
    given_on = sum(map(math.prod, parts))
    return Piece(
        "own_split",
        (given_on,),
        (("path", builder), ("given", given), ("parts", tuple(parts)), *operation.parameters),
        parameters=step.cost.parameters,
        macs=step.cost.macs,
        view=step.cost.elements == 0,
        inside=_inside(step, given_on),
    )


def join_own(
    split_by: Piece, branches: Sequence[Branch], operation: Operation, builder: str, step: Step
) -> tuple[Fork, Layout]:
    """Return the fork with a join whose module `builder` makes, and the layout of what it gives.

    The module gets a list of tensors, one from each branch, and its function their shapes.

    Raises:
        SpaceError: If what it gives is neither an image nor tokens.
    """
    for branch in branches:
        branch.tape.as_tokens()
    lines = tuple(line for each in branches for line in [each.tape.line()] * each.copies)
    layout = _given_by(operation, step)
    given = tuple(line.gives for line in lines)
    piece = Piece(
        "own_join",
        layout.shape,
        (("path", builder), ("given", given), *operation.parameters),
        parameters=step.cost.parameters,
        macs=step.cost.macs,
        inside=_inside(step, math.prod(layout.shape)),
    )
    return Fork(split_by, lines, piece), layout

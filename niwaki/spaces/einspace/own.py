"""Networks from a user's own grammar file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from niwaki.core.errors import SpaceError
from niwaki.core.limits import require_at_least
from niwaki.spaces.einspace.attributes import Shape, is_image, shape_of
from niwaki.spaces.einspace.family import NetworkFamily
from niwaki.spaces.einspace.heads import require_style
from niwaki.spaces.einspace.planning import require_modules
from niwaki.spaces.einspace.settings import input_of
from niwaki.spaces.grammar.calls import require_builders
from niwaki.spaces.grammar.costs import Budget
from niwaki.spaces.grammar.flows import Attribute
from niwaki.spaces.grammar.grammar import Grammar
from niwaki.spaces.grammar.reader import load_grammar
from niwaki.spaces.grammar.space import GrammarSpace
from niwaki.spaces.heads import Head


@dataclass(frozen=True)
class GrammarSettings:
    """A grammar file: what networks are made of, and which functions make their modules.

    Attributes are shapes without the batch, (c, h, w) of an image or (s, d) of tokens, or pairs of
    a shape and a grid as einspace has them. Operations of einspace and of its extras are known by
    their names; others say `builds package.module:function`, called with the shape that is given
    and with the parameters, for a module that maps (B, *given) to (B, *output). The module of what
    splits gives a sequence of tensors, one for each branch. That of what joins is given a list of
    them, and the function that makes it the tuple of their shapes.

    Attributes:
        file: The grammar, text or YAML.
        seeds: Trees to start from, by name, as text.
        budget: What each network may cost.
        expected_operations: Mean size of random networks, to which the weights are tilted; None
            leaves them.
        sampling: `weights`, `sizes`, `trees` or `uniform`, as `GrammarSpace` has them.
        largest_sample: Most operations of a random network; None for those of the budget.
        heads: `standardised` or `plain`, as `EinspaceSettings` has them.
        batch_size: Examples per training step that memory is estimated for.
        most_bytes: Networks that would take more while they are trained are not built.

    Raises:
        ConfigError: On a number out of its range.
    """

    file: str
    seeds: Mapping[str, str] | None = None
    budget: Budget = field(default_factory=Budget)
    expected_operations: float | None = None
    sampling: Literal["weights", "sizes", "trees", "uniform"] = "weights"
    largest_sample: int | None = None
    heads: Literal["standardised", "plain"] = "standardised"
    batch_size: int = 64
    most_bytes: int = 8 * 2**30

    def __post_init__(self) -> None:
        require_style(self.heads)
        require_at_least(self, {"batch_size": 1, "most_bytes": 1})

    def grammar(self, input_shape: Shape) -> Grammar:
        """Read the grammar, for one input.

        Raises:
            SpaceError: With every error in the file, or if its attributes are no shapes.
        """
        grammar = load_grammar(Path(self.file))
        return grammar.on(_like(grammar.input, input_shape), output=grammar.output)

    @cached_property
    def space(self) -> GrammarSpace:
        """The space of trees for the grammar's own input, for who builds the networks elsewhere.

        Raises:
            SpaceError: If the grammar has errors, or nothing is within the budget.
        """
        return self._space(load_grammar(Path(self.file)))

    def space_for(self, input_shape: Shape) -> GrammarSpace:
        """Return the space of trees for one input.

        Raises:
            SpaceError: If the grammar has errors, or nothing is within the budget.
        """
        return self._space(self.grammar(input_shape))

    def _space(self, grammar: Grammar) -> GrammarSpace:
        return GrammarSpace(
            grammar,
            self.budget,
            expected_operations=self.expected_operations,
            sampling=self.sampling,
            largest_sample=self.largest_sample,
        )

    def family(self, input_shape: Shape, heads: Sequence[Head]) -> NetworkFamily:
        """Return the networks for one input and the answers of some tasks.

        Args:
            input_shape: (c, h, w) or (c, l), without the batch.
            heads: At least one; maps are as large as the input.

        Raises:
            SpaceError: If the grammar has errors, its attributes are no shapes, a maker of modules
                is missing or takes other parameters, an operation has none, or nothing is within
                the budget.
        """
        if not heads:
            raise SpaceError("a network answers at least one task, but no heads came")
        space = self.space_for(input_shape)
        require_builders(space.grammar)
        require_modules(space.grammar)
        return NetworkFamily(
            space,
            tuple(heads),
            dict(self.seeds or {}),
            style=self.heads,
            batch_size=self.batch_size,
            most_bytes=self.most_bytes,
        )


def _like(example: Attribute, input_shape: Shape) -> Attribute:
    """Return the attribute of an input in the form that the grammar's own has.

    Raises:
        SpaceError: If that is no form of a shape, or of images where sequences come, or the other
            way round, or of sequences with their features first.
    """
    shape = shape_of(example)
    given = input_of(input_shape)
    if len(shape) != len(given[0]):
        raise SpaceError(
            f"the grammar's `input` is of {_kind(shape)}, {shape}, but the data are "
            f"{_kind(given[0])}, {given[0]}: write an `input` of theirs, or say how they lie, such "
            "as `data.layout: NCL` for sequences"
        )
    if shape != given[0] and shape == given[0][::-1] and not is_image(shape):
        raise SpaceError(
            f"the grammar's `input` is {shape}, features first, but sequences are given to "
            f"operations as (steps, features), {given[0]} of these data: write the `input` so, and "
            "let your rules and modules take shapes and tensors that lie so"
        )
    return given[0] if example == shape else given


def _kind(shape: Shape) -> str:
    return "images" if is_image(shape) else "sequences"

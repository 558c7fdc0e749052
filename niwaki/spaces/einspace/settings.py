"""What a configuration says of einspace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from niwaki.core.errors import SpaceError
from niwaki.core.limits import require_at_least
from niwaki.core.registry import nearest
from niwaki.spaces.einspace.attributes import Shape, Typed
from niwaki.spaces.einspace.family import NetworkFamily
from niwaki.spaces.einspace.heads import require_style
from niwaki.spaces.einspace.preferences import EnoughFeatures
from niwaki.spaces.einspace.seeds import seeds_for
from niwaki.spaces.grammar.costs import Budget
from niwaki.spaces.grammar.grammar import Grammar
from niwaki.spaces.grammar.reader import read_grammar
from niwaki.spaces.grammar.space import GrammarSpace
from niwaki.spaces.heads import Head

GRAMMARS = Path(__file__).parent / "grammars"


def input_of(input_shape: Shape, *, published: bool = False) -> Typed:
    """Return the attribute of a network's input.

    Args:
        input_shape: (c, h, w), or (c, l) for sequences: as data are, without the batch.
        published: Whether sequences know their positions: not in the published grammar.

    Raises:
        SpaceError: If it is neither.
    """
    if len(input_shape) not in (2, 3) or any(size < 1 for size in input_shape):
        raise SpaceError(
            f"einspace reads images (c, h, w) or sequences (c, l), but inputs are {input_shape}"
        )
    if len(input_shape) == 3:
        return (tuple(input_shape), None)
    channels, length = input_shape
    return ((length, channels), None if published else (0, length))


EXTRAS: Mapping[str, str] = MappingProxyType(
    {
        "depthwise": "depthwise and grouped convolutions; images only",
        "gates": "gated linear units, and branches that gate each other",
        "slimmable": "linear layers and convolutions of a share of a width",
        "experts": "mixtures of two or four experts",
        "relative": "linear layers that widen or narrow by a factor",
        "tasks": "a branch of its own for each task, behind what all share",
    }
)
"""Grammars that can be added to einspace's, by name."""

_IMAGES_ONLY = frozenset(("depthwise",))


@dataclass(frozen=True)
class EinspaceSettings:
    """The einspace grammar, for the input and the tasks of the data.

    Attributes:
        faithful: Take the published grammar and heads, faults included, in place of ours.
        extras: Names of `EXTRAS` to add to ours.
        budget: What each network may cost.
        expected_operations: Mean size of random networks, attributes and budget aside; None leaves
            the published weights, by which sizes have no useful mean.
        sampling: `weights`: as the grammar says. `convolutions`: with convolutions and residual
            blocks drawn as wholes. `sizes`: small and large alike, and trees of one size as the
            grammar says, as far as shapes allow. `trees`: the same, but all trees of one size
            alike. `uniform`: all trees alike, by exact counting; for a `largest_sample` of up to 6,
            and a budget of operations, depth and network operations alone.
        largest_sample: Most operations of a random network; changes may go up to the budget.
        heads: `standardised`: features are standardised before the linear layer that answers, by
            batch statistics in training, so that networks learn whose features hardly differ
            between examples. `plain`: taken as they are; known networks are then what they are
            elsewhere. Maps, and `faithful`, know no such difference.
        batch_size: Examples per training step that memory is estimated for.
        most_bytes: Networks that would take more while they are trained are not built.

    Raises:
        ConfigError: On a number out of its range.
        SpaceError: On an extra that there is not.
    """

    faithful: bool = False
    extras: tuple[str, ...] = ()
    budget: Budget = field(
        default_factory=lambda: Budget(
            operations=160,
            depth=24,
            network_operations=1024,
            parameters=20_000_000,
            macs=3_000_000_000,
            elements=32_000_000,
        )
    )
    expected_operations: float | None = 16.0
    sampling: Literal["weights", "convolutions", "sizes", "trees", "uniform"] = "weights"
    largest_sample: int = 48
    heads: Literal["standardised", "plain"] = "standardised"
    batch_size: int = 64
    most_bytes: int = 8 * 2**30

    def __post_init__(self) -> None:
        require_style(self.heads)
        require_at_least(self, {"largest_sample": 1, "batch_size": 1, "most_bytes": 1})
        for name in self.extras:
            if name not in EXTRAS:
                known = list(EXTRAS)
                message = f"there is no extra grammar '{name}'{nearest(name, known)}"
                raise SpaceError(f"{message} Known: {', '.join(known)}")
        if self.faithful and (self.extras or self.sampling == "convolutions"):
            raise SpaceError(
                "`faithful` is the published grammar: leave out `extras`, and do not sample by "
                "'convolutions'"
            )

    def grammar(self, input_shape: Shape, n_tasks: int = 1) -> Grammar:
        """Return the grammar for one input.

        Args:
            input_shape: (c, h, w) or (c, l), without the batch.
            n_tasks: How many branches the extra `tasks` gives a tree.

        Raises:
            SpaceError: If einspace has no such inputs, or an extra does not apply to them.
        """
        return self._read(self._base(input_shape), input_shape, n_tasks)

    def _read(self, base: str, input_shape: Shape, n_tasks: int) -> Grammar:
        given = input_of(input_shape, published=self.faithful)
        lines = [f"include {base}"]
        for name in self.extras:
            if name in _IMAGES_ONLY and len(input_shape) != 3:
                raise SpaceError(f"the extra grammar '{name}' is for images only: leave it out")
            lines.append(f"include {name}.grammar")
        if "tasks" in self.extras:
            trunk = "S" if base == self._base(input_shape) else "Net"
            lines += ["start Tasks", f"Tasks -> tasks@by_task: {trunk} {'M ' * n_tasks}"]
        return read_grammar("\n".join(lines), folder=GRAMMARS).on(given)

    def _base(self, input_shape: Shape) -> str:
        name = "einspace" if len(input_shape) == 3 else "sequences"
        if self.faithful:
            name = {"einspace": "published", "sequences": "published_sequences"}[name]
        return f"{name}.grammar"

    def space_for(self, input_shape: Shape, n_tasks: int = 1) -> GrammarSpace:
        """Return the space of trees for one input.

        Raises:
            SpaceError: If nothing is within the budget.
        """
        return self._space(input_shape, n_tasks, None)

    def _space(
        self, input_shape: Shape, n_tasks: int, prefers: EnoughFeatures | None
    ) -> GrammarSpace:
        proposal = None
        if self.sampling == "convolutions":
            name = "convolutional" + ("" if len(input_shape) == 3 else "_sequences")
            proposal = self._read(f"{name}.grammar", input_shape, n_tasks)
        return GrammarSpace(
            self.grammar(input_shape, n_tasks),
            self.budget,
            expected_operations=self.expected_operations,
            sampling="weights" if self.sampling == "convolutions" else self.sampling,
            largest_sample=self.largest_sample,
            proposal=proposal,
            prefers=prefers,
        )

    def family(self, input_shape: Shape, heads: Sequence[Head]) -> NetworkFamily:
        """Return the networks for one input and the answers of some tasks.

        Random ones have as many features as a task has answers, unless they are drawn uniformly or
        as published: see `EnoughFeatures`.

        Args:
            input_shape: (c, h, w) or (c, l), without the batch.
            heads: At least one; maps are as large as the input.

        Raises:
            SpaceError: If einspace has no such inputs, or nothing is within the budget.
        """
        if not heads:
            raise SpaceError("a network answers at least one task, but no heads came")
        shape, _ = input_of(input_shape)
        spellings = seeds_for(shape, relative="relative" in self.extras)
        if "tasks" in self.extras:
            ends = ", identity" * len(heads)
            spellings = {name: f"tasks({text}{ends})" for name, text in spellings.items()}
        as_drawn = self.faithful or self.sampling == "uniform"
        prefers = None if as_drawn else EnoughFeatures.of(heads)
        return NetworkFamily(
            self._space(input_shape, len(heads), prefers),
            tuple(heads),
            spellings,
            style="published" if self.faithful else self.heads,
            batch_size=self.batch_size,
            most_bytes=self.most_bytes,
        )

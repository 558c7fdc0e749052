"""Which random networks are worth training: those that give their heads enough to tell apart."""

from collections.abc import Sequence
from dataclasses import dataclass

from niwaki.spaces.einspace.attributes import features, shape_of
from niwaki.spaces.einspace.tasks import Ends
from niwaki.spaces.grammar.flows import Attribute
from niwaki.spaces.heads import Head

MOST_WANTED = 64


@dataclass(frozen=True)
class EnoughFeatures:
    """Whether a network gives each task as many features as the task has answers.

    A head is one linear layer on features, so k of them leave its answers a space of k dimensions,
    however much is computed before. An image of three channels that is never widened leaves three.

    Attributes:
        wanted: How many features, for each task.
    """

    wanted: tuple[int, ...]

    @classmethod
    def of(cls, heads: Sequence[Head]) -> "EnoughFeatures":
        """Return what some heads want; many answers are content with 64 features."""
        return cls(tuple(min(head.n_outputs, MOST_WANTED) for head in heads))

    def __call__(self, output: Attribute) -> bool:
        ends = output.outputs if isinstance(output, Ends) else (output,) * len(self.wanted)
        return all(features(shape_of(end)) >= n for end, n in zip(ends, self.wanted, strict=True))

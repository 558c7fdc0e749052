"""The slimmable space as a family of networks, each trained on its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import DataError, SpaceError
from niwaki.core.registry import nearest
from niwaki.spaces.joint import JointSpace
from niwaki.spaces.precision import ARCHITECTURE, with_precisions
from niwaki.spaces.slimmable.build import build
from niwaki.spaces.slimmable.layout import Head, Layer, Shape
from niwaki.spaces.slimmable.space import SlimmableSettings, SlimmableSpace

_OUTPUTS_PER_LAYER = 3  # of the convolution, of the norm behind it, of the activation


@dataclass(frozen=True)
class SlimmableFamily:
    """Networks of fixed width and depth, as `slimmable.build` makes them.

    Attributes:
        space: Their architectures.
    """

    space: SlimmableSpace

    @classmethod
    def of(
        cls, options: SlimmableSettings, input_shape: tuple[int, ...], heads: tuple[Head, ...]
    ) -> "SlimmableFamily":
        """Return the family for images of one shape.

        Raises:
            DataError: If the inputs are not images.
            SpaceError: If the options allow no network.
        """
        return cls(SlimmableSpace(options, image_shape(input_shape, heads)))

    @property
    def seeds(self) -> Mapping[str, Candidate]:
        """The largest network, the deepest one of half its widths, and the smallest."""
        space = self.space
        return {"largest": space.largest, "half": space.uniform(0.5), "smallest": space.smallest}

    def seed(self, name: str) -> Candidate:
        """Return one of `seeds`.

        Raises:
            SpaceError: If there is none of that name.
        """
        if name not in self.seeds:
            known = list(self.seeds)
            raise SpaceError(
                f"there is no seed '{name}'{nearest(name, known)} Known: {', '.join(known)}"
            )
        return self.seeds[name]

    def counts(self, candidate: Candidate) -> Mapping[str, float]:
        """Return parameters and MACs, and bounds on what stays in memory."""
        layers = self.space.layer_table(candidate)
        outputs = [layer.n_outputs * layer.n_positions for layer in layers]
        return {
            "params": float(sum(layer.params for layer in layers)),
            "macs": float(sum(layer.macs for layer in layers)),
            "elements": float(_OUTPUTS_PER_LAYER * sum(outputs)),
            "peak_bytes": 4.0 * (_OUTPUTS_PER_LAYER * max(outputs) + sum(outputs)),
        }

    def build(self, candidate: Candidate) -> nn.Module:
        """Return the untrained network."""
        return build(self.space, candidate)

    def layers(self, candidate: Candidate) -> Sequence[Layer]:
        """Return the layers that can run in int8: all of them."""
        return self.space.layer_table(candidate)

    def with_precisions(self, precisions: tuple[str, ...]) -> JointSpace:
        """Return the space of architectures and the precision of each of their layers."""
        return with_precisions(self.space, precisions)

    def spell(self, architecture: Candidate, precision: str) -> Candidate:
        """Return the joint candidate of an architecture with every layer in one precision."""

        def answer(path: str, options: Sequence[Value]) -> Value:  # noqa: ARG001
            part, _, inner = path.partition("/")
            return architecture.decisions[inner] if part == ARCHITECTURE else precision

        return self.with_precisions((precision,)).decide(answer)


def image_shape(input_shape: tuple[int, ...], heads: tuple[Head, ...]) -> Shape:
    """Return the shape of networks that read images.

    Raises:
        DataError: If the inputs are not images.
    """
    if len(input_shape) != 3:
        raise DataError(
            f"a slimmable network reads images of shape (c, h, w), but the inputs have shape "
            f"{input_shape}: give images, or make a trained model that reads these smaller with "
            "`niwaki compress`"
        )
    channels, height, width = input_shape
    return Shape(channels, height, width, heads)

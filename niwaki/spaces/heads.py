"""What networks are asked for: one head for each task, and the images that they read."""

from dataclasses import dataclass, replace
from enum import StrEnum

from niwaki.core.errors import DataError


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

    @classmethod
    def of(cls, input_shape: tuple[int, ...], heads: tuple[Head, ...]) -> "Shape":
        """Return the shape of networks that read images.

        Raises:
            DataError: If the inputs are not images.
        """
        if len(input_shape) != 3:
            raise DataError(
                f"this space reads images of shape (c, h, w), but the inputs have shape "
                f"{input_shape}: give images, or make a trained model that reads these smaller "
                "with `niwaki compress`"
            )
        channels, height, width = input_shape
        return cls(channels, height, width, heads)

    @property
    def answers(self) -> list[int]:
        """The elements of each answer that is a map."""
        pixels = self.height * self.width
        return [head.n_outputs * pixels for head in self.heads if head.kind is HeadKind.MAP]

    def alone(self, task: str) -> "Shape":
        """Return the shape of networks that answer one of the tasks alone."""
        return replace(self, heads=tuple(head for head in self.heads if head.task == task))

"""Options of networks of several resolutions."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from niwaki.core.errors import SpaceError
from niwaki.spaces.heads import Head, Shape
from niwaki.spaces.super_network.options import (
    require_tasks,
    require_whole_numbers,
    widths_by_name,
)

if TYPE_CHECKING:
    from niwaki.spaces.multi_resolution.family import MultiResolutionFamily


@dataclass(frozen=True)
class MultiResolutionSettings:
    """What the space is made of.

    Attributes:
        channels: Of the paths, finest first. The first has half the resolution of the input, and
            each later one half that of the path before. With twice the channels at half the
            resolution, blocks of all paths cost the same.
        n_stages: Stages, in each of which every path may have blocks, before paths are fused.
        n_blocks: Most blocks of a path in a stage.
        hidden: Options of the channels inside a block, as shares of its path's, decided block by
            block, beside that it is not there.
        decoders: Width options of each task's decoder, by task name.
        default_decoder: Width options of a decoder that `decoders` does not name.
    """

    channels: tuple[int, ...] = (16, 32, 64)
    n_stages: int = 3
    n_blocks: int = 2
    hidden: tuple[float, ...] = (0.5, 1.0)
    decoders: Mapping[str, tuple[int, ...]] | None = None
    default_decoder: tuple[int, ...] = (8, 16, 24)

    def elastic_family(
        self, input_shape: tuple[int, ...], heads: tuple[Head, ...]
    ) -> "MultiResolutionFamily":
        """Return the networks for images of one shape, and one head per task.

        Raises:
            DataError: If the inputs are not images.
            SpaceError: If the options allow no network.
        """
        from niwaki.spaces.multi_resolution.family import MultiResolutionFamily

        return MultiResolutionFamily.of(self, input_shape, heads)

    def hidden_widths(self, path: int) -> tuple[int, ...]:
        """Return the channels that a block of one path may have inside."""
        return tuple(round(share * self.channels[path]) for share in self.hidden)


def check_settings(settings: MultiResolutionSettings, shape: Shape) -> None:
    """Check that options fit each other and the images.

    Raises:
        SpaceError: If they do not, with the key and what to give.
    """
    if len(settings.channels) < 2:
        raise SpaceError(
            f"'space.channels' is {list(settings.channels)}: give the channels of two or more "
            "paths; networks of one path are the space 'slimmable'"
        )
    if any(type(n) is not int or n < 1 for n in settings.channels):
        raise SpaceError(f"'space.channels' is {list(settings.channels)}: give numbers from 1")
    for name in ("n_stages", "n_blocks"):
        given = getattr(settings, name)
        if type(given) is not int or given < 1:
            raise SpaceError(f"'space.{name}' is {given}: give a whole number from 1")
    _check_hidden(settings)
    require_tasks(settings, [head.task for head in shape.heads])
    require_whole_numbers(widths_by_name(settings))
    halved = 2 ** len(settings.channels)
    if shape.height % halved or shape.width % halved:
        raise SpaceError(
            f"images of {shape.height} x {shape.width} cannot be halved for "
            f"{len(settings.channels)} paths: use sides that are multiples of {halved}, or fewer "
            "`channels`"
        )


def _check_hidden(settings: MultiResolutionSettings) -> None:
    for path in range(len(settings.channels)):
        possible = all(0 < share < inf for share in settings.hidden)
        widths = settings.hidden_widths(path) if possible else ()
        if not widths or min(widths) < 1 or len(set(widths)) < len(widths):
            raise SpaceError(
                f"'space.hidden' is {list(settings.hidden)}, shares of {settings.channels[path]} "
                "channels: give numbers above 0 that make different whole numbers of channels"
            )

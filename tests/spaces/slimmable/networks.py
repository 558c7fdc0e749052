"""A small slimmable space, and the super-network's own arithmetic as an oracle."""

import torch
from torch import Tensor, nn

from niwaki.core.candidate import Candidate
from niwaki.spaces.heads import Head, HeadKind, Shape
from niwaki.spaces.slimmable import SlimmableSettings, SlimmableSpace, StageSettings
from niwaki.spaces.slimmable.build import MultiTaskNetwork

SHAPE = Shape(
    channels=3,
    height=16,
    width=16,
    heads=(
        Head("digit", HeadKind.VECTOR, 5),
        Head("segmentation", HeadKind.MAP, 4),
        Head("depth", HeadKind.MAP, 1),
    ),
)
SETTINGS = SlimmableSettings(
    stem_widths=(4, 6),
    stages=(
        StageSettings(widths=(4, 8), hidden=(4, 6), depths=(1, 2), stride=1),
        StageSettings(widths=(6, 8, 10), hidden=(4, 8), depths=(1, 2, 3)),
    ),
    decoders={"digit": (8, 12)},
    default_decoder=(4, 6),
)


def small_space() -> SlimmableSpace:
    """Return a space that builds in milliseconds."""
    return SlimmableSpace(SETTINGS, SHAPE)


class Masked:
    """Runs the full network with the channels that a candidate leaves out set to zero.

    Unused blocks are skipped. Written without slices, so that it is an oracle for them: every layer
    computes all of its channels, and a mask removes those that are not there.
    """

    def __init__(self, space: SlimmableSpace, full: MultiTaskNetwork, candidate: Candidate) -> None:
        self._full = full
        self._depths = [len(stage.hidden) for stage in space.layout(candidate).stages]
        self._handles = []
        modules = dict(full.named_modules())
        for layer in space.layer_table(candidate):
            last = layer.norm or layer.path
            self._handles.append(modules[last].register_forward_hook(_mask_after(layer.n_outputs)))

    def __call__(self, image: Tensor) -> tuple[Tensor, ...]:
        """Run, and take the masks away."""
        stages = [list(stage.children()) for stage in self._full.stages]
        for index, depth in enumerate(self._depths):
            self._full.stages[index] = nn.Sequential(*stages[index][:depth])
        try:
            outputs: tuple[Tensor, ...] = self._full(image)
            return outputs
        finally:
            for index, blocks in enumerate(stages):
                self._full.stages[index] = nn.Sequential(*blocks)
            for handle in self._handles:
                handle.remove()


def _mask_after(n: int):  # type: ignore[no-untyped-def]
    def hook(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        mask = torch.zeros(output.shape[1])
        mask[:n] = 1.0
        return output * mask.view(1, -1, *(1,) * (output.ndim - 2))

    return hook

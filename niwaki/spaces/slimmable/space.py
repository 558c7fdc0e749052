"""The slimmable multi-task space: what can be decided about the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import SpaceError
from niwaki.spaces.choices import Choice, ChoiceSpace, Condition
from niwaki.spaces.heads import Head, Shape
from niwaki.spaces.slimmable.layout import Decoder, Layout, Stage, layers_of
from niwaki.spaces.super_network.layers import Layer
from niwaki.spaces.super_network.options import (
    as_number,
    as_width,
    decoder_widths,
    require_tasks,
    require_whole_numbers,
    widths_by_name,
)
from niwaki.spaces.super_network.space import ElasticSpace

if TYPE_CHECKING:
    from niwaki.spaces.slimmable.family import SlimmableFamily


@dataclass(frozen=True)
class StageSettings:
    """Options of one encoder stage, a chain of residual blocks at one resolution.

    Attributes:
        widths: Channels of the residual stream.
        hidden: Channels between the two convolutions of a block, decided block by block.
        depths: Numbers of blocks.
        stride: Of the first block.
    """

    widths: tuple[int, ...]
    hidden: tuple[int, ...]
    depths: tuple[int, ...] = (1, 2)
    stride: int = 2


@dataclass(frozen=True)
class SlimmableSettings:
    """What the space is made of.

    Attributes:
        stem_widths: Channels after the first convolution, which halves the resolution.
        stages: Encoder stages in order.
        decoders: Width options of each task's decoder, by task name.
        default_decoder: Width options of a decoder that `decoders` does not name.
    """

    stem_widths: tuple[int, ...] = (16,)
    stages: tuple[StageSettings, ...] = (
        StageSettings(widths=(16, 24), hidden=(16, 24), stride=1),
        StageSettings(widths=(24, 32, 48), hidden=(24, 32, 48)),
        StageSettings(widths=(32, 48, 64), hidden=(32, 48, 64)),
    )
    decoders: Mapping[str, tuple[int, ...]] | None = None
    default_decoder: tuple[int, ...] = (8, 16, 24)

    def elastic_family(
        self, input_shape: tuple[int, ...], heads: tuple[Head, ...]
    ) -> "SlimmableFamily":
        """Return the networks for images of one shape, and one head per task.

        Raises:
            DataError: If the inputs are not images.
            SpaceError: If the options allow no network.
        """
        from niwaki.spaces.slimmable.family import SlimmableFamily

        return SlimmableFamily.of(self, input_shape, heads)


@dataclass(frozen=True)
class SlimmableSpace(ElasticSpace):
    """A shared encoder of elastic depth and width, and one elastic decoder per task.

    Decisions: `stem.width`; for stage s from 0, `stage<s>.depth`, `stage<s>.width` and, for each
    block b that the depth leaves, `stage<s>.block<b>.hidden`; `decoder.<task>.width`.

    Attributes:
        settings: The options.
        shape: Input shape and the tasks' outputs.

    Raises:
        SpaceError: On options that no network can have.

    References:
        Yu and Huang, ICCV 2019 (universally slimmable networks); arXiv 2308.11744, ICCV 2023 (ECMT:
        encoder and decoders slimmed independently). The blocks and skip decoders are our choice.
    """

    settings: SlimmableSettings
    shape: Shape

    def __post_init__(self) -> None:
        _check_settings(self.settings, self.shape)

    @cached_property
    def choices(self) -> ChoiceSpace:
        """The decisions as a plain space of choices."""
        listed = [Choice("stem.width", tuple(self.settings.stem_widths))]
        for index, stage in enumerate(self.settings.stages):
            listed += _stage_choices(f"stage{index}", stage)
        for head in self.shape.heads:
            listed.append(
                Choice(f"decoder.{head.task}.width", decoder_widths(self.settings, head.task))
            )
        return ChoiceSpace(tuple(listed))

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(head.task for head in self.shape.heads)

    @cached_property
    def seeds(self) -> Mapping[str, Candidate]:
        """The largest network, the deepest one of half its widths, and the smallest."""
        return {"largest": self.largest, "half": self.uniform(0.5), "smallest": self.smallest}

    def uniform(self, ratio: float) -> Candidate:
        """Return the deepest candidate with every width the option nearest to `ratio` of full."""

        def answer(path: str, options: Sequence[Value]) -> Value:
            full = max(options, key=as_number)
            if path.endswith(".depth"):
                return full
            return min(options, key=lambda o: abs(as_number(o) - ratio * as_number(full)))

        return self.decide(answer)

    def layout(self, candidate: Candidate) -> Layout:
        """Return the widths and depths that `candidate` decides, as numbers."""
        decided = candidate.decisions
        return Layout(
            shape=self.shape,
            stem_width=as_width(decided["stem.width"]),
            stages=tuple(
                Stage(
                    width=as_width(decided[f"stage{s}.width"]),
                    hidden=tuple(
                        as_width(decided[f"stage{s}.block{b}.hidden"])
                        for b in range(as_width(decided[f"stage{s}.depth"]))
                    ),
                    stride=stage.stride,
                )
                for s, stage in enumerate(self.settings.stages)
            ),
            decoders=tuple(
                Decoder(head.task, as_width(decided[f"decoder.{head.task}.width"]))
                for head in self.shape.heads
            ),
        )

    def layer_table(self, candidate: Candidate) -> tuple[Layer, ...]:
        """Return every convolution and linear layer of `candidate`, with exact counts."""
        return layers_of(self.layout(candidate), full=self._full)

    @cached_property
    def _full(self) -> Layout:
        return self.layout(self.largest)

    @cached_property
    def layer_conditions(self) -> Mapping[str, tuple[Condition, ...]]:
        return {layer.path: self._condition(layer.path) for layer in self.layer_table(self.largest)}

    def _condition(self, layer: str) -> tuple[Condition, ...]:
        part, *rest = layer.split(".")
        if part != "stages":
            return ()
        name, stage = f"stage{rest[0]}", self.settings.stages[int(rest[0])]
        return _deeper_than(name, stage, int(rest[1]))


def _stage_choices(name: str, stage: StageSettings) -> list[Choice]:
    deepest = max(stage.depths)
    listed = [
        Choice(f"{name}.depth", tuple(stage.depths)),
        Choice(f"{name}.width", tuple(stage.widths)),
    ]
    for block in range(deepest):
        when = _deeper_than(name, stage, block)
        listed.append(Choice(f"{name}.block{block}.hidden", tuple(stage.hidden), when))
    return listed


def _deeper_than(name: str, stage: StageSettings, block: int) -> tuple[Condition, ...]:
    """Return the condition for a block to be there; none if it always is."""
    deep_enough = tuple(depth for depth in stage.depths if depth > block)
    always = len(deep_enough) == len(stage.depths)
    return () if always else (Condition(f"{name}.depth", deep_enough),)


def _check_settings(settings: SlimmableSettings, shape: Shape) -> None:
    if not settings.stages:
        raise SpaceError("a slimmable space needs at least one stage")
    require_tasks(settings, [head.task for head in shape.heads])
    options = {"stem_widths": settings.stem_widths, **widths_by_name(settings)}
    for index, stage in enumerate(settings.stages):
        for name in ("widths", "hidden", "depths"):
            options[f"stages[{index}].{name}"] = getattr(stage, name)
        if stage.stride not in (1, 2):
            raise SpaceError(f"'space.stages[{index}].stride' is {stage.stride}: give 1 or 2")
    require_whole_numbers(options)
    strides = 2 * prod(stage.stride for stage in settings.stages)
    for side in (shape.height, shape.width):
        if side % strides:
            raise SpaceError(
                f"images of {shape.height} x {shape.width} cannot be halved down by a factor of "
                f"{strides}: use sides that are multiples of {strides}, or fewer strides of 2"
            )

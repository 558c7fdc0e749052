"""The slimmable multi-task space: what can be decided about the network."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import SpaceError
from niwaki.spaces.base import Choose
from niwaki.spaces.choices import Choice, ChoiceSpace, Condition
from niwaki.spaces.precision import LayeredSpace
from niwaki.spaces.slimmable.layout import Decoder, Layer, Layout, Shape, Stage, layers_of


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


@dataclass(frozen=True)
class SlimmableSpace(LayeredSpace):
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
            listed.append(Choice(f"decoder.{head.task}.width", self.decoder_widths(head.task)))
        return ChoiceSpace(tuple(listed))

    def decoder_widths(self, task: str) -> tuple[int, ...]:
        """Return the width options of one task's decoder."""
        return tuple((self.settings.decoders or {}).get(task, self.settings.default_decoder))

    def decide(self, choose: Choose) -> Candidate:
        return self.choices.decide(choose)

    def sample(self, rng: np.random.Generator) -> Candidate:
        return self.choices.sample(rng)

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        return self.choices.mutate(candidate, rng)

    def crossover(self, first: Candidate, second: Candidate, rng: np.random.Generator) -> Candidate:
        return self.choices.crossover(first, second, rng)

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        return self.choices.encode(candidates)

    @property
    def switches(self) -> frozenset[str]:
        return self.choices.switches

    @property
    def size(self) -> int:
        return self.choices.size

    def projections(self, paths: Collection[str]) -> list[tuple[Candidate, int]]:
        return self.choices.projections(paths)

    @cached_property
    def largest(self) -> Candidate:
        """The candidate with every depth and width at its maximum: the super-network itself."""
        return self.decide(lambda _, options: max(options, key=_as_number))

    @cached_property
    def smallest(self) -> Candidate:
        """The candidate with every depth and width at its minimum."""
        return self.decide(lambda _, options: min(options, key=_as_number))

    def uniform(self, ratio: float) -> Candidate:
        """Return the deepest candidate with every width the option nearest to `ratio` of full."""

        def answer(path: str, options: Sequence[Value]) -> Value:
            full = max(options, key=_as_number)
            if path.endswith(".depth"):
                return full
            return min(options, key=lambda o: abs(_as_number(o) - ratio * _as_number(full)))

        return self.decide(answer)

    def layout(self, candidate: Candidate) -> Layout:
        """Return the widths and depths that `candidate` decides, as numbers."""
        decided = candidate.decisions
        return Layout(
            shape=self.shape,
            stem_width=_width(decided["stem.width"]),
            stages=tuple(
                Stage(
                    width=_width(decided[f"stage{s}.width"]),
                    hidden=tuple(
                        _width(decided[f"stage{s}.block{b}.hidden"])
                        for b in range(_width(decided[f"stage{s}.depth"]))
                    ),
                    stride=stage.stride,
                )
                for s, stage in enumerate(self.settings.stages)
            ),
            decoders=tuple(
                Decoder(head.task, _width(decided[f"decoder.{head.task}.width"]))
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
    def all_layers(self) -> tuple[str, ...]:
        return tuple(layer.path for layer in self.layer_table(self.largest))

    @cached_property
    def layer_switches(self) -> frozenset[str]:
        return frozenset(f"stage{s}.depth" for s in range(len(self.settings.stages)))

    def layers(self, switches: Candidate) -> tuple[str, ...]:
        depths = tuple(
            _width(switches.decisions[f"stage{s}.depth"]) for s in range(len(self.settings.stages))
        )
        if depths not in self._layers_by_depths:
            fixed = {f"stage{s}.depth": depth for s, depth in enumerate(depths)}
            deep = self.decide(lambda path, options: fixed.get(path, options[0]))
            self._layers_by_depths[depths] = tuple(x.path for x in self.layer_table(deep))
        return self._layers_by_depths[depths]

    @cached_property
    def _layers_by_depths(self) -> dict[tuple[int, ...], tuple[str, ...]]:
        return {}


def _stage_choices(name: str, stage: StageSettings) -> list[Choice]:
    deepest = max(stage.depths)
    listed = [
        Choice(f"{name}.depth", tuple(stage.depths)),
        Choice(f"{name}.width", tuple(stage.widths)),
    ]
    for block in range(deepest):
        deep_enough = tuple(depth for depth in stage.depths if depth > block)
        always = len(deep_enough) == len(stage.depths)
        when = () if always else (Condition(f"{name}.depth", deep_enough),)
        listed.append(Choice(f"{name}.block{block}.hidden", tuple(stage.hidden), when))
    return listed


def _as_number(value: Value) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _width(value: Value) -> int:
    assert isinstance(value, int)
    return value


def _check_settings(settings: SlimmableSettings, shape: Shape) -> None:
    if not settings.stages:
        raise SpaceError("a slimmable space needs at least one stage")
    named = set(settings.decoders or {}) - {head.task for head in shape.heads}
    if named:
        raise SpaceError(
            f"'space.decoders.{sorted(named)[0]}' belongs to no task; "
            f"the tasks are {', '.join(head.task for head in shape.heads)}"
        )
    options = {"stem_widths": settings.stem_widths, "default_decoder": settings.default_decoder}
    options |= {f"decoders.{task}": widths for task, widths in (settings.decoders or {}).items()}
    for index, stage in enumerate(settings.stages):
        for name in ("widths", "hidden", "depths"):
            options[f"stages[{index}].{name}"] = getattr(stage, name)
        if stage.stride not in (1, 2):
            raise SpaceError(f"'space.stages[{index}].stride' is {stage.stride}: give 1 or 2")
    for name, values in options.items():
        if not values or any(type(v) is not int or v < 1 for v in values):
            raise SpaceError(
                f"'space.{name}' is {list(values)}: give one or more whole numbers from 1"
            )
        if len(set(values)) != len(values):
            raise SpaceError(f"'space.{name}' is {list(values)}: give each option once")
    strides = 2 * int(np.prod([stage.stride for stage in settings.stages]))
    for side in (shape.height, shape.width):
        if side % strides:
            raise SpaceError(
                f"images of {shape.height} x {shape.width} cannot be halved down by a factor of "
                f"{strides}: use sides that are multiples of {strides}, or fewer strides of 2"
            )

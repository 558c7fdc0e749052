"""The space of networks of several resolutions: which blocks and fusions there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from niwaki.core.candidate import Candidate, Value
from niwaki.spaces.choices import Choice, ChoiceSpace, Condition
from niwaki.spaces.heads import Head, HeadKind, Shape
from niwaki.spaces.multi_resolution.layout import Decoder, Layout, Stage, layers_of, path_of
from niwaki.spaces.multi_resolution.settings import MultiResolutionSettings, check_settings
from niwaki.spaces.super_network.layers import Layer
from niwaki.spaces.super_network.options import as_number, as_width, decoder_widths
from niwaki.spaces.super_network.space import ElasticSpace

# When something is there: if one of some conditions holds, always if there are none; None: never.
_Presence: TypeAlias = tuple[Condition, ...] | None
_ALWAYS: _Presence = ()


@dataclass(frozen=True)
class _Presences:
    """When blocks are there, and when what is added behind them, by stage and path."""

    paths: list[list[_Presence]]
    fused: list[list[_Presence]]


@dataclass(frozen=True)
class MultiResolutionSpace(ElasticSpace):
    """Parallel paths of residual blocks at falling resolutions, fused after every stage.

    Decisions: `decoder.<task>.width`; of a map, whether its decoder reads a path p beside the
    finest one, `decoder.<task>.from_path<p>`; for stage s from 0, path p and its block b,
    `stage<s>.path<p>.block<b>.hidden`, 0 where there is none; and behind the blocks of a stage, for
    a path p and its neighbour q, `stage<s>.path<p>.from_path<q>`: whether q is added to it.

    Decisions are made from the heads back, and what no head would read is not decided: a block is
    asked for only if some head is reached from it. So each part of a network has its decisions, of
    precision too, nothing else has any, and no two candidates have all their weights in common.

    Attributes:
        settings: The options.
        shape: Input shape and the tasks' outputs.

    Raises:
        SpaceError: On options that no network can have.

    References:
        arXiv 2111.10007 (FBNetV5): the topology of a super-network of parallel resolutions, a mask
        for each block. Sun, Xiao, Liu and Wang, CVPR 2019 (HRNet): paths that are fused, over and
        over. Ours decides about fusions as well, joins neighbours only, and has widths of blocks.
    """

    settings: MultiResolutionSettings
    shape: Shape

    def __post_init__(self) -> None:
        check_settings(self.settings, self.shape)

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(head.task for head in self.shape.heads)

    @property
    def _n_paths(self) -> int:
        return len(self.settings.channels)

    @cached_property
    def choices(self) -> ChoiceSpace:
        listed = []
        for head in self.shape.heads:
            widths = decoder_widths(self.settings, head.task)
            listed.append(Choice(f"decoder.{head.task}.width", widths))
            listed += [Choice(read_path(head, p), (False, True)) for p in self._optional(head)]
        for stage in reversed(range(self.settings.n_stages)):
            for path, there in enumerate(self._presence.fused[stage]):
                if there is not None:
                    listed += [
                        Choice(fusion_path(stage, path, other), (False, True), when_any=there)
                        for other in self._neighbours(path)
                    ]
            for path, there in enumerate(self._presence.paths[stage]):
                if there is not None:
                    listed += [
                        Choice(block_path(stage, path, block), self._hidden(path), when_any=there)
                        for block in range(self.settings.n_blocks)
                    ]
        return ChoiceSpace(tuple(listed))

    def _optional(self, head: Head) -> range:
        """Return the paths that a decoder may read, beside the one that it always does."""
        return range(1, self._n_paths if head.kind is HeadKind.MAP else 1)

    def _neighbours(self, path: int) -> list[int]:
        return [other for other in (path - 1, path + 1) if 0 <= other < self._n_paths]

    def _hidden(self, path: int) -> tuple[int, ...]:
        return (0, *self.settings.hidden_widths(path))

    @cached_property
    def _presence(self) -> _Presences:
        """When each part is there, followed back from the heads as `layout.served` does."""
        wanted = [self._read(path) for path in range(self._n_paths)]
        presences = _Presences([], [])
        for stage in reversed(range(self.settings.n_stages)):
            presences.fused.insert(0, wanted)
            there = [self._reaching(stage, path, wanted) for path in range(self._n_paths)]
            presences.paths.insert(0, there)
            wanted = [
                (self._is_asked(stage, path),) if conditions else conditions
                for path, conditions in enumerate(there)
            ]
        return presences

    def _read(self, path: int) -> _Presence:
        """Return when some decoder reads a path."""
        heads = self.shape.heads
        if path in {path_of(head, self._n_paths) for head in heads}:
            return _ALWAYS
        reading = [read_path(head, path) for head in heads if path in self._optional(head)]
        return tuple(Condition(decision, (True,)) for decision in reading) or None

    def _reaching(self, stage: int, path: int, wanted: Sequence[_Presence]) -> _Presence:
        """Return when a path reaches a head, given what is wanted behind the fusions."""
        if wanted[path] == _ALWAYS:
            return _ALWAYS
        added = tuple(
            Condition(fusion_path(stage, other, path), (True,))
            for other in self._neighbours(path)
            if wanted[other] is not None
        )
        return (wanted[path] or ()) + added or None

    def _is_asked(self, stage: int, path: int) -> Condition:
        """Return the condition that blocks of a path are decided about: then a head is reached."""
        return Condition(block_path(stage, path, 0), self._hidden(path))

    @cached_property
    def layer_conditions(self) -> Mapping[str, tuple[Condition, ...]]:
        return {layer.path: self._condition(layer.path) for layer in self.layer_table(self.largest)}

    def _condition(self, layer: str) -> tuple[Condition, ...]:
        part, *rest = layer.split(".")
        if part == "entries":
            return self._beyond(_number(rest[0]))
        if part == "decoders" and rest[1] == "reads":
            return (Condition(f"decoder.{rest[0]}.from_path{_number(rest[2])}", (True,)),)
        if part != "stages":
            return ()
        stage, kind, path = int(rest[0]), rest[1], _number(rest[2])
        if kind == "blocks":
            there = self.settings.hidden_widths(path)
            return (Condition(block_path(stage, path, int(rest[3])), there),)
        return (Condition(fusion_path(stage, path, _number(rest[3])), (True,)),)

    def _beyond(self, path: int) -> tuple[Condition, ...]:
        """Return when the first stage has this path, or a coarser one that comes from it."""
        there = self._presence.paths[0][path:]
        if _ALWAYS in there:
            return ()
        paths = range(path, self._n_paths)
        return tuple(
            self._is_asked(0, each)
            for each, conditions in zip(paths, there, strict=True)
            if conditions is not None
        )

    def uniform(self, ratio: float) -> Candidate:
        """Return the network of all blocks and fusions, widths the nearest to `ratio` of full."""

        def answer(path: str, options: Sequence[Value]) -> Value:
            if _is_switch(path):
                return True
            full = max(options, key=as_number)
            widths = [option for option in options if option]
            return min(widths, key=lambda o: abs(as_number(o) - ratio * as_number(full)))

        return self.decide(answer)

    @cached_property
    def seeds(self) -> Mapping[str, Candidate]:
        """The largest network, that of half its widths, the largest not fused, and the smallest."""

        def answer(path: str, options: Sequence[Value]) -> Value:
            return False if _is_fusion(path) else max(options, key=as_number)

        apart = self.decide(answer)
        found = {"largest": self.largest, "half": self.uniform(0.5), "apart": apart}
        return {**found, "smallest": self.smallest}

    def layout(self, candidate: Candidate) -> Layout:
        """Return what `candidate` decides, as numbers; what is not decided is not there."""
        decided = candidate.decisions
        n_stages, n_blocks = self.settings.n_stages, self.settings.n_blocks
        paths = range(self._n_paths)
        return Layout(
            shape=self.shape,
            channels=tuple(self.settings.channels),
            stages=tuple(
                Stage(
                    hidden=tuple(
                        tuple(
                            as_width(decided.get(block_path(stage, path, block), 0))
                            for block in range(n_blocks)
                        )
                        for path in paths
                    ),
                    fusions=tuple(
                        (other, path)
                        for path in paths
                        for other in self._neighbours(path)
                        if decided.get(fusion_path(stage, path, other))
                    ),
                )
                for stage in range(n_stages)
            ),
            decoders=tuple(
                Decoder(
                    as_width(decided[f"decoder.{head.task}.width"]),
                    tuple(p for p in self._optional(head) if decided[read_path(head, p)]),
                )
                for head in self.shape.heads
            ),
        )

    def layer_table(self, candidate: Candidate) -> tuple[Layer, ...]:
        """Return every convolution and linear layer of `candidate`, with exact counts."""
        return layers_of(self.layout(candidate))


def block_path(stage: int, path: int, block: int) -> str:
    """Return the decision about a block."""
    return f"stage{stage}.path{path}.block{block}.hidden"


def fusion_path(stage: int, to: int, source: int) -> str:
    """Return the decision whether a path is added to another."""
    return f"stage{stage}.path{to}.from_path{source}"


def read_path(head: Head, path: int) -> str:
    """Return the decision whether a decoder reads a path beside its own."""
    return f"decoder.{head.task}.from_path{path}"


def _is_switch(decision: str) -> bool:
    return ".from_path" in decision


def _is_fusion(decision: str) -> bool:
    return _is_switch(decision) and not decision.startswith("decoder.")


def _number(name: str) -> int:
    """Return the number of a path that a layer names, as in `from_path1`."""
    return int(name.rpartition("path")[2])

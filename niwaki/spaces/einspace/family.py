"""Families of networks: one grammar on one input, for given tasks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.core.registry import nearest
from niwaki.spaces.base import Space
from niwaki.spaces.choices import Choice, ChoiceSpace
from niwaki.spaces.einspace.attributes import is_image, shape_of, typed
from niwaki.spaces.einspace.blueprint import Answer, Blueprint, LayerRow, Line
from niwaki.spaces.einspace.heads import HeadStyle, write_head
from niwaki.spaces.einspace.layout import Tape
from niwaki.spaces.einspace.planning import Planner
from niwaki.spaces.einspace.tasks import Ends
from niwaki.spaces.grammar.space import TREE, GrammarSpace
from niwaki.spaces.heads import Head
from niwaki.spaces.joint import DependentSpace, JointSpace
from niwaki.spaces.precision import ARCHITECTURE, FP32, INT8, QUANTIZATION

if TYPE_CHECKING:
    from torch import nn

_BYTES = 4  # of a number in fp32
_MOST_REMEMBERED = 64  # blueprints
_MOST_IDENTITIES = 50_000
_WIDTH = 32  # of the features of precisions
_COPIES = 4  # weights, their gradients, the optimizer's momentum, and one more on the way


@dataclass(frozen=True)
class NetworkFamily:
    """The networks of a grammar space, with a head for each task.

    Attributes:
        space: The trees.
        heads: The tasks' answers, in the order of the network's outputs.
        spellings: Trees that a search may start from, by name; those that do not fit the input or
            the budget are left out of `seeds`.
        style: Of the heads; see `write_head`.
        batch_size: Examples per step that memory is estimated for.
        most_bytes: Networks that would take more while they are trained are not built.
    """

    space: GrammarSpace
    heads: tuple[Head, ...]
    spellings: Mapping[str, str] = field(default_factory=dict)
    style: HeadStyle = "standardised"
    batch_size: int = 64
    most_bytes: int = 8 * 2**30

    def __getstate__(self) -> dict[str, object]:
        names = ("space", "heads", "spellings", "style", "batch_size", "most_bytes")
        return {name: getattr(self, name) for name in names}

    @cached_property
    def seeds(self) -> Mapping[str, Candidate]:
        """Architectures to start from, by name: those that fit."""
        return dict(self._fitting())

    def _fitting(self) -> Iterator[tuple[str, Candidate]]:
        for name, text in self.spellings.items():
            try:
                yield name, self.space.candidate(text)
            except SpaceError:
                continue

    def seed(self, name: str) -> Candidate:
        """Return the seed called `name`.

        Raises:
            SpaceError: If there is none, or it does not fit the input or the budget: with why.
        """
        if name not in self.spellings:
            known = list(self.spellings)
            raise SpaceError(f"there is no seed '{name}'{nearest(name, known)} Known: {known}")
        try:
            return self.space.candidate(self.spellings[name])
        except SpaceError as fault:
            raise SpaceError(f"the seed '{name}' does not fit here: {fault}") from fault

    def counts(self, candidate: Candidate) -> dict[str, float]:
        """Return what needs no network, heads included, for one example.

        Returns:
            `params` and `macs`, exact; `elements`: numbers in all outputs, which training keeps;
            `weight_bytes` and `peak_bytes`, in fp32: the most activations alive at once.
        """
        plan = self.blueprint(candidate)
        return {
            "params": float(plan.totals.parameters),
            "macs": float(plan.totals.macs),
            "elements": float(plan.totals.elements),
            "weight_bytes": float(_BYTES * plan.totals.parameters),
            "peak_bytes": float(_BYTES * plan.peak),
        }

    def layers(self, candidate: Candidate) -> tuple[LayerRow, ...]:
        """Return the layers that can run in int8, in order of execution.

        Those inside modules that a grammar file names are nobody's to list: they stay in fp32.
        """
        return self.blueprint(candidate).layers()

    def identity(self, candidate: Candidate) -> str:
        """Return a name that candidates share if their networks are built of the same modules.

        Trees in canonical form may differ and still compile to one network: `route(im2col(k=1, s=1,
        p=0), linear(d=16), col2im)` is the same as with `identity` in the last place where only a
        head follows.

        Raises:
            SpaceError: If the candidate is not valid.
        """
        if candidate not in self._identities:
            if len(self._identities) >= _MOST_IDENTITIES:
                self._identities.clear()
            self._identities[candidate] = self.blueprint(candidate).name
        return self._identities[candidate]

    @cached_property
    def _identities(self) -> dict[Candidate, str]:
        return {}

    def blueprint(self, candidate: Candidate) -> Blueprint:
        """Return the modules of a candidate's network, unbuilt.

        Raises:
            SpaceError: If the candidate is not valid.
        """
        if candidate not in self._blueprints:
            if len(self._blueprints) >= _MOST_REMEMBERED:
                self._blueprints.clear()
            self._blueprints[candidate] = self._plan(candidate)
        return self._blueprints[candidate]

    @cached_property
    def _planner(self) -> Planner:
        return Planner(self.space.engine.attributes)

    @cached_property
    def _blueprints(self) -> dict[Candidate, Blueprint]:
        return {}

    def _plan(self, candidate: Candidate) -> Blueprint:
        tree = self.space.tree(candidate)
        attributes = self.space.engine.attributes
        trunk, branches = self._planner.plan(tree)
        output = attributes.whole(tree).output
        ends = output.outputs if isinstance(output, Ends) else (output,) * len(self.heads)
        tapes = branches or tuple(Tape(trunk.layout) for _ in self.heads)
        if len(tapes) != len(self.heads):
            raise SpaceError(f"the tree has {len(tapes)} branches for {len(self.heads)} tasks")
        return Blueprint(
            trunk.line(),
            tuple(
                Answer(head.task, tape.line(), self._head(tape, end, head))
                for head, tape, end in zip(self.heads, tapes, ends, strict=True)
            ),
        )

    def _head(self, tape: Tape, end: object, head: Head) -> Line:
        given = shape_of(self.space.grammar.input)
        sides = given[1:] if is_image(given) else given[:1]
        return write_head((tape.layout, typed(end)), head, sides, style=self.style)

    def build(self, candidate: Candidate) -> "nn.Module":
        """Build a candidate's network, with fresh weights from torch's global generator.

        It maps (B, *input_shape) to a tuple, one tensor per head.

        Raises:
            SpaceError: If the candidate is not valid, or would take more than `most_bytes` while it
                is trained: before anything of it is built.
        """
        plan = self.blueprint(candidate)
        totals = plan.totals
        n_bytes = _BYTES * (totals.elements * self.batch_size + _COPIES * totals.parameters)
        if n_bytes > self.most_bytes:
            raise SpaceError(
                f"training this network on batches of {self.batch_size} would take about "
                f"{n_bytes / 2**30:.1f} GiB, above {self.most_bytes / 2**30:.1f} GiB: lower "
                "`batch_size` or `budget.elements`, or raise `most_bytes`"
            )
        from niwaki.spaces.einspace.build import build_network

        return build_network(plan)

    def with_precisions(self, precisions: tuple[str, ...] = (FP32, INT8)) -> JointSpace:
        """Return the joint space of trees and the precision of each of their layers."""
        layers = LayerPrecisions(self, precisions)
        return JointSpace({ARCHITECTURE: self.space, QUANTIZATION: layers})

    def spell(self, architecture: Candidate, precision: str) -> Candidate:
        """Return the joint candidate of an architecture with every layer in one precision."""
        layers = Candidate.of({row.path: precision for row in self.layers(architecture)})
        parts = (architecture.prefixed(ARCHITECTURE), layers.prefixed(QUANTIZATION))
        return Candidate.of([item for part in parts for item in part.items])


@dataclass(frozen=True)
class LayerPrecisions(DependentSpace):
    """One precision for each layer that a tree's network has.

    Attributes:
        family: Where the layers come from; the part called `architecture`.
        precisions: What each may run in.
    """

    family: NetworkFamily
    precisions: tuple[str, ...]

    @property
    def reads(self) -> Mapping[str, frozenset[str]]:
        return {ARCHITECTURE: frozenset((TREE,))}

    def given(self, earlier: Mapping[str, Candidate]) -> Space:
        rows = self.family.layers(earlier[ARCHITECTURE])
        return ChoiceSpace(tuple(Choice(row.path, self.precisions) for row in rows))

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        rows = [self._features(candidate) for candidate in candidates]
        return np.array(rows).reshape(len(rows), len(self.precisions) + _WIDTH)

    def _features(self, candidate: Candidate) -> NDArray[np.float64]:
        """Share of the layers in each precision; then, folded by path, who runs in the last one."""
        chosen = list(candidate.decisions.values())
        shares = [chosen.count(each) / max(1, len(chosen)) for each in self.precisions]
        folded = np.zeros(_WIDTH)
        for path, precision in candidate.items:
            bucket = int.from_bytes(blake2b(path.encode(), digest_size=4).digest(), "little")
            folded[bucket % _WIDTH] += float(precision == self.precisions[-1])
        return np.concatenate([shares, folded])

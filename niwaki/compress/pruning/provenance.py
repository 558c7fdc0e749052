"""The state of one trace: labels of every tensor met, and what was learnt about the atoms."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakTensorKeyDictionary

from niwaki.compress.pruning.atoms import Atoms, AxisKind
from niwaki.compress.pruning.call_sites import CallSite
from niwaki.compress.pruning.comparisons import Comparisons
from niwaki.compress.pruning.labels import FIXED, Label, label_of
from niwaki.compress.pruning.model_calls import mapped
from niwaki.compress.pruning.sizes import MeasuredInt, Tag

PLAIN = "\0plain"
"""In place of a name, for tensors that are attributes of modules but no parameters or buffers."""

# Beside functions that read no tensor at all.
_SIZED = frozenset(
    {"expand", "broadcast_to", "repeat", "tile", "repeat_interleave"}
    | {"new_empty", "new_full", "new_ones", "new_zeros"}
)


@dataclass(frozen=True, eq=False)
class Origin:
    """What is known of one tensor.

    Attributes:
        labels: Over disjoint dimensions.
        elastic: Dimensions along which the values are all the same, so that any size would do.
        node: Its number in the graph of values.
        described: What it is, for people.
    """

    labels: tuple[Label, ...] = ()
    elastic: frozenset[int] = frozenset()
    node: int = -1
    described: str = ""


@dataclass(frozen=True)
class Call:
    """One call of a torch function.

    Attributes:
        name: Canonical: `add` for `__iadd__`, `add_` and `__radd__`.
        args: As called.
        kwargs: As called.
        out: What it returned.
        site: Where.
        function: Which was called.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    out: Any
    site: CallSite
    function: Callable[..., Any]

    def arg(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument, however it was given."""
        if position < len(self.args):
            return self.args[position]
        return self.kwargs.get(name, default)

    @property
    def described(self) -> str:
        """What happens where, for people."""
        return f"'{self.name}' in {self.site.module or 'the model itself'}"


@dataclass(frozen=True)
class BoxEvent:
    """A dimension was split in several: what is removed must stay a box in the new shape.

    Attributes:
        site: Where.
        atoms: One axis per dimension that the label varies along.
        preferred: Axis that follows by itself, as -1 in `view` does; None if there is none.
        tags: For each axis, what its size was computed from, or None.
        measured: For each axis, the equal part of a size that was read from a tensor, or None.
        because: For people.
    """

    site: CallSite
    atoms: Tensor
    preferred: int | None
    tags: tuple[Tag | None, ...]
    measured: tuple[MeasuredInt | None, ...]
    because: str


@dataclass(frozen=True)
class Choice:
    """A place where channels can be removed in more than one way.

    Attributes:
        site: Where.
        atoms: Those that the decision is about.
        n_options: How many ways there are.
        first: Whether another way is tried here before other places, and given up before those.
    """

    site: CallSite
    atoms: Tensor
    n_options: int
    first: bool = False


class Role(StrEnum):
    """What a dimension of a parameter has to do with a channel."""

    WRITES = "writes"  # rows of a weight that computes it
    READS = "reads"  # columns of a weight that uses it
    SCALES = "scales"  # everything that is applied to it: biases, norms, gains


@dataclass(frozen=True)
class CostTerm:
    """Multiply-accumulates of one call: `coefficient` times the kept atoms of each factor.

    Attributes:
        module: Path of the module that calls.
        coefficient: See above.
        factors: See above.
        operands: Numbers of what was multiplied in the graph of values, before the call.
    """

    module: str
    coefficient: float
    factors: tuple[Tensor, ...]
    operands: tuple[int, ...] = ()


@dataclass(frozen=True)
class Statistics:
    """A normalisation over labelled positions, so that masking must leave the removed ones out.

    Attributes:
        owner: Name of its axis.
        site: Where; sites count normalisations only.
        n_groups: Of a group norm; 1 for others.
        shape: What its atoms have to be reshaped to, to broadcast with the input.
    """

    owner: str
    site: CallSite
    n_groups: int
    shape: tuple[int, ...]


@dataclass
class Provenance:
    """Everything that a trace finds out.

    Attributes:
        choices: Option taken at a site, where it is not the first.
        atoms: With bonds and pins.
        events: Splits to be resolved.
        alternatives: Where another option exists.
        comparisons: Of sizes, by the model's own code.
        costs: One term per contraction.
        statistics: Normalisations over labelled positions.
        edges: (source, destination) of the graph of values.
        sized: Numbers of values in that graph whose size code has chosen, perhaps by the batch.
        nodes: Number of each parameter and buffer in that graph, by name.
        inputs: Numbers of the model's inputs in that graph.
        shapes: Of each parameter, by name.
        kernels: Weights whose dimensions behind the second are positions.
        counted_by: The `num_features` of norms without parameters, by path of the norm.
        roles: What dimensions of weights are for, by name of the parameter and dimension.
    """

    choices: Mapping[CallSite, int]
    atoms: Atoms = field(default_factory=Atoms)
    events: list[BoxEvent] = field(default_factory=list)
    alternatives: list[Choice] = field(default_factory=list)
    comparisons: Comparisons = field(default_factory=Comparisons)
    costs: list[CostTerm] = field(default_factory=list)
    statistics: list[Statistics] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)
    sized: set[int] = field(default_factory=set)
    nodes: dict[str, int] = field(default_factory=dict)
    inputs: list[int] = field(default_factory=list)
    roles: dict[tuple[str, int], Role] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    kernels: set[str] = field(default_factory=set)
    counted_by: dict[str, Tag] = field(default_factory=dict)
    _origins: WeakTensorKeyDictionary = field(default_factory=WeakTensorKeyDictionary)
    _names: WeakTensorKeyDictionary = field(default_factory=WeakTensorKeyDictionary)
    n_nodes: int = 0
    _seen_until: int = 0

    def name_tensors(self, module: nn.Module) -> None:
        """Take note of the parameters and buffers; a tied one keeps its first name.

        And of norms that have none: torch warns if they are as wide as before.
        """
        named = [*module.named_parameters(), *module.named_buffers()]
        for name, tensor in named:
            self._names[tensor] = name
            self.nodes[name] = self.new_node()
        for path, child in module.named_modules():
            if isinstance(child, _InstanceNorm) and child.weight is child.running_mean is None:
                self.counted_by[path] = Tag(f"{path}:num_features", child.num_features)
            for tensor in tensors_in(list(vars(child).values())):
                if tensor not in self._names:
                    self._names[tensor] = PLAIN
        self.shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}

    def new_node(self) -> int:
        """Return the number of a new value."""
        self.n_nodes += 1
        return self.n_nodes - 1

    def origin(self, tensor: Tensor) -> Origin:
        """Return what is known of a tensor."""
        if tensor not in self._origins:
            self._origins[tensor] = self._first_seen(tensor)
        known: Origin = self._origins[tensor]
        return known

    def _first_seen(self, tensor: Tensor) -> Origin:
        if tensor not in self._names:
            return Origin(node=self._after_all(), described="a tensor made outside of the trace")
        name = self._names[tensor]
        if name == PLAIN:
            return Origin(node=self.new_node(), described="a tensor that is no parameter or buffer")
        labels = tuple(
            Label((dim,), self.atoms.axis(AxisKind.TENSOR, name, size, dim=dim))
            for dim, size in enumerate(tensor.shape)
            if size > 1
        )
        return Origin(labels, node=self.nodes[name], described=name)

    def _after_all(self) -> int:
        """Return the node of a value that may depend on everything so far, unseen."""
        node = self.new_node()
        self.edges.extend((earlier, node) for earlier in range(self._seen_until, node))
        self._seen_until = node
        return node

    def unused(self) -> list[str]:
        """Return the names of the parameters that no operation has met."""
        used = {self._names[t] for t in self._origins if t in self._names}
        return [name for name in self.shapes if name not in used]

    def labels(self, tensor: Tensor) -> tuple[Label, ...]:
        """Return the labels of a tensor."""
        return self.origin(tensor).labels

    def describe_input(self, tensor: Tensor, described: str) -> None:
        """Take note of an input of the model: all its dimensions are fixed."""
        self.inputs.append(self.new_node())
        self._origins[tensor] = Origin(node=self.inputs[-1], described=described)

    def record(
        self,
        call: Call,
        out: Tensor,
        labels: Iterable[Label] = (),
        *,
        elastic: Iterable[int] = (),
    ) -> None:
        """Take note of a result. Labels that no longer vary are pinned.

        Where several labels meet in one dimension only the longest is kept, and the others are
        pinned: one element would need two atoms.
        """
        kept: dict[int, Label] = {}
        for label in sorted(labels, key=lambda label: -label.atoms.numel()):
            if label.dims and not any(d in kept for d in label.dims):
                kept.update(dict.fromkeys(label.dims, label))
            else:
                self.atoms.pin(label.atoms, f"{call.described} picks a single channel or mixes two")
        inputs = [self.origin(t) for t in tensors_in((call.args, call.kwargs))]
        node = self.new_node()
        self.edges.extend((origin.node, node) for origin in inputs)
        if not inputs or call.name in _SIZED:
            self.sized.add(node)
        described = f"the result of {call.described}"
        if not kept and len({origin.described for origin in inputs}) == 1:
            described = inputs[0].described
        self._origins[out] = Origin(
            tuple({id(label): label for label in kept.values()}.values()),
            frozenset(elastic),
            node,
            described,
        )

    def record_fixed(self, call: Call, reason: str) -> None:
        """Pin the labels of all arguments, and give the results none; its cost is fixed, too."""
        self.pin_arguments(call, reason)
        for out in tensors_in(call.out):
            self.record(call, out)
        self.count(call.site.module, call.function, call.args, call.kwargs)

    def count(
        self,
        module: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        """Take note of what a function costs that is not followed; it is called once more."""
        if macs := _counted_macs(function, args, kwargs):
            self.costs.append(CostTerm(module, macs, ()))

    def pin_arguments(self, call: Call, reason: str) -> None:
        """Pin the labels of all arguments."""
        for tensor in tensors_in((call.args, call.kwargs)):
            for label in self.labels(tensor):
                self.atoms.pin(label.atoms, reason)

    def close(self, tensor: Tensor, reason: str) -> None:
        """Pin the labels of a tensor and forget them: what becomes of it is not followed."""
        known = self.origin(tensor)
        for label in known.labels:
            self.atoms.pin(label.atoms, reason)
        self._origins[tensor] = replace(known, labels=(), elastic=frozenset())

    def hold(self, label: Label, dims: Iterable[int], because: str) -> Label | None:
        """Make a label the same along some dimensions, so that those keep their size.

        Returns:
            The label along its other dimensions; None, with its atoms pinned, if none is left.
        """
        fixed = [d for d in label.dims if d in set(dims)]
        if not fixed:
            return label
        if len(fixed) == len(label.dims):
            self.atoms.pin(label.atoms, because)
            return None
        atoms = label.atoms
        for dim in fixed:
            axis = label.dims.index(dim)
            self.atoms.unite(atoms, atoms.narrow(axis, 0, 1), because)
            atoms = atoms.narrow(axis, 0, 1)
        rest = tuple(d for d in label.dims if d not in fixed)
        return Label(rest, atoms.reshape([label.atoms.shape[label.dims.index(d)] for d in rest]))

    def hold_all(
        self, labels: Iterable[Label], dims: Iterable[int], because: str
    ) -> tuple[Label, ...]:
        """Hold each of several labels, and return those that are left."""
        wanted = tuple(dims)
        held = (self.hold(label, wanted, because) for label in labels)
        return tuple(label for label in held if label is not None)

    def measured(self, tensor: Tensor, dim: int) -> int:
        """Return a size that remembers its channels, if it has a label of its own."""
        for label in self.labels(tensor):
            if label.dims == (dim % tensor.ndim,):
                return MeasuredInt(tensor.shape[dim], label.atoms, self.comparisons)
        return tensor.shape[dim]

    def along(self, tensor: Tensor, dim: int, because: str) -> Tensor:
        """Return the (size,) atoms along one dimension of a tensor, FIXED where there is none.

        A label along other dimensions too is held along those.
        """
        dim %= tensor.ndim
        for label in self.labels(tensor):
            if dim in label.dims:
                held = self.hold(label, set(label.dims) - {dim}, because)
                assert held is not None
                return held.atoms
        return torch.full((tensor.shape[dim],), FIXED)

    def note_role(self, described: str, dim: int, role: Role) -> None:
        """Note what a dimension of a parameter is for; a first role stays."""
        if described in self.nodes:
            self.roles.setdefault((described, dim), role)

    def note_statistics(
        self, call: Call, atoms: Tensor, n_groups: int, sides: tuple[int, ...]
    ) -> None:
        """Note that a call takes a statistic over some channels, which masks leave out of it.

        Args:
            call: Such as a norm, a mean or a maximum.
            atoms: (n,) of the channels.
            n_groups: Of a group norm; 1 for others.
            sides: What they are reshaped to, to broadcast with the input.
        """
        owner = f"{call.site.module}#{call.site.invocation}.{call.site.ordinal}"
        axis = self.atoms.axis(AxisKind.STATISTICS, owner, len(atoms))
        self.atoms.unite(axis, atoms, f"{call.described} averages over them")
        self.statistics.append(Statistics(owner, call.site, n_groups, sides))

    def follow(self, tag: Tag | None, atoms: Tensor, because: str) -> None:
        """Bind an attribute of a module to the (n,) indices that it, or a part of it, counts."""
        if tag is not None:
            self.atoms.unite(self.counted(tag, because), atoms, because)

    def follow_part(self, size: MeasuredInt, atoms: Tensor, because: str) -> None:
        """Bind each equal part of what a size was read from to the (n,) indices that it counts."""
        if len(size.atoms) == size.n_parts * len(atoms):
            self.atoms.unite(size.atoms.reshape(size.n_parts, -1), atoms, because)

    def counted(self, tag: Tag, because: str) -> Tensor:
        """Return the atoms of an attribute, or those of its first part.

        The same goes from each part, so that the attribute can be divided as before.
        """
        parts = self.atoms.axis(AxisKind.ATTRIBUTE, tag.name, tag.size).reshape(tag.n_parts, -1)
        if tag.n_parts > 1:
            self.atoms.unite(parts, parts[:1], because)
        return parts[0]

    def option(self, site: CallSite, atoms: Tensor, n_options: int, *, first: bool = False) -> int:
        """Return which of several ways to take at a site, and note that there are others."""
        self.alternatives.append(Choice(site, atoms, n_options, first))
        return self.choices.get(site, 0) % n_options


def is_same_set(some: Tensor, others: Tensor) -> bool:
    """Whether the same atoms are in both, which have each but once."""
    return torch.equal(some.reshape(-1).sort().values, others.reshape(-1).sort().values)


def relabelled(state: Provenance, call: Call, ids: Sequence[Tensor]) -> list[Label]:
    """Return labels for atoms of every element; those that vary nowhere are pinned."""
    labels = [label_of(each) for each in ids]
    for label in labels:
        if not label.dims:
            state.atoms.pin(label.atoms, f"{call.described} picks a single channel")
    return [label for label in labels if label.dims]


def _counted_macs(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> float:
    """Return the multiply-accumulates of a call, which torch counts while it is made again."""
    args, kwargs = mapped((args, dict(kwargs)), torch.clone)
    # torch counts attention where it is made of products, as its kernel for processors is not.
    counter = FlopCounterMode(display=False)
    with torch.random.fork_rng(devices=[]), sdpa_kernel(SDPBackend.MATH), counter:
        function(*args, **kwargs)
    return counter.get_total_flops() / 2


def tensors_in(values: Any) -> list[Tensor]:
    """Return the tensors among arguments or results, in order."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, Mapping):
        return [tensor for value in values.values() for tensor in tensors_in(value)]
    if isinstance(values, tuple | list):
        return [tensor for value in values for tensor in tensors_in(value)]
    return []

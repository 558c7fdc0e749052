"""From a solved trace to channel groups with names, reasons, reach and costs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.compress.pruning.atoms import Axis, AxisKind, Ids
from niwaki.compress.pruning.costs import CostModel, Products
from niwaki.compress.pruning.groups import ChannelGroup, ChannelGroups, Member, Refusal
from niwaki.compress.pruning.provenance import CostTerm, Provenance, Role
from niwaki.compress.pruning.ruled_out import with_ruled_out
from niwaki.compress.pruning.solution import Family, Solution, families
from niwaki.compress.pruning.tracer import Trace

_ROLE_ORDER = {Role.WRITES: 0, Role.SCALES: 1, Role.READS: 2}
Signature = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Assembled:
    """Groups, and what is needed to question them.

    Attributes:
        groups: As they are handed out, once verified.
        roots: (n_units,) class of each unit, by name of the group.
    """

    groups: ChannelGroups
    roots: Mapping[str, Ids]


def assemble(traced: Trace, solution: Solution, *, refused: Mapping[Signature, str]) -> Assembled:
    """Collect classes with the same members into groups.

    Args:
        traced: The pass.
        solution: Its classes.
        refused: Groups to leave alone, by signature, with the reason.
    """
    axes = traced.state.atoms.axes
    found = families(traced.state.atoms, solution)
    reach = _reach(traced)
    reasons = _reasons(traced, solution, [int(family.roots[0]) for family in found])
    groups, roots, left = [], {}, []
    names: set[str] = set()
    for family in found:
        if not any(axes[number].kind is AxisKind.TENSOR for number, _ in family.signature):
            continue
        n_units = len(family.roots)
        if n_units < 2 or family.signature in refused:
            why = refused.get(family.signature, "it is a single unit, and one has to stay")
            left += _refusals(axes, family.signature, n_units, why)
            continue
        members = _members(traced, family)
        group = ChannelGroup(
            _unique(_name(members), names),
            n_units,
            members,
            tuple(sorted({o for m in members for o in reach.get(m.owner, ())})),
            reasons[int(family.roots[0])],
        )
        groups.append(group)
        roots[group.name] = family.roots
    groups = with_ruled_out(traced.state, solution.root, groups, roots)
    left = _pinned(traced, solution) + left + _never_run(traced)
    statistics = {s.owner: s for s in traced.state.statistics}
    costs = cost_model(traced, solution, groups, roots)
    outputs = tuple(traced.outputs)
    return Assembled(ChannelGroups(tuple(groups), tuple(left), outputs, costs, statistics), roots)


def signature_of(group: ChannelGroup, axes: Iterable[Axis]) -> Signature:
    """Return what a group is known by from one trace to the next."""
    numbers = {(axis.kind, axis.owner, axis.dim): i for i, axis in enumerate(axes)}
    return tuple((numbers[m.kind, m.owner, m.dim], m.width) for m in _by_number(group, numbers))


def _by_number(
    group: ChannelGroup, numbers: Mapping[tuple[AxisKind, str, int], int]
) -> list[Member]:
    return sorted(group.members, key=lambda m: numbers[m.kind, m.owner, m.dim])


def _members(traced: Trace, family: Family) -> tuple[Member, ...]:
    members = []
    for (number, _), indices in zip(family.signature, family.indices, strict=True):
        axis = traced.state.atoms.axes[number]
        role = traced.state.roles.get((axis.owner, axis.dim), Role.SCALES)
        members.append(Member(axis.kind, axis.owner, axis.dim, axis.size, indices, role))
    return tuple(
        sorted(members, key=lambda m: (m.kind is not AxisKind.TENSOR, _ROLE_ORDER[m.role]))
    )


def _name(members: tuple[Member, ...]) -> str:
    first = next(m for m in members if m.kind is AxisKind.TENSOR)
    return first.owner.removesuffix(".weight")


def _unique(name: str, known: set[str]) -> str:
    found, n = name, 1
    while found in known:
        n += 1
        found = f"{name}#{n}"
    known.add(found)
    return found


def _reach(traced: Trace) -> dict[str, set[str]]:
    """Return the outputs that each parameter and buffer can change, by its name."""
    before: dict[int, list[int]] = defaultdict(list)
    for source, destination in traced.state.edges:
        before[destination].append(source)
    names = {node: name for name, node in traced.state.nodes.items()}
    reach: dict[str, set[str]] = defaultdict(set)
    for output, nodes in traced.outputs.items():
        seen, open_nodes = set(nodes), list(nodes)
        while open_nodes:
            for source in before[open_nodes.pop()]:
                if source not in seen:
                    seen.add(source)
                    open_nodes.append(source)
        for each in seen & names.keys():
            reach[names[each]].add(output)
    return reach


def _reasons(traced: Trace, solution: Solution, roots: list[int]) -> dict[int, tuple[str, ...]]:
    """Return what binds some classes, in the order of execution."""
    bonds = traced.state.atoms.bonds
    bound = solution.root[np.concatenate([bond.left for bond in bonds] or [np.zeros(0, np.int64)])]
    number = np.repeat(np.arange(len(bonds)), [len(bond.left) for bond in bonds])
    mine = np.isin(bound, roots)
    pairs = np.unique(np.stack([number[mine], bound[mine]]), axis=1)
    reasons: dict[int, dict[str, None]] = {root: {} for root in roots}
    for bond, root in pairs.T.tolist():
        reasons[root][bonds[bond].because] = None
    return {root: tuple(found) for root, found in reasons.items()}


def _refusals(axes: list[Axis], signature: Signature, n_units: int, why: str) -> list[Refusal]:
    return [
        Refusal(f"{axes[number].owner}[{axes[number].dim}]", width * n_units, why)
        for number, width in signature
        if axes[number].kind is AxisKind.TENSOR
    ]


def _pinned(traced: Trace, solution: Solution) -> list[Refusal]:
    """Return every dimension of a parameter that stays in part or as a whole, with a reason."""
    reasons: dict[int, str] = {}
    for pin in traced.state.atoms.pins:
        for root in np.unique(solution.root[pin.atoms]):
            reasons.setdefault(int(root), pin.reason)
    found = []
    for axis in traced.state.atoms.axes:
        span = slice(axis.start, axis.start + axis.size)
        pinned = solution.pinned[span]
        is_kernel = axis.dim > 1 and axis.owner in traced.state.kernels
        if axis.kind is AxisKind.TENSOR and pinned.any() and not is_kernel:
            roots = np.unique(solution.root[span][pinned])
            why = next((reasons[int(r)] for r in roots if int(r) in reasons), "it is bound to such")
            found.append(Refusal(f"{axis.owner}[{axis.dim}]", int(pinned.sum()), why))
    return found


def _never_run(traced: Trace) -> list[Refusal]:
    shapes = traced.state.shapes
    return [Refusal(name, max(shapes[name], default=1), w) for name, w in traced.unused.items()]


def cost_model(
    traced: Trace,
    solution: Solution,
    groups: list[ChannelGroup],
    roots: Mapping[str, Ids],
) -> CostModel:
    """Return costs of one example as products of widths, each a sum over groups."""
    group_of = np.full(len(solution.root), -1, np.int64)
    for number, group in enumerate(groups):
        group_of[roots[group.name]] = number
    widths = _Widths(group_of[solution.root], np.array([g.n_units for g in groups], np.int64))
    state = traced.state
    terms = _per_example(state)
    macs = [
        (
            term.module,
            term.coefficient / traced.n_examples,
            [widths.row(f.numpy()) for f in term.factors],
        )
        for term in terms
    ]
    axes: dict[str, list[Axis]] = defaultdict(list)
    for axis in state.atoms.axes:
        if axis.kind is AxisKind.TENSOR:
            axes[axis.owner].append(axis)
    params = []
    for name, shape in state.shapes.items():
        known = axes[name]
        rest = float(np.prod(shape)) / float(np.prod([axis.size for axis in known] or [1]))
        rows = [widths.row(np.arange(a.start, a.start + a.size)) for a in known]
        params.append((name, rest, rows))
    return CostModel(
        tuple(group.name for group in groups),
        widths.n_units,
        np.array(widths.fixed),
        np.stack(widths.per_unit) if widths.per_unit else np.zeros((0, len(groups))),
        Products.of(macs),
        Products.of(params),
        _weights(state, terms),
    )


def _per_example(state: Provenance) -> list[CostTerm]:
    """Return the costs of each example: what is made of weights alone is a constant of the file."""
    constant = [True] * state.n_nodes
    for node in (*state.inputs, *state.sized):
        constant[node] = False
    for source, destination in state.edges:  # in the order of execution
        constant[destination] &= constant[source]
    made_once = [bool(t.operands) and all(constant[o] for o in t.operands) for t in state.costs]
    return [term for term, once in zip(state.costs, made_once, strict=True) if not once]


def _weights(
    state: Provenance, terms: Sequence[CostTerm]
) -> tuple[tuple[frozenset[str], ...], ...]:
    """Return the parameters that operands of each costly call were made of without any input."""
    made_of: list[frozenset[str] | None] = [frozenset()] * state.n_nodes
    for name in state.shapes:
        made_of[state.nodes[name]] = frozenset({name})
    for node in state.inputs:
        made_of[node] = None
    for source, destination in state.edges:  # in the order of execution
        before, after = made_of[source], made_of[destination]
        made_of[destination] = None if before is None or after is None else before | after
    found = [[made_of[node] for node in term.operands] for term in terms]
    return tuple(tuple(each for each in operands if each) for operands in found)


class _Widths:
    """The distinct widths of a model, as rows of a matrix."""

    def __init__(self, group_of: Ids, n_units: NDArray[np.int64]) -> None:
        self._group_of, self.n_units = group_of, n_units
        self.fixed: list[float] = [1.0]
        self.per_unit: list[NDArray[np.float64]] = [np.zeros(len(n_units))]
        self._known: dict[bytes, int] = {}

    def row(self, atoms: Ids) -> int:
        groups = self._group_of[atoms]
        counts = np.bincount(groups[groups >= 0], minlength=len(self.n_units)).astype(np.float64)
        fixed = float((groups < 0).sum())
        per_unit = counts / np.maximum(self.n_units, 1)
        key = np.append(per_unit, fixed).tobytes()
        if key not in self._known:
            self._known[key] = len(self.fixed)
            self.fixed.append(fixed)
            self.per_unit.append(per_unit)
        return self._known[key]

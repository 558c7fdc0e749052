"""What operands that meet in one operation ask of each other's labels.

Every operation that multiplies, adds or compares elements is written with letters, as in an
einsum: element-wise addition of (B, C, H, W) and (C, 1, 1) is `bchw,c->bchw`, a linear layer is
`bi,oi->bo`. Then one set of rules serves all of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from torch import Tensor

from niwaki.compress.pruning.labels import Label
from niwaki.compress.pruning.provenance import Call, CostTerm, Origin, Provenance


@dataclass(frozen=True, eq=False)
class Operand:
    """One operand.

    Attributes:
        letters: One per dimension.
        shape: Sizes; a size of 1 is broadcast.
        origin: What is known of the tensor.
    """

    letters: tuple[int, ...]
    shape: tuple[int, ...]
    origin: Origin

    @property
    def present(self) -> set[int]:
        """Letters along which this operand has a size of its own."""
        return {
            letter
            for d, (letter, size) in enumerate(zip(self.letters, self.shape, strict=True))
            if size > 1 and d not in self.origin.elastic
        }


@dataclass(frozen=True, eq=False)
class _Piece:
    """A label of one operand: `label.dims` are letters, in the order of the axes of its atoms."""

    operand: int
    label: Label


@dataclass(frozen=True, eq=False)
class Contraction:
    """What comes out.

    Attributes:
        kept: Labels whose dims are letters of the result.
        summed: Labels over letters that are summed over.
    """

    kept: tuple[Label, ...]
    summed: tuple[Label, ...]


def operand(state: Provenance, tensor: Tensor, letters: Sequence[int]) -> Operand:
    """Return a tensor as an operand."""
    return Operand(tuple(letters), tuple(tensor.shape), state.origin(tensor))


def contract(
    state: Provenance, call: Call, operands: Sequence[Operand], result: Iterable[int]
) -> Contraction:
    """Bind the labels of operands that meet.

    1. A label that varies along a summed letter and another one (the channels of attention heads,
       summed within each head) is held: either whole heads go, or the same channel of every head.
    2. Where a label meets an operand of fixed size, it is held along that letter.
    3. Labels that share letters are united. Where some vary along a part of the letters of another
       (a gain for each channel of a head, the same for all heads), these may stay instead, so that
       the other goes along the rest of its letters.

    Args:
        state: To be updated.
        call: For its site and its description.
        operands: With letters; equal letters are aligned.
        result: Letters of the result; others are summed over.
    """
    kept_letters = set(result)
    pieces = _lettered(state, operands)
    pieces = _split_at_sums(state, call, pieces, kept_letters)
    pieces = _hold_at_fixed(state, call, pieces, operands)
    clusters = [_without_nested(state, call, cluster) for cluster in _clusters(pieces)]
    labels = [_merge(state, call, cluster) for cluster in clusters]
    found = [label for label in labels if label is not None]
    return Contraction(
        tuple(label for label in found if set(label.dims) <= kept_letters),
        tuple(label for label in found if not set(label.dims) <= kept_letters),
    )


def cost_of(
    call: Call, operands: Sequence[Operand], outcome: Contraction, *, times: float = 1.0
) -> CostTerm:
    """Return the multiply-accumulates of a contraction: the product of the sizes of its letters.

    What is summed over comes first, so that the last factor is of the result.
    """
    sizes: dict[int, int] = {}
    for each in operands:
        for letter, size in zip(each.letters, each.shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    labels = (*outcome.summed, *outcome.kept)
    labelled = {letter for label in labels for letter in label.dims}
    coefficient = times
    for letter, size in sizes.items():
        coefficient *= 1 if letter in labelled else size
    factors = tuple(label.atoms.reshape(-1) for label in labels)
    return CostTerm(call.site.module, coefficient, factors)


def _lettered(state: Provenance, operands: Sequence[Operand]) -> list[_Piece]:
    pieces = []
    for number, each in enumerate(operands):
        for label in each.origin.labels:
            letters = tuple(each.letters[d] for d in label.dims)
            if len(set(letters)) < len(letters):  # a diagonal
                state.atoms.pin(label.atoms, "a diagonal is taken")
                continue
            pieces.append(_Piece(number, Label(letters, label.atoms)))
    return pieces


def _split_at_sums(
    state: Provenance, call: Call, pieces: list[_Piece], kept: set[int]
) -> list[_Piece]:
    mixed = [p for p in pieces if set(p.label.dims) & kept and set(p.label.dims) - kept]
    if not mixed:
        return pieces
    option = state.option(call.site, mixed[0].label.atoms, 2)
    why = f"{call.described} sums over a part of the channels"
    found = [piece for piece in pieces if piece not in mixed]
    for piece in mixed:
        inside = set(piece.label.dims) & kept
        held = state.hold(piece.label, inside if option else set(piece.label.dims) - inside, why)
        if held is not None:
            found.append(replace(piece, label=held))
    return found


def _hold_at_fixed(
    state: Provenance, call: Call, pieces: list[_Piece], operands: Sequence[Operand]
) -> list[_Piece]:
    while True:
        covered: list[set[int]] = [set() for _ in operands]
        for piece in pieces:
            covered[piece.operand] |= set(piece.label.dims)
        fixed: dict[int, str] = {}
        for each, labelled in zip(operands, covered, strict=True):
            fixed.update(dict.fromkeys(each.present - labelled, each.origin.described))
        touched = [p for p in pieces if set(p.label.dims) & set(fixed)]
        if not touched:
            return pieces
        piece = touched[0]
        partner = next(fixed[letter] for letter in piece.label.dims if letter in fixed)
        why = f"{call.described} meets {partner}, whose size is fixed"
        held = state.hold(piece.label, fixed, why)
        pieces = [p for p in pieces if p is not piece]
        if held is not None:
            pieces.append(replace(piece, label=held))


def _clusters(pieces: list[_Piece]) -> list[list[Label]]:
    """Return the labels in sets that share letters."""
    clusters: list[tuple[set[int], list[Label]]] = []
    for piece in pieces:
        letters, labels = set(piece.label.dims), [piece.label]
        apart = []
        for known, members in clusters:
            if known & letters:
                letters |= known
                labels = [*members, *labels]
            else:
                apart.append((known, members))
        clusters = [*apart, (letters, labels)]
    return [labels for _, labels in clusters]


def _without_nested(state: Provenance, call: Call, labels: list[Label]) -> list[Label]:
    """Return labels that share letters, or the widest alone, held along those of the others."""
    letters = {letter for label in labels for letter in label.dims}
    nested = [label for label in labels if set(label.dims) < letters]
    inner = {letter for label in nested for letter in label.dims}
    if not nested or len(nested) == len(labels) or inner == letters:
        return labels
    widest = [label for label in labels if set(label.dims) == letters]
    if not state.option(call.site, widest[0].atoms, 2):
        return labels
    why = f"{call.described} meets them in every part, and whole parts go"
    for label in nested:
        state.atoms.pin(label.atoms, why)
    return list(state.hold_all(widest, inner, why))


def _merge(state: Provenance, call: Call, labels: list[Label]) -> Label | None:
    """Unite labels that share letters; return one that stands for all, over what all share."""
    order = sorted({letter for label in labels for letter in label.dims})
    common = set(labels[0].dims).intersection(*(label.dims for label in labels[1:]))
    if len(labels) == 1:
        return labels[0]
    views = [_on_letters(label, order) for label in labels]
    because = f"{call.described} takes them together"
    for first, second in pairwise(views):
        state.atoms.unite(first, second, because)
    if not common:
        state.atoms.pin(labels[0].atoms, because)
        return None
    best = min(range(len(labels)), key=lambda i: len(labels[i].dims))
    atoms = views[best]
    for axis, letter in enumerate(order):
        if letter not in common:
            atoms = atoms.narrow(axis, 0, 1)
    sides = [atoms.shape[axis] for axis, letter in enumerate(order) if letter in common]
    return Label(tuple(letter for letter in order if letter in common), atoms.reshape(sides))


def _on_letters(label: Label, order: list[int]) -> Tensor:
    """Return the atoms with one axis per letter, of size 1 where the label does not vary."""
    axes = sorted(range(len(label.dims)), key=lambda axis: order.index(label.dims[axis]))
    atoms = label.atoms.permute(axes)
    sides = iter(atoms.shape)
    return atoms.reshape([next(sides) if letter in label.dims else 1 for letter in order])

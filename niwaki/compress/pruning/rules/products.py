"""Matrix products: `linear`, `bilinear`, `matmul`, `einsum`, attention, embeddings."""

from collections.abc import Sequence

from torch import Tensor

from niwaki.compress.pruning.atoms import AxisKind
from niwaki.compress.pruning.contraction import Contraction, Operand, contract, cost_of, operand
from niwaki.compress.pruning.labels import Label
from niwaki.compress.pruning.provenance import Call, Origin, Provenance, Role, tensors_in


def product(
    state: Provenance, call: Call, operands: Sequence[Operand], result: Sequence[int]
) -> None:
    """Label the result of a contraction whose letters in order are `result`, and note its cost."""
    outcome = contract(state, call, operands, result)
    state.costs.append(cost_of(call, operands, outcome))
    order = {letter: d for d, letter in enumerate(result)}
    labels = [_placed(label, order) for label in outcome.kept]
    for each in operands:
        if len(each.letters) > 1:
            for dim, letter in enumerate(each.letters):
                role = Role.WRITES if letter in order else Role.READS
                state.note_role(each.origin.described, dim, role)
    state.record(call, call.out, labels)


def _placed(label: Label, order: dict[int, int]) -> Label:
    dims = [order[letter] for letter in label.dims]
    axes = sorted(range(len(dims)), key=dims.__getitem__)
    return Label(tuple(sorted(dims)), label.atoms.permute(axes))


def linear(state: Provenance, call: Call) -> None:
    """`linear`: input channels with the columns of the weight, output channels with its rows."""
    x, weight, bias = call.arg(0, "input"), call.arg(1, "weight"), call.arg(2, "bias")
    inside, outside = x.ndim, x.ndim + 1
    operands = [
        operand(state, x, [*range(x.ndim - 1), inside]),
        operand(state, weight, [outside, inside][-weight.ndim :] if weight.ndim == 2 else [inside]),
    ]
    if bias is not None and weight.ndim == 2:
        operands.append(operand(state, bias, [outside]))
    result = [*range(x.ndim - 1), outside] if weight.ndim == 2 else [*range(x.ndim - 1)]
    product(state, call, operands, result)


def bilinear(state: Provenance, call: Call) -> None:
    """`bilinear`: a product of two inputs with each matrix of the weight."""
    names = ("input1", "input2", "weight", "bias")
    first, second, weight, bias = (call.arg(i, name) for i, name in enumerate(names))
    batch = list(range(first.ndim - 1))
    row, column, outside = range(first.ndim - 1, first.ndim + 2)
    operands = [
        operand(state, first, [*batch, row]),
        operand(state, second, [*batch, column]),
        operand(state, weight, [outside, row, column]),
    ]
    if bias is not None:
        operands.append(operand(state, bias, [outside]))
    product(state, call, operands, [*batch, outside])


def matmul(state: Provenance, call: Call) -> None:
    """`matmul`, `mm`, `bmm`, `@`, broadcast over leading dimensions."""
    left, right = call.args[0], call.arg(1, "other", call.kwargs.get("mat2"))
    if call.name == "rmatmul":
        left, right = right, left
    first, second, result = _matmul_letters(left.ndim, right.ndim)
    product(state, call, [operand(state, left, first), operand(state, right, second)], result)


def _matmul_letters(n_left: int, n_right: int) -> tuple[list[int], list[int], list[int]]:
    n_batch = max(n_left, n_right, 2) - 2
    inside, row, column = n_batch, n_batch + 1, n_batch + 2
    batch = list(range(n_batch))
    left = [*batch[n_batch - (n_left - 2) :], row, inside] if n_left > 1 else [inside]
    right = [*batch[n_batch - (n_right - 2) :], inside, column] if n_right > 1 else [inside]
    result = [*batch, *([row] if n_left > 1 else []), *([column] if n_right > 1 else [])]
    return left, right, result


def added_product(state: Provenance, call: Call) -> None:
    """`addmm`, `baddbmm`: a product, and something added to it."""
    added, left, right = call.args[:3]
    first, second, result = _matmul_letters(left.ndim, right.ndim)
    operands = [
        operand(state, added, result[len(result) - added.ndim :]),
        operand(state, left, first),
        operand(state, right, second),
    ]
    product(state, call, operands, result)


def einsum(state: Provenance, call: Call) -> None:
    """`einsum` in the form of an equation."""
    tensors = tensors_in(call.args[1:])
    equation = call.args[0] if isinstance(call.args[0], str) else ""
    if not equation or "." in equation:
        state.record_fixed(call, f"{call.described} is not written with letters alone")
        return
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    if not arrow:
        letters = inputs.replace(",", "")
        output = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    operands = [
        operand(state, tensor, [ord(c) for c in letters])
        for tensor, letters in zip(tensors, inputs.split(","), strict=True)
    ]
    product(state, call, operands, [ord(c) for c in output])


def attention(state: Provenance, call: Call) -> None:
    """`scaled_dot_product_attention`: scores over the channels of a head, then over positions."""
    query, key, value = (call.arg(i, n) for i, n in enumerate(("query", "key", "value")))
    mask = call.arg(3, "attn_mask")
    n_batch = query.ndim - 2
    batch = list(range(n_batch))
    row, inside, position, column = range(n_batch, n_batch + 4)
    operands = [
        operand(state, query, [*batch, row, inside]),
        operand(state, key, [*batch, position, inside]),
        operand(state, value, [*batch, position, column]),
    ]
    if mask is not None:
        operands.append(operand(state, mask, [*batch, row, position][-mask.ndim :]))
    if call.kwargs.get("enable_gqa", False):
        operands[1:3] = [_shared_heads(state, call, each, query) for each in operands[1:3]]
    outcome = contract(state, call, operands, [*batch, row, position, column])
    if call.kwargs.get("scale") is None:
        _keep_scale(state, call, outcome.summed)
    kept = [label for label in outcome.kept if position not in label.dims]
    for label in outcome.kept:
        if position in label.dims:
            state.atoms.pin(label.atoms, f"{call.described} normalises over them")
    order = {letter: d for d, letter in enumerate([*batch, row, column])}
    state.record(call, call.out, [_placed(label, order) for label in kept])
    _attention_costs(state, call, operands, kept + list(outcome.summed))


def _keep_scale(state: Provenance, call: Call, summed: Sequence[Label]) -> None:
    for label in summed:
        state.atoms.pin(
            label.atoms, f"{call.described} divides by the root of their number, which must stay"
        )


def _attention_costs(
    state: Provenance, call: Call, operands: Sequence[Operand], labels: Sequence[Label]
) -> None:
    n_batch = operands[0].letters[-2]
    batch, (row, inside, position, column) = range(n_batch), range(n_batch, n_batch + 4)
    sizes: dict[int, int] = {}
    for each in operands:
        for letter, size in zip(each.letters, each.shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    for letters in ([*batch, row, inside, position], [*batch, row, position, column]):
        shape = tuple(sizes[letter] for letter in letters)
        inner = tuple(label for label in labels if set(label.dims) <= set(letters))
        whole = Operand(tuple(letters), shape, Origin())
        state.costs.append(cost_of(call, [whole], Contraction(inner, ())))


def _shared_heads(state: Provenance, call: Call, each: Operand, query: Tensor) -> Operand:
    """Repeat the heads of keys or values for the heads of queries that share them."""
    n_shared = query.shape[-3] // each.shape[-3]
    dim = len(each.shape) - 3
    labels = tuple(
        Label(label.dims, label.atoms.repeat_interleave(n_shared, label.dims.index(dim)))
        if dim in label.dims
        else label
        for label in each.origin.labels
    )
    shape = (*each.shape[:dim], each.shape[dim] * n_shared, *each.shape[dim + 1 :])
    if n_shared > 1 and each.shape[dim] == 1:
        state.pin_arguments(call, f"{call.described} has one head for all queries")
    return Operand(each.letters, shape, Origin(labels, each.origin.elastic, described="keys"))


def embedding(state: Provenance, call: Call) -> None:
    """`embedding`: rows are picked by number, columns are channels."""
    indices, weight = call.arg(0, "input"), call.arg(1, "weight")
    for label in state.labels(indices):
        state.atoms.pin(label.atoms, f"{call.described} looks them up")
    rows = state.along(weight, 0, f"{call.described} looks rows up")
    state.atoms.pin(rows, f"{call.described} picks rows by number")
    columns = state.along(weight, 1, f"{call.described} looks rows up")
    state.note_role(state.origin(weight).described, 1, Role.WRITES)
    label = Label((call.out.ndim - 1,), columns)
    state.record(call, call.out, [label] if weight.shape[1] > 1 else [])


def inner_axis(state: Provenance, call: Call, size: int, what: str) -> Tensor:
    """Return atoms of something without a name, such as the groups of one convolution."""
    site = call.site
    owner = f"{site.module}#{site.invocation}.{site.ordinal}:{what}"
    return state.atoms.axis(AxisKind.INNER, owner, size)

"""Functions of one element at a time, of one tensor or of several that are broadcast."""

from collections.abc import Collection

from torch import Tensor

from niwaki.compress.pruning.contraction import Operand, contract, operand
from niwaki.compress.pruning.labels import Label
from niwaki.compress.pruning.provenance import Call, Provenance, tensors_in
from niwaki.compress.pruning.sizes import Tag, tag_of

_SHAPED = frozenset(
    [
        "zeros",
        "ones",
        "empty",
        "full",
        "rand",
        "randn",
        "new_zeros",
        "new_ones",
        "new_empty",
        "new_full",
    ]
)


def elementwise(state: Provenance, call: Call) -> None:
    """Unite the channels of all tensors that meet; a single tensor passes its labels on."""
    inputs = tensors_in((call.args, call.kwargs))
    for out in tensors_in(call.out):
        if all(_fits(tensor, out) for tensor in inputs):
            meet(state, call, inputs, out)
        else:
            state.record_fixed(call, f"{call.described} changes the shape in an unknown way")
            return


def cast(state: Provenance, call: Call) -> None:
    """`to`, `type_as`: another tensor that is given is asked for its type and device alone."""
    meet(state, call, [call.arg(0, "input")], call.out)


def meet(state: Provenance, call: Call, inputs: list[Tensor], out: Tensor) -> None:
    """Label `out`, of the broadcast shape of `inputs`."""
    if len(inputs) == 1 and inputs[0].shape == out.shape:
        known = state.origin(inputs[0])
        state.record(call, out, known.labels, elastic=known.elastic)
        return
    operands = [
        operand(state, tensor, range(out.ndim - tensor.ndim, out.ndim)) for tensor in inputs
    ]
    record_united(state, call, operands, out)


def record_united(
    state: Provenance,
    call: Call,
    operands: list[Operand],
    out: Tensor,
    *,
    apart: Collection[int] = (),
) -> None:
    """Unite operands along the dimensions of `out`, and label it; none in `apart` is elastic."""
    outcome = contract(state, call, operands, range(out.ndim))
    labels = [_in_order(label) for label in outcome.kept]
    present = set(apart).union(*(each.present for each in operands))
    state.record(call, out, labels, elastic=set(range(out.ndim)) - present)


def _in_order(label: Label) -> Label:
    return Label(label.dims, label.atoms).moved(range(max(label.dims) + 1))


def _fits(tensor: Tensor, out: Tensor) -> bool:
    if tensor.ndim > out.ndim:
        return False
    sides = zip(reversed(tensor.shape), reversed(out.shape), strict=False)
    return all(size in (1, whole) for size, whole in sides)


def like(state: Provenance, call: Call) -> None:
    """`zeros_like` and its kin: the shape of the argument, and values that know nothing of it."""
    source: Tensor = call.arg(0, "input")
    labels = state.labels(source)
    labelled = {d for label in labels for d in label.dims}
    state.record(call, call.out, labels, elastic=set(range(source.ndim)) - labelled)


def made(state: Provenance, call: Call) -> None:
    """`zeros`, `ones`, `full`, `rand`: made from sizes alone, so that other sizes would do.

    A size that is a number of the model follows what that number counts. Whether the code asks for
    the right size afterwards is seen when the group is verified.
    """
    for out in tensors_in(call.out):
        tags = _asked_tags(call, out)
        labels = [
            Label((d,), state.counted(tag, f"{call.described} makes so many"))
            for d, tag in tags.items()
        ]
        state.record(call, out, labels, elastic=set(range(out.ndim)) - tags.keys())


def _asked_tags(call: Call, out: Tensor) -> dict[int, Tag]:
    """Return what sizes were computed from, by dimension, where that is known."""
    if call.name not in _SHAPED:
        return {}
    given = call.kwargs.get("size", call.args[1:] if call.name.startswith("new_") else call.args)
    sizes = given[0] if given and isinstance(given[0], tuple | list) else given
    if len(sizes) < out.ndim or any(int(s) != n for s, n in zip(sizes, out.shape, strict=False)):
        return {}
    tags = {d: tag_of(size) for d, size in enumerate(sizes[: out.ndim])}
    return {d: tag for d, tag in tags.items() if tag is not None and out.shape[d] > 1}


def prelu(state: Provenance, call: Call) -> None:
    """`prelu`: one slope, or one per channel."""
    x, weight = call.arg(0, "input"), call.arg(1, "weight")
    channel = 1 if x.ndim > 1 else 0
    operands = [operand(state, x, range(x.ndim))]
    if weight.numel() > 1:
        operands.append(operand(state, weight, (channel,)))
    outcome = contract(state, call, operands, range(x.ndim))
    state.record(call, call.out, [_in_order(label) for label in outcome.kept])

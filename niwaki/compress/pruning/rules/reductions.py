"""Functions that reduce or normalise over some dimensions, and those that slide over them."""

from collections.abc import Sequence

from torch import Tensor

from niwaki.compress.pruning.labels import Label
from niwaki.compress.pruning.provenance import Call, Provenance, tensors_in
from niwaki.compress.pruning.rules.elementwise import elementwise

# The position of the dimension among the arguments, where it is not the second.
_POSITIONS = {"norm": 2, "vector_norm": 2, "normalize": 2, "cosine_similarity": 2, "topk": 2}
_SUMS = frozenset({"sum", "norm", "vector_norm", "normalize"})
# What can be taken over those channels that are there.
_STATISTICS = frozenset({"mean", "max", "amax", "min", "amin"})


def _dims(call: Call, source: Tensor) -> set[int]:
    position = _POSITIONS.get(call.name, 1)
    default = {"normalize": 1, "sort": -1, "topk": -1, "cosine_similarity": 1}.get(call.name)
    given = call.arg(position, "dim", call.kwargs.get("axis", default))
    if isinstance(given, int) and not isinstance(given, bool):
        return {given % source.ndim}
    if isinstance(given, Sequence) and len(given):
        return {d % source.ndim for d in given}
    return set(range(source.ndim))


def reduced(state: Provenance, call: Call) -> None:
    """`sum`, `mean`, `amax`, `norm`: labels along what is reduced end here.

    A sum lets its channels go, for a removed channel adds nothing, and so do means and extremes,
    which masks then leave it out of; all others need them.
    """
    source: Tensor = call.arg(0, "input")
    if isinstance(call.arg(1, "other"), Tensor):  # the larger of two tensors
        elementwise(state, call)
        return
    dims = _dims(call, source)
    held = _held(state, call, source, dims)
    for out in tensors_in(call.out):
        keeps = out.ndim == source.ndim
        mapping = [d if keeps else d - sum(r < d for r in dims) for d in range(source.ndim)]
        state.record(call, out, [label.moved(mapping) for label in held])


def _held(state: Provenance, call: Call, source: Tensor, dims: set[int]) -> list[Label]:
    labels = []
    for label in state.labels(source):
        if call.name in _SUMS and set(label.dims) <= dims and _is_plain(call):
            continue
        if _is_statistic(call, source, dims) and set(label.dims) <= dims and len(label.dims) == 1:
            sides = tuple(n if d in label.dims else 1 for d, n in enumerate(source.shape))
            state.note_statistics(call, label.atoms, 1, sides)
            continue
        why = f"{call.described} needs all channels"
        held = state.hold(label, dims, why)
        labels.extend([] if held is None else [held])
    return labels


def _is_statistic(call: Call, source: Tensor, dims: set[int]) -> bool:
    """Whether it can be taken over fewer channels; a single number for all may decide what runs."""
    is_of_each = len(dims) < source.ndim
    return call.name in _STATISTICS and source.is_floating_point() and is_of_each


def _is_plain(call: Call) -> bool:
    """Whether zeros add nothing: true of sums and of the Euclidean norm."""
    if call.name == "sum":
        return True
    return call.arg(1, "p", call.kwargs.get("ord", 2)) in (2, 2.0, "fro", None)


def along(state: Provenance, call: Call) -> None:
    """`softmax`, `cumsum`, `sort`, `normalize`: the shape stays, and one dimension is special."""
    source: Tensor = call.arg(0, "input")
    dims = _dims(call, source)
    labels = []
    for label in state.labels(source):
        if call.name == "normalize" and _is_plain(call):  # zeros add nothing to the length
            labels.append(label)
            continue
        held = state.hold(label, dims, f"{call.described} needs all channels")
        labels.extend([] if held is None else [held])
    for out in tensors_in(call.out):
        state.record(call, out, labels)


def over_space(state: Provenance, call: Call) -> None:
    """Pooling, resizing, sampling: over all dimensions but the first two."""
    source: Tensor = call.arg(0, "input")
    n_kept = source.ndim - _n_spatial(call, source)
    why = f"{call.described} slides over positions"
    held = state.hold_all(state.labels(source), range(n_kept, source.ndim), why)
    for tensor in tensors_in((call.args[1:], call.kwargs)):
        for label in state.labels(tensor) if tensor is not source else ():
            state.atoms.pin(label.atoms, f"{call.described} takes them as coordinates")
    for out in tensors_in(call.out):
        state.record(call, out, held)


def _n_spatial(call: Call, source: Tensor) -> int:
    for digit in "123":
        if f"pool{digit}d" in call.name:
            return int(digit)
    return source.ndim - 2


def compared(state: Provenance, call: Call) -> None:
    """`cosine_similarity`: a sum over one dimension of the product of two tensors."""
    state.record_fixed(call, f"{call.described} needs all channels")

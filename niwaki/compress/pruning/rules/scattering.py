"""Gathering and scattering by number along one dimension: along the others, channels pass."""

from dataclasses import replace

from torch import Tensor

from niwaki.compress.pruning.contraction import Operand, operand
from niwaki.compress.pruning.provenance import Call, Provenance
from niwaki.compress.pruning.rules.elementwise import record_united


def gathered(state: Provenance, call: Call) -> None:
    """`gather(dim, index)`: an index for each element of the result."""
    _pass(state, call, [call.arg(0, "input"), call.arg(2, "index")], call.arg(1, "dim"))


def taken_along(state: Provenance, call: Call) -> None:
    """`take_along_dim(indices, dim)`: as `gather`, but the other dimensions broadcast."""
    dim = call.arg(2, "dim", None)
    if dim is None:
        state.record_fixed(call, f"{call.described} counts through all dimensions")
        return
    _pass(state, call, [call.arg(0, "input"), call.arg(1, "indices")], dim)


def scattered(state: Provenance, call: Call) -> None:
    """`scatter(dim, index, src)` and its kin: an index for each element of the source."""
    given = [call.arg(0, "input"), call.arg(2, "index"), call.arg(3, "src")]
    _pass(state, call, [each for each in given if isinstance(each, Tensor)], call.arg(1, "dim"))


def scattered_in_slices(state: Provenance, call: Call) -> None:
    """`index_add(dim, index, source)` and its kin: an index for each slice of the source."""
    for label in state.labels(call.arg(2, "index")):
        state.atoms.pin(label.atoms, f"{call.described} writes by them")
    given = [call.arg(0, "input"), call.arg(3, "source")]
    _pass(state, call, [each for each in given if isinstance(each, Tensor)], call.arg(1, "dim"))


def _pass(state: Provenance, call: Call, tensors: list[Tensor], dim: int) -> None:
    """Unite the channels of all tensors that meet, along all dimensions but the one in question."""
    out: Tensor = call.out
    dim = int(dim) % max(out.ndim, 1)
    if not all(_reaches(_but(dim, tensor), _but(dim, out)) for tensor in tensors):
        state.record_fixed(call, f"{call.described} leaves a part of the channels out")
        return
    operands = [_held(state, call, tensor, dim) for tensor in tensors]
    record_united(state, call, operands, out, apart={dim})


def _but(dim: int, tensor: Tensor) -> tuple[int, ...]:
    """Return the sizes of the other dimensions."""
    return tuple(size for d, size in enumerate(tensor.shape) if d != dim)


def _reaches(sizes: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether sizes are as wanted, or 1 for any."""
    return len(sizes) == len(wanted) and all(
        size in (1, all_of_them) for size, all_of_them in zip(sizes, wanted, strict=True)
    )


def _held(state: Provenance, call: Call, tensor: Tensor, dim: int) -> Operand:
    why = f"{call.described} finds them by number"
    known = operand(state, tensor, range(tensor.ndim))
    labels = state.hold_all(known.origin.labels, (dim,), why)
    return replace(known, origin=replace(known.origin, labels=labels))

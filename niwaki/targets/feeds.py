"""Inputs to measure with: real ones are checked, missing ones are made up from the graph."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import TargetError
from niwaki.targets.base import Feeds, Model
from niwaki.targets.sessions import Session

# One subnormal operand costs a hundred cycles and more: a network fed with them was 250 times
# slower than with real data.
_MAX_SUBNORMAL_SHARE = 0.01
# Products of numbers this small are subnormal a few layers on.
_SMALLEST_PEAK = 1e-18

_DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int8)": np.int8,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
    "tensor(uint32)": np.uint32,
    "tensor(uint64)": np.uint64,
    "tensor(bool)": np.bool_,
}
_MANY_ELEMENTS = 2**28


def check_feeds(feeds: Feeds) -> None:
    """Refuse inputs whose timing would say nothing about real use.

    Raises:
        TargetError: If an input is empty, holds NaN or infinities, is all zeros when it is the only
            floating-point input, or holds subnormal or vanishing numbers.
    """
    floats = {name: x for name, x in feeds.items() if np.issubdtype(x.dtype, np.floating)}
    for name, values in feeds.items():
        if values.size == 0:
            raise TargetError(f"input '{name}' is empty, with shape {values.shape}: give real data")
    for name, values in floats.items():
        _check_floats(name, values)
    if floats and not any(values.any() for values in floats.values()):
        raise TargetError(
            f"input '{next(iter(floats))}' is all zeros: kernels may skip zeros, and activations "
            "fall to the biases alone. Measure with real data"
        )


def check_pairs(models: Sequence[Model], feeds: Sequence[Feeds]) -> None:
    """Check that there are inputs for each model, and that they are like real data.

    Raises:
        TargetError: If not; see `check_feeds`.
    """
    if len(models) != len(feeds):
        raise TargetError(
            f"{len(models)} models came with {len(feeds)} inputs: give one mapping for each"
        )
    for given in feeds:
        check_feeds(given)


def first_fit(feeds: Iterable[Feeds]) -> Feeds:
    """Return the first real inputs that can be timed on: latency depends on values.

    Raises:
        TargetError: What is wrong with the first, if none can be; or if there are none.
    """
    refusal: TargetError | None = None
    for given in feeds:
        try:
            check_feeds(given)
        except TargetError as error:
            refusal = refusal or error
            continue
        return given
    raise refusal or TargetError("there are no inputs to time on")


def synthesise_feeds(
    session: Session, dims: Mapping[str, int], rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Make up inputs from the shapes and types of a session's inputs.

    Floats are normal noise; integers are 0 or 1, which any embedding has a row for; booleans are
    true.

    Args:
        session: From `sessions.open_session`.
        dims: Size of each dynamic dimension by name, `input:axis` for one that has no name. Only
            that of the first axis, the batch, may be left out, and is 1 then.
        rng: Draws the values.

    Raises:
        TargetError: If an input is no tensor of numbers, a size is missing or not positive, a name
            in `dims` is no dimension of the model, or the inputs would not fit in memory.
    """
    used: set[str] = set()
    feeds = {}
    for node in session.get_inputs():
        shape = _resolved_shape(node.name, node.shape, dims, used)
        feeds[node.name] = _values(node.name, node.type, shape, rng)
    if unknown := sorted(set(dims) - used):
        raise TargetError(
            f"the model has no dynamic dimension '{unknown[0]}'; its inputs are "
            + ", ".join(f"{node.name}{node.shape}" for node in session.get_inputs())
        )
    return feeds


def _check_floats(name: str, values: NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise TargetError(f"input '{name}' holds NaN or infinities: give real data")
    magnitudes = np.abs(values[values != 0])
    if magnitudes.size == 0:
        return
    share = float(np.mean(magnitudes < np.finfo(values.dtype).tiny))
    if share > _MAX_SUBNORMAL_SHARE or magnitudes.max() < _SMALLEST_PEAK:
        raise TargetError(
            f"input '{name}' has {share:.0%} subnormal values and a peak of "
            f"{magnitudes.max():.1e}: processors are some hundred times slower on such numbers, so "
            "the latency would say nothing about real data. Give real data"
        )


def _resolved_shape(
    name: str, shape: list[int | str | None], dims: Mapping[str, int], used: set[str]
) -> tuple[int, ...]:
    sizes = []
    for axis, size in enumerate(shape):
        if isinstance(size, int) and size > 0:
            sizes.append(size)
            continue
        names = [key for key in (size, f"{name}:{axis}") if isinstance(key, str) and key]
        known = [key for key in reversed(names) if key in dims]
        if axis and not known:
            raise TargetError(
                f"dimension '{names[0]}' of input '{name}' may have any size, and the latency "
                f"depends on it: give the one that is meant, such as `--dim {names[0]}=64` on the "
                f"command line, or `dims={{'{names[0]}': 64}}`"
            )
        used.update(known)
        sizes.append(dims[known[0]] if known else 1)
        if sizes[-1] < 1:
            raise TargetError(f"dimension '{known[0]}' is {sizes[-1]}: it must be at least 1")
    return tuple(sizes)


def _values(name: str, kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    if kind not in _DTYPES:
        raise TargetError(
            f"input '{name}' is a {kind}, for which no values can be made up: give data"
        )
    dtype = np.dtype(_DTYPES[kind])
    if np.prod(shape, dtype=np.float64) > _MANY_ELEMENTS:
        raise TargetError(f"input '{name}' would have shape {shape}: give smaller dimensions")
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return np.ones(shape, dtype)
    return rng.integers(2, size=shape).astype(dtype)

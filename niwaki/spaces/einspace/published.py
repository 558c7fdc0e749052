"""The published rules where they differ from ours: kept for `faithful`, faults included.

What differs: col2im may cut the values of a tensor anew for any grid that divides their number;
a split is turned down if any axis, not only its own, is short; an aggregation carries a number of
branches that nothing compares with those there are; and grids are seen by scope, whatever became
of the tokens. What would not run is still never derived.

References:
    Ericsson et al., NeurIPS 2024, "einspace: Searching for Neural Architectures from Fundamental
    Operations", section 3 and appendix A.2.
"""

import math

from niwaki.spaces.einspace import branching, computation, routing
from niwaki.spaces.einspace.attributes import Typed, effect, given_as, is_image
from niwaki.spaces.einspace.branching import clone
from niwaki.spaces.einspace.computation import norm, posenc, relu, softmax
from niwaki.spaces.einspace.routing import identity
from niwaki.spaces.grammar.grammar import Effect

__all__ = [
    "add", "clone", "col2im", "concat", "conv1d", "group", "identity", "im2col", "linear",
    "matmul", "norm", "permute", "posenc", "relu", "softmax",
]  # fmt: skip


def _scoped(found: Effect | str, given: Typed) -> Effect | str:
    """Return the effect with the grid that is in scope."""
    if isinstance(found, str):
        return found
    assert isinstance(found.output, tuple)
    return found._replace(output=(found.output[0], given[1]))


def linear(given: Typed, d: int) -> Effect | str:
    """Map the last axis to `d` values."""
    return _scoped(computation.linear(given, d), given)


def conv1d(given: Typed, k: int, d: int) -> Effect | str:
    """Convolve along the tokens of a sequence."""
    return _scoped(computation.conv1d(given, k, d), given)


def permute(given: Typed, order: int) -> Effect | str:
    """Reorder axes."""
    return _scoped(routing.permute((given_as(given)[0], None), order), given)


def im2col(given: Typed, k: int, s: int, p: int) -> Effect | str:
    """Turn the patches of an image into tokens, and put their grid in scope."""
    return routing.im2col(given, k, s, p)


def col2im(given: Typed) -> Effect | str:
    """Cut the values of the transposed tokens into images of the grid in scope."""
    shape, grid = given_as(given)
    if is_image(shape) or grid is None:
        return "col2im wants tokens, and a grid in scope"
    _, h, w = grid
    n = math.prod(shape)
    if n % (h * w):
        return f"{n} values are not images of {h} x {w}"
    return effect((n // (h * w), h, w), grid)


def group(given: Typed, dim: int, b: int) -> Effect | str:
    """Split an axis, unless some axis is shorter than the number of parts."""
    shape, grid = given_as(given)
    if min(shape) < b:
        return f"an axis of {shape} is shorter than {b}"
    found = branching.group((shape, None), dim, b)
    if isinstance(found, str):
        return found
    assert isinstance(found.output, tuple)
    return found._replace(output=tuple((part, grid) for part, _ in found.output))


def add(given: tuple[Typed, ...]) -> Effect | str:
    """Add tensors of one shape."""
    return _scoped(branching.add(given), given[0])


def concat(given: tuple[Typed, ...], dim: int, b: int) -> Effect | str:
    """Join tensors along an axis; two may be joined by a concatenation of four or eight."""
    if len(given) not in (2, b):
        return f"{len(given)} branches came, and {b} are joined"
    return _scoped(branching.concat(given, dim), given[0])


def matmul(given: tuple[Typed, ...], scaled: bool) -> Effect | str:
    """Multiply the matrices in the last two axes."""
    return _scoped(branching.matmul(given, scaled), given[0])

"""Functions beside a model, in a file of their own, as libraries of tensor notations have them."""

from functools import cache
from typing import Any

from torch import Tensor


class Backend:
    """Knows tensors of one framework."""

    def takes(self, value: object) -> bool:
        return isinstance(value, Tensor)


def backend_of(value: object) -> Backend:
    if not (backend := Backend()).takes(value):
        raise TypeError(f"a tensor is unknown: {type(value)}")
    return backend


def halves(x: Any) -> Any:
    """Put both halves of the last axis into another."""
    backend_of(x)
    return x.reshape(*x.shape[:-1], 2, -1)


class Absent:
    """Stands for a package that is not installed, as MONAI has it: to ask it anything raises."""

    def __getattr__(self, name: str) -> Any:
        raise ImportError(f"no {name} without the package")

    def __call__(self, x: Any) -> Any:
        raise ImportError("this needs the package")


fast_twice = Absent()


def twice(x: Any, *, fast: bool = False) -> Any:
    """Double, by a package if that is asked for."""
    return fast_twice(x) if fast else 2 * x


@cache
def n_values(shape: Any) -> Any:
    """Tell how many there are for each item, once for each shape."""
    return shape[1] * shape[2]

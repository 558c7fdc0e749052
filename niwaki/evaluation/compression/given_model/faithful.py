"""Whether a model answers the same each time, and what is written of it answers so, too."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.model_calls import repeatable
from niwaki.core.errors import ExportError
from niwaki.export.inference import infer
from niwaki.export.torch_outputs import torch_outputs
from niwaki.targets.sessions import SessionSettings

# Of the largest value: what is wrong is far beyond, what is right far below, unless a model rounds
# or chooses inside. An output that is 0 but for rounding has no digits to compare.
_APART = 1e-3
_ROUNDING = 1e-6
_SHAKEN = 1e-6  # relative change of weights, as large as what another order of sums does
_N_SHAKEN = 3
_ENOUGH = 8  # values of an index, so that the largest of them tells how large they are

Answer: TypeAlias = Callable[[nn.Module], Mapping[str, NDArray[Any]]]
Largest: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def of_all(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest value of an output, without an axis."""
    return np.asarray(values.max(initial=0.0))


def of_each_index(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest value that each is to be seen beside: of its channel, row or the like.

    An output may join pixels and probabilities. Along each axis behind the batch, values of one
    index are alike; the smallest of what these axes say counts. Where an index has few values, a
    small one may be so by chance, and its axis says nothing.

    Args:
        values: (n, ...), at least 0.

    Returns:
        What broadcasts to their shape.
    """
    found = of_all(values)
    for axis, size in enumerate(values.shape):
        if axis and size > 1 and values.size >= _ENOUGH * size:
            others = tuple(other for other in range(values.ndim) if other != axis)
            found = np.minimum(found, values.max(axis=others, keepdims=True))
    return found


def require_faithful(model: onnx.ModelProto, module: nn.Module, feeds: Mapping[str, Any]) -> None:
    """Check that a graph computes what its module does, before much is made of it.

    Args:
        model: Float, with one input.
        module: That it was written of, in evaluation mode; left as it is.
        feeds: The few inputs that were followed to write it.

    Raises:
        ExportError: If an output is another, or that of the module is another each time.
    """
    names = [output.name for output in model.graph.output]

    def answer(each: nn.Module) -> dict[str, NDArray[Any]]:
        return torch_outputs(each, list(feeds.values()), names)

    with repeatable(module):
        first, again = answer(module), answer(module)
    if other := other_output(first, again):
        raise ExportError(
            f"in evaluation mode, the model's output '{other}' is another when the same is asked "
            "again: it draws random numbers, as F.dropout does without `training=self.training`, "
            "or it goes by what it saw before. What is deployed answers the same each time: "
            "let the model do so"
        )
    found = infer(model, feeds, settings=SessionSettings())
    if other := clearly_other(first, found, module, answer):
        raise ExportError(
            f"the model is written wrongly, as by torch's exporter: output '{other}' of the file "
            f"is another than its own, by up to {_difference(first[other], found[other]):.2g}. "
            "Compute it by other operations; parts of the model, compressed by themselves (--part; "
            "in Python, `part`), tell which one is at fault"
        )


def mixing(module: nn.Module, inputs: NDArray[Any], names: Sequence[str]) -> str:
    """Return how an item is answered otherwise beside another than alone; empty if it is not.

    Args:
        module: In evaluation mode; left as it is.
        inputs: (2, ...).
        names: Of its outputs.
    """

    def answer(each: nn.Module) -> dict[str, NDArray[Any]]:
        return torch_outputs(each, [inputs], names)

    with repeatable(module):
        both = answer(module)
        try:
            alone = torch_outputs(module, [inputs[:1]], names)
        except Exception as error:  # of the model's own code, which may raise anything
            return (
                f"the model fails on one item alone ({error}), as by `squeeze()` without an axis, "
                "or a batch norm without running statistics"
            )
    first = {name: each[:1] for name, each in both.items() if each.shape[:1] == (2,)}
    other = clearly_other(first, alone, module, answer)
    if not other:
        return ""
    return (
        f"the answer '{other}' to an item depends on what else is in its batch, as by a batch norm "
        "without running statistics"
    )


def clearly_other(
    wanted: Mapping[str, NDArray[Any]],
    found: Mapping[str, NDArray[Any]],
    module: nn.Module,
    answer: Answer,
    largest: Largest = of_all,
) -> str:
    """Return the name of the first output that differs by more than a model is sure of.

    Args:
        wanted: By name.
        found: The same names.
        module: Whose outputs these are, in evaluation mode; left as it is.
        answer: Gives the outputs of a model that is like it, by these names and perhaps others.
        largest: Gives what values are to be seen beside.

    Returns:
        An empty string if none does.
    """
    if not other_output(wanted, found, largest=largest):
        return ""
    return other_output(wanted, found, _unsureness(module, answer, largest), largest=largest)


def _unsureness(
    module: nn.Module, answer: Answer, largest: Largest
) -> dict[str, NDArray[np.float64]]:
    """Return how far each output goes if weights change in their last digits.

    A model that rounds, or chooses, inside does so otherwise at some places then, and so it may
    where it is computed in another order.
    """
    with repeatable(module):
        first = answer(module)
    furthest = {name: np.zeros(()) for name in first}
    generator = torch.Generator().manual_seed(0)
    for _ in range(_N_SHAKEN):
        shaken = copied(module)
        with torch.no_grad(), repeatable(shaken):
            for weight in shaken.parameters():
                if weight.is_floating_point():
                    noise = torch.randn(weight.shape, generator=generator).to(weight)
                    weight.mul_(1.0 + _SHAKEN * noise)
            found = answer(shaken)
        for name, values in first.items():
            again = found.get(name)
            apart = np.asarray(np.inf)
            if again is not None and again.shape == values.shape:
                apart = largest(_apart(values, again))
            furthest[name] = np.maximum(furthest[name], apart)
    return furthest


def _difference(wanted: NDArray[Any], found: NDArray[Any]) -> float:
    """Return the largest difference of values that both have; inf if there are more or fewer."""
    if wanted.shape != found.shape:
        return np.inf
    return float(_apart(wanted, found).max(initial=0.0))


def _apart(wanted: NDArray[Any], found: NDArray[Any]) -> NDArray[np.float64]:
    """Return how far values are apart; 0 where that is no number."""
    with np.errstate(invalid="ignore"):
        return _finite(found.astype(np.float64) - wanted)


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), np.abs(values), 0.0)


def other_output(
    wanted: Mapping[str, NDArray[Any]],
    found: Mapping[str, NDArray[Any]],
    unsure: Mapping[str, NDArray[np.float64]] | None = None,
    *,
    largest: Largest = of_all,
) -> str:
    """Return the name of the first output that differs; empty if none does.

    Args:
        wanted: By name.
        found: The same names.
        unsure: How far an output may be another by the order of sums alone.
        largest: Gives what values are to be seen beside.
    """
    for name, values in wanted.items():
        exact = values.astype(np.float64)
        if found[name].shape != exact.shape:
            return name
        size = _finite(exact)
        rounding = _ROUNDING * max(1.0, float(of_all(size)))
        limit = np.maximum(_APART * largest(size), rounding)
        if unsure and name in unsure:
            limit = np.maximum(limit, 2.0 * unsure[name])
        if not np.allclose(found[name], exact, rtol=0.0, atol=limit, equal_nan=True):
            return name
    return ""

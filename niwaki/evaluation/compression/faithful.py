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

Answer: TypeAlias = Callable[[nn.Module], Mapping[str, NDArray[Any]]]


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
) -> str:
    """Return the name of the first output that differs by more than a model is sure of.

    Args:
        wanted: By name.
        found: The same names.
        module: Whose outputs these are, in evaluation mode; left as it is.
        answer: Gives the outputs of a model that is like it, by these names and perhaps others.

    Returns:
        An empty string if none does.
    """
    if not other_output(wanted, found):
        return ""
    return other_output(wanted, found, _unsureness(module, answer))


def _unsureness(module: nn.Module, answer: Answer) -> dict[str, float]:
    """Return how far each output goes if weights change in their last digits.

    A model that rounds, or chooses, inside does so otherwise at some places then, and so it may
    where it is computed in another order.
    """
    with repeatable(module):
        first = answer(module)
    furthest = dict.fromkeys(first, 0.0)
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
            again = _difference(values, found[name]) if name in found else np.inf
            furthest[name] = max(furthest[name], again)
    return furthest


def _difference(wanted: NDArray[Any], found: NDArray[Any]) -> float:
    """Return the largest difference of values that both have; inf if there are more or fewer."""
    if wanted.shape != found.shape:
        return np.inf
    with np.errstate(invalid="ignore"):
        differ = np.abs(found.astype(np.float64) - wanted)
    return float(differ[np.isfinite(differ)].max(initial=0.0))


def other_output(
    wanted: Mapping[str, NDArray[Any]],
    found: Mapping[str, NDArray[Any]],
    unsure: Mapping[str, float] | None = None,
) -> str:
    """Return the name of the first output that differs; empty if none does.

    Args:
        wanted: By name.
        found: The same names.
        unsure: How far an output may be another by the order of sums alone.
    """
    for name, values in wanted.items():
        exact = values.astype(np.float64)
        largest = np.abs(exact[np.isfinite(exact)]).max(initial=0.0)
        limit = max(_APART * largest, _ROUNDING, 2.0 * (unsure or {}).get(name, 0.0))
        if found[name].shape != exact.shape or not np.allclose(
            found[name], exact, rtol=0.0, atol=limit, equal_nan=True
        ):
            return name
    return ""

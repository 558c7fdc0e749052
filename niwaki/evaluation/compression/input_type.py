"""Whether a model runs on inputs as they are given, and whether it takes them as integers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from niwaki.compress.pruning.model_calls import repeatable
from niwaki.core.errors import DataError
from niwaki.evaluation.compression.faithful import other_output
from niwaki.evaluation.compression.plain_calls import named_arrays, take_integers
from niwaki.export.user_code import place_of


def as_called(inputs: NDArray[Any]) -> Tensor:
    """Return inputs in the type in which all models here are called."""
    return torch.from_numpy(inputs.astype(np.float32))


def settle_input_type(module: nn.Module, inputs: NDArray[Any], origin: str) -> None:
    """Check that a model runs, and answers as it does to inputs of the type that is given.

    One that fails on float inputs, or answers otherwise, is given integers from then on.

    Args:
        module: That `plainly_called` returned, in evaluation mode.
        inputs: (n, ...).
        origin: Of the inputs, for messages.

    Raises:
        DataError: If it fails on these inputs: names the line of its code. If neither is answered
            as what is given is.
    """
    is_whole = inputs.dtype.kind in "iub"
    wanted = _call(module, inputs).answers if is_whole else None
    numbers = inputs.astype(np.float32)
    found = _call(module, numbers, wanted)
    if is_whole and (found.failure is not None or found.other):
        take_integers(module)
        again = _call(module, numbers, wanted)
        found = found if found.failure is None and again.failure is not None else again
    if found.failure is not None:
        raise fails(module, inputs.shape, origin, found.failure) from found.failure
    if found.other:
        raise DataError(
            f"the model goes by the type of its inputs: those of {origin} are {inputs.dtype}, and "
            f"its output '{found.other}' is another for the same numbers in float32, in which all "
            "inputs arrive. Give inputs in float32, in the numbers that the model was trained on"
        )


def fails(module: nn.Module, shape: tuple[int, ...], origin: str, failure: Exception) -> DataError:
    """Return the error that a model fails on inputs of a shape, with the line of its code."""
    place = place_of(failure)
    where = f" at {place}" if place else ""
    return DataError(
        f"the model fails on inputs of shape {shape} from {origin}{where}: "
        f"{type(failure).__name__}: {failure}. {_remedy(module)}"
    )


@dataclass(frozen=True, eq=False)
class _Called:
    """What came of a call: answers by name, or why it failed; which answer is not as wanted."""

    answers: Mapping[str, NDArray[Any]] | None = None
    failure: Exception | None = None
    other: str = ""


def _call(
    module: nn.Module, inputs: NDArray[Any], wanted: Mapping[str, NDArray[Any]] | None = None
) -> _Called:
    try:
        with torch.no_grad(), repeatable(module):
            answers = named_arrays(module(torch.from_numpy(inputs)))
    except Exception as error:  # the model's own code runs here: it may raise anything
        return _Called(failure=error)
    return _Called(answers, other=other_output(wanted, answers) if wanted is not None else "")


def _remedy(module: nn.Module) -> str:
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            kind = str(tensor.dtype).removeprefix("torch.")
            return f"Its '{name}' is {kind}, and inputs arrive as float32: give `model.float()`"
    return (
        "Give it the inputs that it takes, batch first; they arrive as one float32 tensor, or as "
        "integers if they are"
    )

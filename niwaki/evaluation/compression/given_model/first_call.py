"""A model called for the first time on somebody's inputs: what it answers, or where it fails."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.pruning.model_calls import Inputs, call_model, repeatable
from niwaki.core.errors import DataError
from niwaki.evaluation.compression.given_model.faithful import other_output
from niwaki.evaluation.compression.given_model.plain_calls import named_arrays
from niwaki.export.user_code import place_of


@dataclass(frozen=True, eq=False)
class Called:
    """What came of a call: answers by name, or why it failed; which answer is not as wanted."""

    answers: Mapping[str, NDArray[Any]] | None = None
    failure: Exception | None = None
    other: str = ""


def called(
    module: nn.Module, inputs: Inputs, wanted: Mapping[str, NDArray[Any]] | None = None
) -> Called:
    """Call a model, as often as it is asked for, always as if for the first time.

    Args:
        module: In evaluation mode; left as it is.
        inputs: As it takes them.
        wanted: Answers that it should give.
    """
    try:
        with torch.no_grad(), repeatable(module):
            answers = named_arrays(call_model(module, inputs))
    except Exception as error:  # the model's own code runs here: it may raise anything
        return Called(failure=error)
    return Called(answers, other=other_output(wanted, answers) if wanted is not None else "")


def fails(module: nn.Module, inputs: str, origin: str, failure: Exception) -> DataError:
    """Return the error that a model fails on inputs, with the line of its code.

    Args:
        module: The model.
        inputs: What they are, such as `of shape (2, 3)`.
        origin: Of the inputs.
        failure: What it raised.
    """
    if isinstance(failure, DataError):
        return failure
    place = place_of(failure)
    where = f" at {place}" if place else ""
    return DataError(
        f"the model fails on inputs {inputs} from {origin}{where}: "
        f"{type(failure).__name__}: {failure}. {remedy(module)}"
    )


def remedy(module: nn.Module) -> str:
    """Return what to do about a model that does not take, or give, what it is asked for."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            kind = str(tensor.dtype).removeprefix("torch.")
            return f"Its '{name}' is {kind}, and inputs arrive as float32: give `model.float()`"
    return (
        "Give it the inputs that it takes, batch first; they arrive in float32, or as integers if "
        "they are"
    )

"""Whether a model runs on inputs as they are given, and in which types it takes them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from niwaki.core.errors import DataError
from niwaki.evaluation.compression.given_model.arguments import arguments_of, declared_inputs
from niwaki.evaluation.compression.given_model.first_call import called, fails
from niwaki.evaluation.compression.given_model.plain_calls import take_integers, takes_integers
from niwaki.evaluation.compression.given_model.several_inputs import inputs_of, take_declared
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.model_inputs import FLOAT, ModelInput, ModelInputs


def inputs_taken(module: nn.Module, item_shape: tuple[int, ...]) -> ModelInputs:
    """Return what a model takes, once it was told to take what its data have.

    Args:
        module: That `plainly_called` returned.
        item_shape: Of its data, if they are one input.
    """
    if several := inputs_of(module):
        return several
    declared, known = declared_inputs(module), arguments_of(module)
    name = next(iter(known.first(1) or known.by_name), "input")
    dtype = declared.each[0].dtype if declared else "int64" if takes_integers(module) else FLOAT
    return ModelInputs((ModelInput(name, item_shape, dtype),))


def settle_declared(module: nn.Module, data: TaskData) -> None:
    """Let a model take what data have that were declared without it, if it does not yet.

    Args:
        module: That `plainly_called` returned, in evaluation mode.
        data: For it.

    Raises:
        DataError: If it does not take them.
    """
    first = next(data[SplitName.CALIBRATION].batches(2)).inputs
    if data.model_inputs is not None:
        take_declared(module, data.model_inputs, first, "the data")
    elif inputs_of(module) is None and data.preprocessing.is_cast:
        settle_input_type(module, first.astype(data.preprocessing.dtype), "the data")


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
    wanted = called(module, torch.from_numpy(inputs)).answers if is_whole else None
    numbers = as_called(inputs)
    found = called(module, numbers, wanted)
    if is_whole and (found.failure is not None or found.other):
        take_integers(module)
        again = called(module, numbers, wanted)
        found = found if found.failure is None and again.failure is not None else again
    if found.failure is not None:
        raise fails(module, f"of shape {inputs.shape}", origin, found.failure) from found.failure
    if found.other:
        raise DataError(
            f"the model goes by the type of its inputs: those of {origin} are {inputs.dtype}, and "
            f"its output '{found.other}' is another for the same numbers in float32, in which all "
            "inputs arrive. Give inputs in float32, in the numbers that the model was trained on"
        )

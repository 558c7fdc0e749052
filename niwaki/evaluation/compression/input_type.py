"""Whether a model runs on inputs as they are given, and in which types it takes them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.model_calls import call_model, repeatable
from niwaki.core.errors import DataError
from niwaki.core.registry import nearest
from niwaki.evaluation.compression.faithful import other_output
from niwaki.evaluation.compression.given_batches import ALONE, Inputs
from niwaki.evaluation.compression.plain_calls import (
    as_taken,
    declared_inputs,
    inputs_of,
    known_inputs,
    named_arrays,
    names_of_inputs,
    take_inputs,
    take_integers,
    takes_integers,
)
from niwaki.export.user_code import place_of
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.model_inputs import FLOAT, ModelInput, ModelInputs

Split = TypeVar("Split")


def together(
    module: nn.Module, given: Mapping[Split, Inputs], origins: Mapping[Split, str]
) -> dict[Split, NDArray[Any]]:
    """Return the inputs of each split as one array, in which the model takes them from then on.

    Args:
        module: That `plainly_called` returned, in evaluation mode.
        given: As loaders gave them; all splits alike. What the first has is looked at.
        origins: Of the splits, for messages.

    Returns:
        (n, ...) by split: what was given if it is one input, else all side by side, in float32.

    Raises:
        DataError: If the model does not take them, or splits differ.
    """
    names = {split: _named(module, inputs, origins[split]) for split, inputs in given.items()}
    first = next(iter(given))
    if len(names[first]) == 1:
        for split, arrays in names.items():
            _require_first(module, arrays, origins[split])
        return {split: next(iter(arrays.values())) for split, arrays in names.items()}
    inputs = _settled_inputs(module, names[first], origins[first])
    take_inputs(module, inputs)
    return {split: inputs.packed(arrays, origins[split]) for split, arrays in names.items()}


def inputs_taken(module: nn.Module, item_shape: tuple[int, ...]) -> ModelInputs:
    """Return what a model takes that was told to take what its data have.

    Args:
        module: That `plainly_called` returned.
        item_shape: Of its data, if they are one input.
    """
    if several := inputs_of(module):
        return several
    declared = declared_inputs(module)
    name = next(iter(names_of_inputs(module, 1) or known_inputs(module)), "input")
    dtype = declared.each[0].dtype if declared else "int64" if takes_integers(module) else FLOAT
    return ModelInputs((ModelInput(name, item_shape, dtype),))


def _named(module: nn.Module, given: Inputs, origin: str) -> dict[str, NDArray[Any]]:
    """Return inputs by the names that the model has for them, in its order."""
    if given.keys() == {ALONE}:
        return {ALONE: given[ALONE]}
    known = known_inputs(module)
    if all(isinstance(key, int) for key in given):
        names = names_of_inputs(module, len(given))
        if len(names) < len(given):
            takes = f"{len(names)} ({', '.join(names)})" if names else "none"
            raise DataError(
                f"{origin} gives {len(given)} inputs by position, but the model takes {takes}: "
                "give as many, in the order of the arguments of its `forward`, or a mapping by name"
            )
        return dict(zip(names, given.values(), strict=True))
    if unknown := [str(key) for key in given if key not in known]:
        raise DataError(
            f"{origin} gives the input '{unknown[0]}'{nearest(unknown[0], known)} The model takes "
            f"{', '.join(known) or 'none by name'}: a batch is (inputs, targets), or inputs alone, "
            "and several inputs are a mapping by these names"
        )
    return {name: given[name] for name in known if name in given}


def _require_first(module: nn.Module, given: Mapping[str, NDArray[Any]], origin: str) -> None:
    """Check that one input alone is the one that the model has to be given."""
    first = next(iter(names_of_inputs(module, 1)), ALONE)
    name = next(iter(given))
    if len(given) > 1 or name not in (ALONE, first):
        raise DataError(
            f"{origin} gives {', '.join(given)}, where one input of the model is '{first}': give "
            "the same inputs in each split, that one among them"
        )


def _settled_inputs(
    module: nn.Module, given: Mapping[str, NDArray[Any]], origin: str
) -> ModelInputs:
    """Return several inputs in types that the model runs on: as given, or else in float32."""
    declared = {each.name: each.dtype for each in declared_inputs(module) or ()}
    as_given = ModelInputs(
        tuple(
            replace(each, dtype=declared.get(each.name, each.dtype))
            for each in ModelInputs.of(given)
        )
    )
    failure = _failure(module, as_given, given)
    if failure is None:
        return as_given
    in_floats = ModelInputs(tuple(replace(each, dtype=FLOAT) for each in as_given))
    if not declared and _failure(module, in_floats, given) is None:
        return in_floats
    shapes = ", ".join(f"{each.name} {(2, *each.shape)} {each.dtype}" for each in as_given)
    raise _failing(module, shapes, origin, failure) from failure


def _failure(
    module: nn.Module, inputs: ModelInputs, given: Mapping[str, NDArray[Any]]
) -> Exception | None:
    like = copied(module)
    take_inputs(like, inputs)
    first = inputs.packed({name: values[:2] for name, values in given.items()}, "")
    return _call(like, as_taken(like, torch.from_numpy(first))).failure


def settle_declared(module: nn.Module, data: TaskData) -> None:
    """Let a model take what data have that were declared without it, if it does not yet.

    Args:
        module: That `plainly_called` returned, in evaluation mode.
        data: For it.

    Raises:
        DataError: If it does not take them.
    """
    first = next(data[SplitName.CALIBRATION].batches(2)).inputs
    if data.model_inputs is None:
        if inputs_of(module) is None and data.preprocessing.is_cast:
            raw = first.astype(data.preprocessing.dtype)
            settle_input_type(module, raw, "the data")
        return
    given = data.model_inputs.feeds(first)
    named = _named(module, {name: given[name] for name in data.model_inputs.names}, "the data")
    if tuple(named) != data.model_inputs.names and declared_inputs(module) is not None:
        raise DataError(
            f"the data give the inputs {', '.join(data.model_inputs.names)}, and the file takes "
            f"{', '.join(named)}: give them in this order"
        )
    if inputs_of(module) is None:
        as_packed = {name: named[name] for name in data.model_inputs.names}
        take_inputs(module, _settled_inputs(module, as_packed, "the data"))


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
    wanted = _call(module, torch.from_numpy(inputs)).answers if is_whole else None
    numbers = as_called(inputs)
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
    return _failing(module, f"of shape {shape}", origin, failure)


def _failing(module: nn.Module, inputs: str, origin: str, failure: Exception) -> DataError:
    place = place_of(failure)
    where = f" at {place}" if place else ""
    return DataError(
        f"the model fails on inputs {inputs} from {origin}{where}: "
        f"{type(failure).__name__}: {failure}. {_remedy(module)}"
    )


@dataclass(frozen=True, eq=False)
class _Called:
    """What came of a call: answers by name, or why it failed; which answer is not as wanted."""

    answers: Mapping[str, NDArray[Any]] | None = None
    failure: Exception | None = None
    other: str = ""


def _call(
    module: nn.Module, inputs: Any, wanted: Mapping[str, NDArray[Any]] | None = None
) -> _Called:
    try:
        with torch.no_grad(), repeatable(module):
            answers = named_arrays(call_model(module, inputs))
    except Exception as error:  # the model's own code runs here: it may raise anything
        return _Called(failure=error)
    return _Called(answers, other=other_output(wanted, answers) if wanted is not None else "")


def _remedy(module: nn.Module) -> str:
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            kind = str(tensor.dtype).removeprefix("torch.")
            return f"Its '{name}' is {kind}, and inputs arrive as float32: give `model.float()`"
    return (
        "Give it the inputs that it takes, batch first; they arrive in float32, or as integers if "
        "they are"
    )

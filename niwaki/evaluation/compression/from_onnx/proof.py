"""Whether a module answers as the file does that it was read from, on real inputs."""

from collections.abc import Mapping
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from niwaki.core.errors import ConfigError, DataError, ExportError, TargetError
from niwaki.evaluation.compression.from_onnx.file import OnnxFile, as_fed, in_single_precision
from niwaki.evaluation.compression.from_onnx.first_difference import first_difference
from niwaki.evaluation.compression.from_onnx.known import batch_remedy
from niwaki.evaluation.compression.given_model.faithful import (
    clearly_other,
    of_each_index,
    other_output,
)
from niwaki.export.inference import infer
from niwaki.export.torch_outputs import torch_outputs
from niwaki.targets.sessions import SessionSettings
from niwaki.tasks.model_inputs import FLOAT

_FAILURES = (RuntimeError, IndexError, ValueError)  # of a torch module whose shapes do not fit
_GIVE = "give the torch module, my_model.py:build"
_OF_HALF = 0.05  # of the largest value: what a file in half precision may be off by


def require_same_answers(module: nn.Module, file: OnnxFile, inputs: NDArray[np.float32]) -> None:
    """Check that a module computes what ONNX Runtime computes of its file.

    A file in half precision is compared as it is, roughly, and exactly as it is in float32.

    Args:
        module: That was read from the file, in evaluation mode.
        file: As it was given.
        inputs: (n, ...), real ones; of several side by side.

    Raises:
        DataError: If the file takes items of another shape, or integers, which these are not.
        ConfigError: If an output is another: says by how much.
    """
    if len(file.inputs) == 1:
        file.require_items([inputs.shape[1:]])
    _require_integers(file, inputs)
    exact = in_single_precision(file.given)
    for given in (inputs, inputs[:1]):
        _require_same(module, file, exact, given)
    if file.is_half:
        _require_near(module, file, inputs, _answers(file, file.given, inputs))


def _require_integers(file: OnnxFile, inputs: NDArray[np.float32]) -> None:
    """Check that a file of integers is given such: what is cut proves nothing."""
    for each, values in zip(file.inputs, file.inputs.apart(inputs), strict=True):
        if each.dtype == FLOAT:
            continue
        low, high = each.limits
        outside = values[~((values == np.floor(values)) & (values >= low) & (values <= high))]
        if outside.size:
            of = f" for '{each.name}'" if len(file.inputs) > 1 else ""
            raise DataError(
                f"'{file.typed}' takes {each.dtype} ({low} to {high}){of}, but among the data is "
                f"{outside[0]:.4g}: give what it was made for, such as bytes of images or numbers "
                "of words, without a ToTensor or Normalize before; or export the model for float32"
            )


def _answers(
    file: OnnxFile, model: onnx.ModelProto, inputs: NDArray[np.float32], size: int = 0
) -> dict[str, NDArray[Any]]:
    """Return what the runtime answers, to so many at a time; by default, to as many as it takes."""
    size = size or file.fixed_batch or len(inputs)
    filled = np.resize(inputs, (-(-len(inputs) // size) * size, *inputs.shape[1:]))
    feeds = as_fed(file, filled) if model is file.given else file.inputs.feeds(filled)
    try:
        found = infer(model, feeds, settings=SessionSettings(), batch_size=size)
    except (TargetError, ExportError) as error:
        raise ConfigError(f"'{file.typed}' cannot be run on the data: {error}") from error
    return {name: values[: len(inputs)] for name, values in found.items()}


def _found(
    module: nn.Module, file: OnnxFile, inputs: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Return what a module answers, by the names of the file's outputs."""
    with redirect_stderr(StringIO()):  # to where torch.fx writes of failures, which are told here
        answers = torch_outputs(module, file.inputs.apart(inputs), file.tasks)
    return {name: answers[task] for name, task in zip(file.outputs, file.tasks, strict=True)}


def _require_same(
    module: nn.Module, file: OnnxFile, exact: onnx.ModelProto, inputs: NDArray[np.float32]
) -> None:
    wanted = _answers(file, exact, inputs)

    def answer(each: nn.Module) -> dict[str, NDArray[Any]]:
        return _found(each, file, inputs)

    try:
        found = answer(module)
    except _FAILURES as error:
        raise ConfigError(
            f"'{file.typed}' does not run on {len(inputs)} of the inputs as it was read: {error}. "
            f"{_remedy(module, file, exact, inputs)}"
        ) from error
    if other := clearly_other(wanted, found, module, answer, of_each_index):
        raise ConfigError(
            f"as it was read, '{file.typed}' answers otherwise than ONNX Runtime does of the file: "
            f"its output '{other}' {_apart(wanted[other], found[other])}. "
            f"{_remedy(module, file, exact, inputs)}"
        )


def _remedy(
    module: nn.Module, file: OnnxFile, exact: onnx.ModelProto, inputs: NDArray[np.float32]
) -> str:
    """Return what to do: about the batch only if as many items as the file takes are answered."""
    size = file.fixed_batch or 1
    filled = np.resize(inputs, (-(-len(inputs) // size) * size, *inputs.shape[1:]))
    parts = [filled[start : start + size] for start in range(0, len(filled), size)]
    wanted = _answers(file, exact, filled, size)
    try:
        answers = [_found(module, file, part) for part in parts]
        rows = {name: np.concatenate([each[name] for each in answers]) for name in wanted}
        found = {name: values[: len(filled)] for name, values in rows.items()}
    except _FAILURES:
        found = {}
    if found and not other_output(wanted, found, largest=of_each_index):
        return f"{batch_remedy(file)}; or {_GIVE}"
    place = first_difference(module, file, parts[0])
    if not place:
        return f"To go on, {_GIVE}"
    return f"The first to differ is {place}: export the model without it, or {_GIVE}"


def _require_near(
    module: nn.Module,
    file: OnnxFile,
    inputs: NDArray[np.float32],
    wanted: Mapping[str, NDArray[Any]],
) -> None:
    found = _found(module, file, inputs)
    for name, values in wanted.items():
        finite = np.abs(values[np.isfinite(values)].astype(np.float64))
        largest = float(finite.max(initial=0.0))
        if not np.allclose(found[name], values, rtol=0.0, atol=_OF_HALF * largest):
            raise ConfigError(
                f"in float32, '{file.typed}' answers otherwise than in half precision: its output "
                f"'{name}' {_apart(values, found[name])}. Export the float32 model"
            )


def _apart(wanted: NDArray[Any], found: NDArray[Any]) -> str:
    if wanted.shape != found.shape:
        return f"has shape {found.shape}, and that of the file {wanted.shape}"
    with np.errstate(invalid="ignore"):
        difference = np.nan_to_num(np.abs(found.astype(np.float64) - wanted), nan=np.inf)
    largest = float(np.abs(found).max(initial=0.0))
    return f"is off by up to {difference.max(initial=0.0):.2g}, where the largest is {largest:.2g}"

"""What a torch module answers, as named arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.core.errors import ExportError
from niwaki.core.wording import kind_of


def torch_outputs(
    module: nn.Module, inputs: Sequence[NDArray[Any]], names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Run a module in evaluation mode and return its outputs by the names of the ONNX outputs.

    Args:
        module: Returns a tensor, a sequence of tensors in the order of `names`, or a mapping from
            these names to tensors. Its mode is left as it was.
        inputs: Positional arguments.
        names: Of the outputs.

    Raises:
        ExportError: If the module returns something else, or other names.
    """
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            # Copies: some models normalise in place what they are given.
            answer = module(*(torch.from_numpy(np.array(x, order="C")) for x in inputs))
    finally:
        module.train(was_training)
    named = named_outputs(answer, names)
    if set(named) != set(names):
        raise ExportError(
            f"the torch module answers {sorted(named)}, but the ONNX model {sorted(names)}: "
            "give the module that was exported"
        )
    return {name: named[name].detach().cpu().numpy() for name in names}


def named_outputs(answer: object, names: Sequence[str]) -> dict[str, torch.Tensor]:
    """Return what a module answered by the names of its outputs.

    Args:
        answer: A tensor, a sequence of tensors in the order of `names`, or a mapping.
        names: Of the outputs.

    Raises:
        ExportError: If it is something else.
    """
    if isinstance(answer, torch.Tensor):
        return {names[0]: answer}
    if isinstance(answer, Mapping):
        return {str(name): value for name, value in answer.items()}
    if isinstance(answer, Sequence) and len(answer) == len(names):
        return dict(zip(names, answer, strict=True))
    raise ExportError(
        f"the torch module returns {kind_of(answer)}, which is not {len(names)} outputs "
        f"({', '.join(names)}): return a tensor, a sequence, or a mapping by these names"
    )

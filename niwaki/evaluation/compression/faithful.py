"""Whether a model answers the same each time, and what is written of it answers so, too."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.pruning.model_calls import repeatable
from niwaki.core.errors import ExportError
from niwaki.export.inference import infer
from niwaki.export.torch_outputs import torch_outputs
from niwaki.targets.sessions import SessionSettings

# Of the largest value: what is wrong is far beyond, what is right far below, on any processor. An
# output that is 0 but for rounding has no digits to compare.
_APART = 1e-3
_ROUNDING = 1e-6


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
    with repeatable(module):
        first, again = (torch_outputs(module, list(feeds.values()), names) for _ in range(2))
    if other := other_output(first, again):
        raise ExportError(
            f"in evaluation mode, the model's output '{other}' is another when the same is asked "
            "again: it draws random numbers, as F.dropout does without `training=self.training`, "
            "or it goes by what it saw before. What is deployed answers the same each time: "
            "let the model do so"
        )
    if other := other_output(first, infer(model, feeds, settings=SessionSettings())):
        raise ExportError(
            f"the model is written wrongly, as by torch's exporter: output '{other}' of the file "
            "is another than the model's own. Compute it by other operations; parts of the model, "
            "exported by themselves, tell which one is at fault"
        )


def mixing(module: nn.Module, inputs: NDArray[Any], names: Sequence[str]) -> str:
    """Return how an item is answered otherwise beside another than alone; empty if it is not.

    Args:
        module: In evaluation mode; left as it is.
        inputs: (2, ...).
        names: Of its outputs.
    """
    with repeatable(module):
        both = torch_outputs(module, [inputs], names)
        try:
            alone = torch_outputs(module, [inputs[:1]], names)
        except Exception as error:  # of the model's own code, which may raise anything
            return f"the model fails on one item alone ({error})"
    first = {name: each[:1] for name, each in both.items() if each.shape[:1] == (2,)}
    other = other_output(first, alone)
    return f"the answer '{other}' to an item depends on what else is in its batch" if other else ""


def other_output(wanted: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]]) -> str:
    """Return the name of the first output that differs; empty if none does."""
    for name, values in wanted.items():
        exact = values.astype(np.float64)
        largest = np.abs(exact[np.isfinite(exact)]).max(initial=0.0)
        limit = max(_APART * largest, _ROUNDING)
        if found[name].shape != exact.shape or not np.allclose(
            found[name], exact, rtol=0.0, atol=limit, equal_nan=True
        ):
            return name
    return ""

"""Statistics over channels by the names of their arguments, whichever function was called."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch.nn import functional

# `torch.batch_norm` takes other arguments than `torch.nn.functional.batch_norm`, in another order.
_STATISTICS = ("weight", "bias", "running_mean", "running_var")
_TORCHS_OWN: Mapping[str, tuple[str, ...]] = {
    "batch_norm": ("input", *_STATISTICS, "training", "momentum", "eps", "cudnn_enabled"),
    "instance_norm": ("input", *_STATISTICS, "use_input_stats", "momentum", "eps", "cudnn_enabled"),
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps", "cudnn_enable"),
    "rms_norm": ("input", "normalized_shape", "weight", "eps"),
    "group_norm": ("input", "num_groups", "weight", "bias", "eps", "cudnn_enabled"),
    **dict.fromkeys(("mean", "max", "amax", "min", "amin"), ("input", "dim", "keepdim")),
}
_ALSO = {"axis": "dim", "keepdims": "keepdim"}


def named_arguments(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a function was called with, as `torch.nn.functional` or `torch` names it.

    Args:
        name: `batch_norm`, `instance_norm`, `layer_norm`, `rms_norm`, `group_norm`, `mean`, `max`,
            `amax`, `min` or `amin`.
        function: The one of that name that was called, of `torch.nn.functional` or of `torch`.
        args: As called.
        kwargs: As called.
    """
    is_usual = function is getattr(functional, name, None)
    order = inspect.signature(function).parameters if is_usual else _TORCHS_OWN[name]
    given = dict(zip(order, args, strict=False)) | dict(kwargs)
    given = {_ALSO.get(name, name): value for name, value in given.items()}
    return {name: value for name, value in given.items() if not name.startswith("cudnn")}

"""Models as they were before `torch.compile`."""

import sys
from inspect import unwrap
from types import MethodType
from typing import Any

from torch import nn

_DYNAMO = "torch._dynamo.eval_frame"
_COMPILED = "_compiled_call_impl"  # where `module.compile()` puts it
_WRITTEN = "_torchdynamo_orig_callable"  # where a compiled function keeps what it was made from


def as_written(module: nn.Module) -> nn.Module:
    """Return a model without what `torch.compile` put around it; its parts are changed in place.

    Compiled code computes the same, but nobody can follow it, and it is no part of what is
    exported. Paths are those of the model as it was written, without `_orig_mod`.

    Args:
        module: One's own, compiled as a whole or in parts, by `torch.compile(module)`,
            `module.compile()` or `module.forward = torch.compile(module.forward)`, or not at all.
    """
    model = _unwrapped(module)
    for part in list(model.modules()):
        vars(part).pop(_COMPILED, None)
        forward: Any = vars(part).get("forward")
        if hasattr(forward, _WRITTEN) and isinstance(written := unwrap(forward), MethodType):
            vars(part)["forward"] = MethodType(written.__func__, part)
        for name, child in part._modules.items():
            if child is not None:
                part._modules[name] = _unwrapped(child)
    return model


def _unwrapped(module: nn.Module) -> nn.Module:
    dynamo = sys.modules.get(_DYNAMO)  # nothing can be compiled where it was never imported
    while dynamo is not None and isinstance(module, dynamo.OptimizedModule):
        module = module._orig_mod
    return module

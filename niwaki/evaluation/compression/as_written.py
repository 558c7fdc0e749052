"""Models as they were before `torch.compile`."""

import sys

from torch import nn

_DYNAMO = "torch._dynamo.eval_frame"
_COMPILED = "_compiled_call_impl"  # where `module.compile()` puts it


def as_written(module: nn.Module) -> nn.Module:
    """Return a model without what `torch.compile` put around it; its parts are changed in place.

    Compiled code computes the same, but nobody can follow it, and it is no part of what is
    exported. Paths are those of the model as it was written, without `_orig_mod`.

    Args:
        module: One's own, compiled as a whole or in parts, by `torch.compile(module)` or
            `module.compile()`, or not at all.
    """
    model = _unwrapped(module)
    for part in list(model.modules()):
        vars(part).pop(_COMPILED, None)
        for name, child in part._modules.items():
            if child is not None:
                part._modules[name] = _unwrapped(child)
    return model


def _unwrapped(module: nn.Module) -> nn.Module:
    dynamo = sys.modules.get(_DYNAMO)  # nothing can be compiled where it was never imported
    while dynamo is not None and isinstance(module, dynamo.OptimizedModule):
        module = module._orig_mod
    return module

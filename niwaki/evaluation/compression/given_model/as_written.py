"""Models as they were before `torch.compile`."""

import sys
from types import FunctionType, MethodType
from typing import Any

from torch import nn

from niwaki.compress.pruning.copying import copied

_DYNAMO = "torch._dynamo.eval_frame"
_WRAPPERS = "torch._dynamo.external_utils"
_COMPILED = "_compiled_call_impl"  # where `module.compile()` puts it
_WRITTEN = "_torchdynamo_orig_callable"  # where a compiled function keeps what it was made from
_INNER = "_orig_mod"  # path of a model within what `torch.compile` puts around it


def as_written(module: nn.Module) -> nn.Module:
    """Return a copy of a model without what `torch.compile` put around it.

    Compiled code computes the same, but nobody can follow it, and it is no part of what is
    exported. Paths are those of the model as it was written, without `_orig_mod`.

    Args:
        module: Anybody's, compiled as a whole or in parts, by `torch.compile(module)`,
            `module.compile()` or `module.forward = torch.compile(module.forward)`, or not at all.
    """
    copy = copied(module)
    for old, new in zip(module.modules(), copy.modules(), strict=True):
        written = _before_compiling(vars(old).get("forward"))
        if isinstance(written, MethodType) and written.__self__ is old:
            vars(new)["forward"] = MethodType(written.__func__, new)
    model = _unwrapped(copy)
    for part in list(model.modules()):
        vars(part).pop(_COMPILED, None)
        for name, child in part._modules.items():
            if child is not None:
                part._modules[name] = _unwrapped(child)
    return model


def path_as_written(path: str) -> str:
    """Return the path that a part of a model has once it is `as_written`."""
    return ".".join(name for name in path.split(".") if name != _INNER)


def _unwrapped(module: nn.Module) -> nn.Module:
    dynamo = sys.modules.get(_DYNAMO)  # nothing can be compiled where it was never imported
    while dynamo is not None and isinstance(module, dynamo.OptimizedModule):
        module = module._orig_mod
    return module


def _before_compiling(function: Any) -> Any:
    """Return what a function was compiled from; None if it is not compiled itself.

    `functools.wraps` copies the marks of a compiled function to what is around it.
    """
    written = getattr(function, _WRITTEN, None)
    if written is None or getattr(function, "__wrapped__", None) is not written:
        return None
    file = sys.modules[_WRAPPERS].__file__
    is_wrapper = isinstance(written, FunctionType) and written.__code__.co_filename == file
    return vars(written)["__wrapped__"] if is_wrapper else written

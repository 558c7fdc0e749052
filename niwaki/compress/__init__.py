"""What is done to a model: channels removed, precisions lowered.

The package is also the function: `niwaki.compress(model, ...)` is
`niwaki.study.compression.compress`, which lives above this floor and is imported on use.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """One name for the folder and for what a user calls, as the design has it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return import_module("niwaki.study.compression").compress(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage

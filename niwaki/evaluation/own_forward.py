"""One module, and its copies, called in a way of their own."""

from collections.abc import Callable
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from torch import fx, nn

from niwaki.core.errors import ConfigError


def forward_of(module: nn.Module) -> Callable[..., Any]:
    """Return the function that a module's forward pass is, which takes a module first.

    Raises:
        ConfigError: If it was assigned to this object and speaks of another one.
    """
    own = vars(module).get("forward")
    if own is None:
        return type(module).forward
    function: Callable[..., Any]
    given, named = (own.args, own.keywords) if isinstance(own, partial) else ((), {})
    method = own.func if isinstance(own, partial) else own
    if given and given[0] is module and isinstance(method, FunctionType):
        function, given = method, given[1:]
    elif isinstance(method, MethodType) and method.__self__ is module:
        function = method.__func__
    else:
        raise ConfigError(
            "the model's `forward` was replaced by a function that knows this one object, so "
            "copies of the model would compute with its layers: write it as a method of a class"
        )
    if not isinstance(own, partial):
        return function
    return lambda self, *args, **kwargs: function(self, *given, *args, **{**named, **kwargs})


def give_forward(module: nn.Module, forward: Callable[..., Any]) -> None:
    """Let a module be called by another forward pass, and copies of it, too; in place.

    Its class becomes a subclass of what it was: not by a hook, which who follows `forward`
    symbolically would not see, and not by a module around it, in which paths would be others. A
    graph module becomes an ordinary one, for copies of those make code anew.

    Args:
        module: What it is called by so far, `forward_of` says.
        forward: Takes the module first.
    """
    kind = type(module)
    vars(module).pop("forward", None)
    base = kind
    if isinstance(module, fx.GraphModule):
        vars(module).pop("_graph")
        base = nn.Module
    changed = {"forward": forward, "__module__": kind.__module__}
    module.__class__ = type(kind.__name__, (base,), changed)

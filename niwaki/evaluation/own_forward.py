"""One module, and its copies, called in a way of their own."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dis import get_instructions
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from torch import fx, nn

from niwaki.core.errors import ConfigError

_REMEDY = "so copies of the model would compute with its layers: write it as a method of a class"


def forward_of(module: nn.Module) -> Callable[..., Any]:
    """Return the function that a module's forward pass is, which takes a module first.

    Raises:
        ConfigError: If it was assigned to this object and speaks of another one.
    """
    own = vars(module).get("forward")
    if own is None:
        return type(module).forward
    given, named = (own.args, own.keywords) if isinstance(own, partial) else ((), {})
    method = own.func if isinstance(own, partial) else own
    if not isinstance(method, MethodType) or method.__self__ is not module:
        raise ConfigError(
            "the model's `forward` was replaced by a function that knows this one object, "
            + _REMEDY
        )
    function = method.__func__
    if not isinstance(own, partial):
        return function
    return lambda self, *args, **kwargs: function(self, *given, *args, **{**named, **kwargs})


def require_copyable(module: nn.Module) -> None:
    """Refuse a hook, or a `forward` that replaced a part's, that knows layers by itself.

    Of the parts alone: `forward_of` is stricter with the module's `forward`. Functions that know no
    layers, such as `lambda x: x`, are the same in every copy.

    Raises:
        ConfigError: With the path of the part.
    """
    for path, part in module.named_modules():
        if path and _knows_layers(vars(part).get("forward")):
            raise ConfigError(
                f"the `forward` of '{path}' was replaced by a function that knows layers by "
                f"itself, {_REMEDY}"
            )
        hooks = (*part._forward_pre_hooks.values(), *part._forward_hooks.values())
        if any(map(_knows_layers, hooks)):
            place = f"'{path}'" if path else "the model"
            raise ConfigError(
                f"a hook of {place} is a function that knows layers by itself, {_REMEDY}, or "
                "remove it if it only watches (`_forward_hooks.clear()` of the layer)"
            )


def _knows_layers(own: object) -> bool:
    function = own.func if isinstance(own, partial) else own
    return isinstance(function, FunctionType) and any(map(_is_layer, _known_to(function, set())))


def _known_to(function: FunctionType, seen: set[int]) -> Iterator[object]:
    """Yield what a function knows beside its arguments, and what functions that it knows do."""
    seen.add(id(function))
    for value in _named_in(function):
        inner = value
        if isinstance(value, partial):
            yield from (*value.args, *value.keywords.values())
            inner = value.func
        yield getattr(inner, "__self__", inner)  # of a method, whose it is
        if isinstance(inner, FunctionType) and id(inner) not in seen:
            yield from _known_to(inner, seen)


def _named_in(function: FunctionType) -> Iterator[object]:
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # it is empty
            yield cell.cell_contents
    names = {step.argval for step in get_instructions(function) if step.opname == "LOAD_GLOBAL"}
    for name in names & function.__globals__.keys():
        value = function.__globals__[name]
        elsewhere = getattr(value, "__module__", "") != function.__module__
        if not (isinstance(value, FunctionType) and elsewhere):  # a library's know no layers
            yield value


def _is_layer(value: object) -> bool:
    return isinstance(value, nn.Module | nn.Parameter)


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

"""One module, and its copies, called in a way of their own."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dis import get_instructions
from functools import partial
from itertools import chain
from types import FunctionType, MethodType
from typing import Any

from torch import fx, nn

from niwaki.core.errors import ConfigError
from niwaki.evaluation.forward_names import ForwardNames

_COMPILED = "_torchdynamo_orig_callable"  # in which torch.compile keeps what it was given


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
            + _remedy(own)
        )
    function = method.__func__
    if not isinstance(own, partial):
        return function
    return lambda self, *args, **kwargs: function(self, *given, *args, **{**named, **kwargs})


def require_copyable(module: nn.Module) -> None:
    """Refuse a function that knows layers by itself: a hook, or an attribute that passes call.

    A `forward` that replaced a part's is such an attribute; `forward_of` is stricter with the
    module's own. Functions that know no layers, such as `lambda x: x`, are the same in every copy,
    and methods are those of each copy. What no forward pass speaks of, such as a callback of a
    training, may know what it likes.

    Raises:
        ConfigError: With the path of the part.
    """
    called = ForwardNames(module)
    for path, part in module.named_modules():
        place = f"'{path}'" if path else "the model"
        for name, value in vars(part).items():
            if (not path and name == "forward") or (name != "forward" and name not in called):
                continue
            for own in filter(_knows_layers, _held_in(value)):
                what = "was replaced by" if name == "forward" else "holds"
                raise ConfigError(
                    f"the `{name}` of {place} {what} a function that knows layers by itself, "
                    + _remedy(own)
                )
        hooks = (*part._forward_pre_hooks.values(), *part._forward_hooks.values())
        for own in filter(_knows_layers, hooks):
            raise ConfigError(
                f"a hook of {place} is a function that knows layers by itself, {_remedy(own)}, or "
                "remove it if it only watches (`_forward_hooks.clear()` of the layer)"
            )


def _remedy(own: object) -> str:
    why = "so copies of the model would compute with its layers: "
    if hasattr(own, _COMPILED):
        return f"{why}give the model as it was before torch.compile"
    return f"{why}write it as a method of a class"


def _held_in(value: object) -> tuple[object, ...]:
    """Return what an attribute holds: itself, or what is in it, if it is a list or the like."""
    if type(value) is dict:  # hooks are kept in others
        return tuple(value.values())
    return tuple(value) if isinstance(value, list | tuple) else (value,)


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
    """Whether it holds numbers that a copy has others of: a ReLU or a loss computes the same."""
    if isinstance(value, nn.Module):
        return any(True for _ in chain(value.parameters(), value.buffers()))
    return isinstance(value, nn.Parameter)


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

"""torch's symbolic tracer, which here follows more of what models are written like."""

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import Parameter, signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn
from torch.fx import _symbolic_trace
from torch.nn.utils.parametrize import is_parametrized

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.attention import plain_forward
from niwaki.export.fast_path.in_place import OPERATORS_IN_PLACE, mark_as_part, out_of_place
from niwaki.export.fast_path.operators.indexing import assigned
from niwaki.export.fast_path.stand_ins import StandIns
from niwaki.export.graph.writer import TensorType

_NUMBERS_OF_AXES = ("dim", "ndimension")
_MAKERS = ("arange", "empty", "full", "ones", "tensor", "zeros")
# What a module decides by has to be the same for all of them.
BATCHES = (1, 2, 3, 4096)


def batches_of(module: nn.Module) -> tuple[int, ...]:
    """Return how many items to decide by: one, two others, and many.

    Some modules keep what they made for a shape, such as grids, and make it anew for another, so
    that a number of items that they have seen last is left out.
    """
    seen = {
        value[0]
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, torch.Size) and value
    }
    one, *several, many = BATCHES
    others = [*several, *range(many - len(BATCHES), many)]
    return (one, *[n for n in others if n not in seen][: len(several)], many)


class Held:
    """A tensor that a module makes of nothing when it is called: its call returns it."""

    __name__ = "held"

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __call__(self) -> torch.Tensor:
        return self.tensor.clone()  # it may be changed in place


class ForwardTracer(fx.Tracer):
    """Follows more than torch's own tracer, which knows nothing of what calls give.

    - Python may ask for whatever is the same for all inputs of these shapes, and decide by it: how
      many axes there are, how large one is, how many parts came of a split.
    - `isinstance(x, torch.Tensor)` and `torch.is_tensor(x)` are true of what is a tensor.
    - `x += y` is what changes `x`, and not `x = x + y`.
    - `x[i] = y` is what changes `x`, too.
    - Transformer layers of torch's are followed into, as if they were written plainly; so are
      functions that `torch.fx.wrap` keeps from torch's own tracer.
    - Arguments that have defaults need not be given.

    Args:
        inputs: Shape of each input, whose first dimension is the batch, and type of its numbers.
        follows_all: Whether there are stand-ins for buffers and for what is made of nothing, too,
            so that sizes of inputs may cut or make them. Else they are computed with, and what
            comes of it is in the graph.
        batches: How many items there may be.
    """

    def __init__(
        self,
        inputs: Sequence[tuple[Sequence[int], str]],
        *,
        follows_all: bool = False,
        batches: Sequence[int] = BATCHES,
    ) -> None:
        super().__init__()
        self.proxy_buffer_attributes = follows_all
        self._inputs, self._batches = inputs, batches
        self._stand_ins: list[StandIns] = []
        self._looks_ahead = False
        self._parts: set[int] = set()
        # Kept, so that what is made while they are called is known by another number.
        self._own: tuple[tuple[str, torch.Tensor], ...] = ()
        self._names: dict[int, str] = {}

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        self._parts = {id(module) for module in root.modules()}
        self._own = (*root.named_parameters(), *root.named_buffers())
        self._names = {id(tensor): name for name, tensor in reversed(self._own)}
        try:
            with self._asking(), _nothing_wrapped():
                return super().trace(root, concrete_args)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Forget the module: functions that keep answers by what was asked keep stand-ins."""
        self.root = nn.Module()
        self._own, self._names, self._stand_ins, self.tensor_attrs = (), {}, [], {}

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Any, list[Any]]:
        """Return the function, and what it is called with: a stand-in for each input."""
        del is_module, concrete_args
        n_inputs = len(self._inputs)
        given: list[Any] = []
        for parameter in list(signature(root_fn).parameters.values())[1:]:
            if parameter.kind is Parameter.VAR_POSITIONAL and len(given) < n_inputs:
                raise fx.proxy.TraceError("it takes any number of inputs: name each in `forward`")
            if parameter.kind not in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
                break
            if len(given) >= n_inputs and parameter.default is not Parameter.empty:
                break
            given.append(self.create_proxy("placeholder", parameter.name, (), {}))
        if len(given) < n_inputs:
            raise fx.proxy.TraceError(
                f"it takes {len(given)} inputs, but {n_inputs} shapes came: give one shape for each"
            )
        return root_fn, [self.root, *given]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if plain_forward(m) is not None or computes_its_weights(m):
            return False
        return super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        is_made_on_the_way = id(m) not in self._parts
        if self._looks_ahead or is_made_on_the_way:
            return forward(*args, **kwargs)
        if self.is_leaf_module(m, path := self.path_of_module(m)):
            require_no_hooks(path, m)  # now: they may be there for this call alone
        return super().call_module(m, plain_forward(m) or forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, fx.Proxy]) -> Any:
        """Return a stand-in for a parameter, and for a buffer if those have any."""
        del attr
        kinds = torch.Tensor if self.proxy_buffer_attributes else nn.Parameter
        name = self._names.get(id(attr_val)) if isinstance(attr_val, kinds) else None
        if self._looks_ahead or name is None:
            return attr_val
        if name not in parameter_proxy_cache:
            parameter_proxy_cache[name] = self.create_proxy("get_attr", name, (), {})
        return parameter_proxy_cache[name]

    def to_bool(self, obj: fx.Proxy) -> bool:
        return bool(self.known(obj))

    def iter(self, obj: Any) -> Iterator[fx.Proxy]:
        return (obj[i] for i in range(self.length(obj)))

    def known(self, proxy: fx.Proxy) -> object:
        """Return what a call gives, if that is no tensor and the same for all inputs.

        Raises:
            TraceError: If it is not.
        """
        first, *others = self._values(proxy)
        if isinstance(first, bool | int | float) and all(first == other for other in others):
            return first
        raise fx.proxy.TraceError(
            "a decision or a size depends on the numbers of the inputs, or on how many there are"
        )

    def length(self, proxy: fx.Proxy) -> int:
        """Return how long a sequence, or the first axis of a tensor, is.

        Raises:
            TraceError: If that is not the same for all inputs.
        """
        sizes = {_length(value) for value in self._values(proxy)}
        if len(sizes) == 1 and (size := sizes.pop()) is not None:
            return size
        raise fx.proxy.TraceError("a length depends on how many inputs there are")

    def n_axes(self, proxy: fx.Proxy) -> int:
        """Return how many axes a tensor has.

        Raises:
            TraceError: If that is not the same for all inputs.
        """
        values = self._values(proxy)
        counts = {len(value.dims) if isinstance(value, TensorType) else None for value in values}
        if len(counts) == 1 and (count := counts.pop()) is not None:
            return count
        raise fx.proxy.TraceError("how many axes there are depends on how many inputs there are")

    def is_tensor(self, proxy: fx.Proxy) -> bool:
        """Whether a call gives one tensor."""
        return self.kind_of(proxy) is torch.Tensor

    def dtype_of(self, proxy: fx.Proxy) -> torch.dtype | None:
        """Return the type of a tensor's numbers; None if it is no tensor."""
        value = self._values(proxy)[0]
        if not isinstance(value, TensorType):
            return None
        dtype: torch.dtype = getattr(torch, value.dtype)
        return dtype

    def kind_of(self, proxy: fx.Proxy) -> type:
        """Return the type of what a call gives."""
        if proxy.node.op == "placeholder":
            return torch.Tensor
        value = self._values(proxy)[0]
        return torch.Tensor if isinstance(value, TensorType) else type(value)

    def _values(self, proxy: fx.Proxy) -> list[object]:
        """Return what a call gives, for each size of the batch."""
        if not self._stand_ins:
            plain = {
                str(name): each
                for each, name in self.tensor_attrs.items()
                if isinstance(each, torch.Tensor)
            }
            attributes = {**plain, **dict(self._own)}
            self._stand_ins = [
                StandIns(self.root, self.graph, self._inputs, batch, attributes=attributes)
                for batch in self._batches
            ]
        self._looks_ahead = True
        try:
            return [stand_ins.value_of(proxy.node) for stand_ins in self._stand_ins]
        finally:
            self._looks_ahead = False

    def create_arg(self, a: Any) -> Any:
        if not isinstance(a, torch.Tensor):
            return super().create_arg(a)
        if (name := self._names.get(id(a))) is not None:  # torch would look through all of them
            return self.create_node("get_attr", name, (), {})
        if any(a is each for each in self.tensor_attrs):
            return super().create_arg(a)
        return self.create_node("call_function", Held(a.detach()), (), {})

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Let torch know stand-ins for tensors, and note what it makes of nothing."""
        replaced: dict[str, Callable[..., Any]] = {
            "is_tensor": lambda value: is_instance(value, torch.Tensor),
            "as_tensor": partial(_as_tensor, torch.as_tensor),
        }
        if self.proxy_buffer_attributes:
            replaced |= {name: partial(self._made, getattr(torch, name)) for name in _MAKERS}
        known = {name: getattr(torch, name) for name in replaced}
        is_instance_of_script = torch.jit.isinstance
        for name, function in replaced.items():
            setattr(torch, name, function)
        torch.jit.isinstance = partial(_is_instance_of_script, is_instance_of_script)
        try:
            yield
        finally:
            torch.jit.isinstance = is_instance_of_script
            for name, function in known.items():
                setattr(torch, name, function)

    def _made(self, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._looks_ahead:
            return make(*args, **kwargs)
        return self.create_proxy("call_function", make, args, kwargs)


@contextmanager
def _nothing_wrapped() -> Iterator[None]:
    """Follow into functions that were marked by `torch.fx.wrap`, inside of the block."""
    functions, methods = (
        _symbolic_trace._wrapped_fns_to_patch,
        _symbolic_trace._wrapped_methods_to_patch,
    )
    kept = dict(functions), list(methods)
    functions.clear()
    methods.clear()
    try:
        yield
    finally:
        functions.update(kept[0])
        methods.extend(kept[1])


def computes_its_weights(module: nn.Module) -> bool:
    """Whether a layer's weights are made when it is called, by torch's own functions for that.

    These are parametrizations, and the hooks of `weight_norm` and `spectral_norm`.
    """
    hooks = module._forward_pre_hooks.values()
    are_torchs = all(type(hook).__module__.startswith("torch.nn.utils.") for hook in hooks)
    return is_parametrized(module) or (bool(hooks) and are_torchs)


def require_no_hooks(path: str, module: nn.Module) -> None:
    """Refuse a module that is not followed into, of which hooks may change what it computes.

    Raises:
        ExportError: If it has any, or a `forward` of its own.
    """
    if module._forward_hooks or module._forward_pre_hooks or "forward" in module.__dict__:
        raise ExportError(
            f"{path or 'the module'} ({type(module).__name__}) has hooks or a `forward` of its "
            "own, which are not followed symbolically. Use export_module, which calls them"
        )


def is_instance(value: object, kinds: Any) -> bool:
    """Answer as `isinstance` would of what a call gives, where it is asked of a stand-in."""
    if isinstance(value, _Proxy) and issubclass(value.tracer.kind_of(value), kinds):
        return True
    return isinstance(value, kinds)


def is_callable(value: object) -> bool:
    """Answer as `callable` would of what a call gives: a method may be called, and a tensor not."""
    return isinstance(value, _Attribute) or (not isinstance(value, _Proxy) and callable(value))


def integer(value: Any = 0, *base: Any) -> Any:
    """Return `int(value)`; of a number that grows with the batch, a stand-in for it."""
    if not isinstance(value, _Proxy) or value.tracer.kind_of(value) not in (int, float):
        return int(value, *base)
    try:
        return int(value)
    except fx.proxy.TraceError:
        return value.tracer.create_proxy("call_function", math.trunc, (value,), {})


def _is_instance_of_script(known: Callable[..., bool], value: object, kinds: Any) -> bool:
    """Answer as `torch.jit.isinstance` would of what a call gives."""
    if not isinstance(value, _Proxy):
        return known(value, kinds)
    if not isinstance(kinds, type):
        raise fx.proxy.TraceError(f"a decision depends on whether something is {kinds}")
    return is_instance(value, kinds)


def _as_tensor(known: Callable[..., Any], data: Any, *args: Any, **kwargs: Any) -> Any:
    """Return a stand-in for a tensor as it is, or in another type."""
    if not is_instance(data, torch.Tensor) or isinstance(data, torch.Tensor):
        return known(data, *args, **kwargs)
    return data.to(*args, **kwargs) if args or kwargs else data


def _length(value: object) -> int | None:
    match value:
        case TensorType(dims):
            return dims[0] if dims else None
        case tuple() | dict():
            return len(value)
    return None


class _Proxy(fx.Proxy):
    tracer: ForwardTracer

    def __index__(self) -> int:
        return operator.index(self.tracer.known(self))  # type: ignore[arg-type]

    def __int__(self) -> int:
        return int(self.tracer.known(self))  # type: ignore[call-overload, no-any-return]

    def __float__(self) -> float:
        return float(self.tracer.known(self))  # type: ignore[arg-type]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy
        return np.asarray(self.tracer.known(self), dtype)

    def __len__(self) -> int:
        return self.tracer.length(self)

    def __getattr__(self, k: str) -> Any:
        if k == "dtype" and (dtype := self.tracer.dtype_of(self)) is not None:
            return dtype
        if k.startswith("__array_"):  # numpy is to ask for the number itself
            raise AttributeError(k)
        if k == "ndim" and self.tracer.is_tensor(self):
            return self.tracer.n_axes(self)
        return _Attribute(self, k)

    def __setitem__(self, index: Any, value: Any) -> None:
        made = self.tracer.create_proxy("call_function", assigned, (self, index, value), {})
        part = value.node if isinstance(value, fx.Proxy) else None
        if part is not None and part.target in OPERATORS_IN_PLACE:
            source: Any = part.args[0]
            is_read = getattr(source, "target", None) is operator.getitem
            if is_read and source.args == made.node.args[:2]:
                # `x[i] += y` reads a part, changes it, and assigns it to where it is from.
                part.target = out_of_place(part.target)
                mark_as_part(part)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("node", "tracer") and name in dir(torch.Tensor):
            raise TypeError(f"`{name}` of a tensor is assigned")
        super().__setattr__(name, value)


class _Attribute(fx.proxy.Attribute, _Proxy):
    """What a tensor has, such as its shape, or a method that is called next."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.attr in _NUMBERS_OF_AXES and not args and self.tracer.is_tensor(self.root):
            return self.tracer.n_axes(self.root)
        return super().__call__(*args, **kwargs)


def _in_place(function: Callable[..., Any]) -> Callable[[fx.Proxy, Any], fx.Proxy]:
    def method(self: fx.Proxy, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", function, (self, other), {})

    return method


for _function in OPERATORS_IN_PLACE:
    setattr(_Proxy, f"__{_function.__name__}__", _in_place(_function))

"""torch's symbolic tracer, which here follows more of what models are written like."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import fx, nn

from niwaki.export.fast_path.attention import plain_forward
from niwaki.export.fast_path.in_place import OPERATORS_IN_PLACE

_MAKERS = ("arange", "full", "ones", "tensor", "zeros")


class Held:
    """A tensor that a module makes of nothing when it is called: its call returns it."""

    __name__ = "held"

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __call__(self) -> torch.Tensor:
        return self.tensor


class ForwardTracer(fx.Tracer):
    """Follows `x += y` as what changes `x`: torch's own tracer takes it for `x = x + y`.

    Transformer layers of torch's are followed into, as if they were written plainly.

    Args:
        follows_all: Whether there are stand-ins for buffers and for what is made of nothing, too,
            so that sizes of inputs may cut or make them. Else they are computed with, and what
            comes of it is in the graph.
    """

    def __init__(self, *, follows_all: bool = False) -> None:
        super().__init__()
        self.proxy_buffer_attributes = follows_all

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        with self._making() if self.proxy_buffer_attributes else nullcontext():
            return super().trace(root, concrete_args)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return plain_forward(m) is None and super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        return super().call_module(m, plain_forward(m) or forward, args, kwargs)

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, torch.Tensor) and not self._is_attribute(a):
            return self.create_node("call_function", Held(a.detach()), (), {})
        return super().create_arg(a)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def _is_attribute(self, tensor: torch.Tensor) -> bool:
        known = (*self.root.parameters(), *self.root.buffers(), *self.tensor_attrs)
        return any(tensor is each for each in known)

    @contextmanager
    def _making(self) -> Iterator[None]:
        """Let what torch makes of nothing be noted, inside the block."""
        makers = {name: getattr(torch, name) for name in _MAKERS}
        for name, make in makers.items():
            setattr(torch, name, partial(self._made, make))
        try:
            yield
        finally:
            for name, make in makers.items():
                setattr(torch, name, make)

    def _made(self, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self.create_proxy("call_function", make, args, kwargs)


class _Proxy(fx.Proxy):
    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("node", "tracer") and name in dir(torch.Tensor):
            raise TypeError(f"`{name}` of a tensor is assigned")
        super().__setattr__(name, value)


def _in_place(function: Callable[..., Any]) -> Callable[[fx.Proxy, Any], fx.Proxy]:
    def method(self: fx.Proxy, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", function, (self, other), {})

    return method


for _function in OPERATORS_IN_PLACE:
    setattr(_Proxy, f"__{_function.__name__}__", _in_place(_function))

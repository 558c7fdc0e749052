"""A model in which the channels of a plan are switched off, and back on afterwards."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from niwaki.compress.pruning.call_sites import CallSite, ModuleStack
from niwaki.compress.pruning.model_calls import KeptState, let_forget
from niwaki.compress.pruning.norm_calls import named_arguments
from niwaki.compress.pruning.plan import PruningPlan, StatisticsCut
from niwaki.compress.pruning.provenance import tensors_in
from niwaki.compress.pruning.rebuilding import check_fits
from niwaki.compress.pruning.tracer import canonical_name


@contextmanager
def masked(module: nn.Module, plan: PruningPlan) -> Iterator[nn.Module]:
    """Let `module` compute what the pruned model would, inside the block, without rebuilding it.

    The slices of parameters that the plan removes are zero inside the block, and normalisations
    over channels leave the removed ones out. On leaving, parameters, buffers and anything that was
    recalibrated in them are as before, to the bit, and so is what the model keeps in attributes.

    Args:
        module: The whole model, on any device.
        plan: Made for it.

    Yields:
        The same module.

    Raises:
        SpaceError: If the plan does not fit the model.
    """
    check_fits(module, plan)
    parameters = dict(module.named_parameters())
    touched = {cut.tensor for cut in plan.cuts if cut.tensor in parameters}
    saved = {name: parameters[name].data for name in touched}
    kept = KeptState(module)
    try:
        with torch.no_grad():
            for name in touched:
                parameters[name].data = saved[name].clone()
            for cut in plan.cuts:
                if cut.tensor in touched:
                    index = torch.tensor(cut.removed, device=parameters[cut.tensor].device)
                    parameters[cut.tensor].index_fill_(cut.dim, index, 0.0)
        let_forget(module)
        with ExitStack() as stack:
            if plan.statistics:
                modules = stack.enter_context(ModuleStack(module).watching())
                stack.enter_context(_KeptStatistics(modules, plan.statistics))
            yield module
    finally:
        with torch.no_grad():
            for name, values in saved.items():
                parameters[name].data = values
        kept.restore()


class _KeptStatistics(TorchFunctionMode):
    """Replaces the norms, means and extremes of a plan by such that leave removed channels out."""

    def __init__(self, stack: ModuleStack, cuts: tuple[StatisticsCut, ...]) -> None:
        super().__init__()
        self._stack = stack
        self._cuts: dict[CallSite, StatisticsCut] = {cut.site: cut for cut in cuts}

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = canonical_name(func)
        if name in _STATISTICS:
            site = self._stack.site()
            if site in self._cuts:
                given = named_arguments(name, func, args, kwargs)
                return _STATISTICS[name](self._cuts[site], given.pop("input"), **given)
            return func(*args, **kwargs)
        out = func(*args, **kwargs)
        if tensors_in(args[0] if name == "setitem" else out):
            self._stack.site()
        return out


def _mask(cut: StatisticsCut, like: Tensor) -> Tensor:
    mask = torch.ones(cut.size, dtype=like.dtype, device=like.device)
    mask[list(cut.removed)] = 0
    return mask


def _layer_norm(
    cut: StatisticsCut,
    x: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    mask = _mask(cut, x).reshape(cut.shape)
    dims = tuple(range(x.ndim - len(normalized_shape), x.ndim))
    y = _standardised(x, mask, dims, eps)
    return _affine(y, weight, bias)


def _rms_norm(
    cut: StatisticsCut,
    x: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    mask = _mask(cut, x).reshape(cut.shape)
    dims = tuple(range(x.ndim - len(normalized_shape), x.ndim))
    n_kept = _n_kept(x, mask, dims)
    square = (x * x * mask).sum(dims, keepdim=True) / n_kept
    y = x * mask * torch.rsqrt(square + (torch.finfo(x.dtype).eps if eps is None else eps))
    return _affine(y, weight, None)


def _group_norm(
    cut: StatisticsCut,
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    shape = (x.shape[0], num_groups, x.shape[1] // num_groups, *x.shape[2:])
    mask = _mask(cut, x).reshape(num_groups, -1, *(1,) * (x.ndim - 2))
    y = _standardised(x.reshape(shape), mask, tuple(range(2, x.ndim + 1)), eps).reshape(x.shape)
    sides = (-1, *(1,) * (x.ndim - 2))
    return _affine(
        y,
        None if weight is None else weight.reshape(sides),
        None if bias is None else bias.reshape(sides),
    )


def _batch_norm(
    cut: StatisticsCut,
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    del running_mean, running_var, training, momentum  # there are no running statistics
    dims = tuple(d for d in range(x.ndim) if d != 1)
    y = _standardised(x, _mask(cut, x).reshape(cut.shape), dims, eps)
    sides = (-1, *(1,) * (x.ndim - 2))
    return _affine(
        y,
        None if weight is None else weight.reshape(sides),
        None if bias is None else bias.reshape(sides),
    )


def _standardised(x: Tensor, mask: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    n_kept = _n_kept(x, mask, dims)
    mean = (x * mask).sum(dims, keepdim=True) / n_kept
    centred = (x - mean) * mask
    variance = (centred * centred).sum(dims, keepdim=True) / n_kept
    return centred * torch.rsqrt(variance + eps)


def _n_kept(x: Tensor, mask: Tensor, dims: tuple[int, ...]) -> Tensor:
    return mask.expand(x.shape[x.ndim - mask.ndim :]).expand(x.shape).sum(dims, keepdim=True)


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _mean(
    cut: StatisticsCut,
    x: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    dtype: torch.dtype | None = None,
) -> Tensor:
    x = x if dtype is None else x.to(dtype)
    mask = _mask(cut, x).reshape(cut.shape).expand(x.shape)
    dims = tuple(range(x.ndim)) if dim is None else dim
    return (x * mask).sum(dims, keepdim) / mask.sum(dims, keepdim)


def _extreme(name: str, worst: float) -> Callable[..., Any]:
    def function(cut: StatisticsCut, x: Tensor, **settings: Any) -> Any:
        is_gone = _mask(cut, x).reshape(cut.shape) == 0
        return getattr(torch, name)(x.masked_fill(is_gone, worst), **settings)

    return function


_STATISTICS: Mapping[str, Callable[..., Any]] = {
    "mean": _mean,
    "max": _extreme("max", -torch.inf),
    "amax": _extreme("amax", -torch.inf),
    "min": _extreme("min", torch.inf),
    "amin": _extreme("amin", torch.inf),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
}

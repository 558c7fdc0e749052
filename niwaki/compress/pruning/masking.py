"""A model in which the channels of a plan are switched off, and back on afterwards."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from niwaki.compress.pruning.call_sites import CallSite, ModuleStack
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
    recalibrated in them are as before, to the bit.

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
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    try:
        with torch.no_grad():
            for name in touched:
                parameters[name].data = saved[name].clone()
            for cut in plan.cuts:
                if cut.tensor in touched:
                    index = torch.tensor(cut.removed, device=parameters[cut.tensor].device)
                    parameters[cut.tensor].index_fill_(cut.dim, index, 0.0)
        with ExitStack() as stack:
            if plan.statistics:
                modules = stack.enter_context(ModuleStack(module).watching())
                stack.enter_context(_KeptStatistics(modules, plan.statistics))
            yield module
    finally:
        with torch.no_grad():
            for name, values in saved.items():
                parameters[name].data = values
            for name, buffer in module.named_buffers():
                if name in buffers and buffer.shape == buffers[name].shape:
                    buffer.copy_(buffers[name])


class _KeptStatistics(TorchFunctionMode):
    """Replaces the normalisations of a plan by such that leave the removed channels out."""

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
        if name in _NORMS:
            site = self._stack.site()
            if site in self._cuts:
                given = named_arguments(name, func, args, kwargs)
                return _NORMS[name](self._cuts[site], given.pop("input"), **given)
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


def _mean(
    cut: StatisticsCut, x: Tensor, dim: Any, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    mask = _mask(cut, x)
    total = (x * mask.reshape(cut.shape)).sum(dim, keepdim=keepdim, dtype=dtype)
    return total / mask.sum()


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


_NORMS: Mapping[str, Callable[..., Tensor]] = {
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "mean": _mean,
}

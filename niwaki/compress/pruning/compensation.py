"""Weights of the layers that read channels, fitted anew to the channels that stay.

A channel that is removed is rarely alone in what it says. What the others say of it, linearly, goes
into the weights that read them, in closed form: no labels, no gradients, one pass over some inputs.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.model_calls import call_model
from niwaki.compress.pruning.plan import Cut, PruningPlan
from niwaki.compress.pruning.rebuilding import apply_plan, kept_indices
from niwaki.core.errors import DataError

M = TypeVar("M", bound=nn.Module)

_RIDGE = 1e-3  # of the mean square of the kept channels
_TINY = 1e-12
_MOST_CHANNELS = 2048  # of an input: its moments are the square of it
_MOST_ROWS = 2**15  # of input vectors per call: large images have far more than are needed
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, eq=False)
class InputMoments:
    """How the channels that each layer reads vary together.

    Attributes:
        second: (c, c) float64 means of products of two input channels, by path of the layer.
        n: Number of input vectors that these are means of, by path.
    """

    second: Mapping[str, Tensor]
    n: Mapping[str, int]


def input_moments(module: nn.Module, batches: Iterable[Any]) -> InputMoments:
    """Run a whole model over inputs and note how the channels of each layer's input vary together.

    Only of plain convolutions and linear layers, those whose weights multiply every input channel
    with every output channel, and of none with more than 2048 inputs. A layer that is called
    several times has the moments of all calls. Layers whose inputs are not finite are left out, and
    those that share their weight with another layer, which reads other channels.

    Args:
        module: In evaluation mode; not changed.
        batches: Of inputs as the module takes them, on its device.

    Raises:
        DataError: If there is no batch.
    """
    owners = Counter(id(p) for m in module.modules() for p in m.parameters(recurse=False))
    sums = {
        path: _Sums()
        for path, layer in module.named_modules()
        if _is_plain(layer)
        and layer.weight.shape[1] <= _MOST_CHANNELS
        and owners[id(layer.weight)] == 1
    }
    handles = [
        module.get_submodule(path).register_forward_pre_hook(_watching(total), with_kwargs=True)
        for path, total in sums.items()
    ]
    n_batches = 0
    try:
        with torch.no_grad():
            for batch in batches:
                call_model(module, batch)
                n_batches += 1
    finally:
        for handle in handles:
            handle.remove()
    if not n_batches:
        raise DataError("moments of channels need at least one batch of inputs, and none came")
    known = {path: s for path, s in sums.items() if s.n and s.mean().isfinite().all()}
    return InputMoments(
        {path: s.mean() for path, s in known.items()}, {path: s.n for path, s in known.items()}
    )


def compensated_weights(
    module: nn.Module, plan: PruningPlan, moments: InputMoments
) -> dict[str, Tensor]:
    """Return weights that make up for what a plan removes from the inputs of layers, by name.

    Each is as large as before: zero where the plan removes something. What the removed input
    channels R contributed is regressed on those that stay, K, and goes into their weights:
    `W[K] + W[R] S[R, K] (S[K, K] + ridge)^-1`, with the second moments S of the input channels.
    Where these are known from few inputs, the ridge is wide and the weights stay as they are.
    Spatial taps are treated alike.

    Args:
        module: The whole model that the plan was made for.
        plan: What goes.
        moments: Of that model.

    References:
        He, Zhang and Sun, ICCV 2017, "Channel pruning for accelerating very deep neural networks",
        equation 1, the reconstruction; here from moments of channels, for any choice of channels.
    """
    return WeightFits(module, moments).of(plan)


class WeightFits:
    """Fits the weights of one model for one plan after the other, as `compensated_weights` does.

    A weight that loses the same inputs in two plans in a row is fitted once, so that plans which
    differ in one group cost what that group does.

    Args:
        module: The whole model, whose weights stay.
        moments: Of that model.
    """

    def __init__(self, module: nn.Module, moments: InputMoments) -> None:
        self._module, self._moments = module, moments
        self._latest: dict[Cut, Tensor] = {}

    def of(self, plan: PruningPlan) -> dict[str, Tensor]:
        """Return the fitted weights of a plan, by name, not to be changed."""
        weights = dict(self._module.named_parameters())
        before = self._latest
        self._latest = {
            cut: before[cut] if cut in before else self._fit(weights[cut.tensor].detach(), cut)
            for cut in plan.cuts
            if cut.dim == 1 and cut.tensor == f"{_path(cut)}.weight" and _path(cut) in self._second
        }
        fitted = {cut.tensor: weight for cut, weight in self._latest.items()}
        for cut in plan.cuts:
            if cut.dim != 1 and cut.tensor in fitted:
                removed = torch.tensor(cut.removed, device=fitted[cut.tensor].device)
                fitted[cut.tensor] = fitted[cut.tensor].index_fill(cut.dim, removed, 0.0)
        return fitted

    @property
    def _second(self) -> Mapping[str, Tensor]:
        return self._moments.second

    def _fit(self, weight: Tensor, cut: Cut) -> Tensor:
        return _fitted(weight, cut, self._second[_path(cut)], n=self._moments.n[_path(cut)])


def _path(cut: Cut) -> str:
    """Return the path of the module whose parameter is cut."""
    return cut.tensor.rpartition(".")[0]


def compensated(module: M, plan: PruningPlan, moments: InputMoments | None) -> M:
    """Return a smaller copy of a model, as `apply_plan` does, with weights that make up for it.

    Args:
        module: The whole model that the plan was made for; not touched.
        plan: What goes.
        moments: Of the model; None leaves the weights as they are.
    """
    if moments is None:
        return apply_plan(module, plan)
    copy = copied(module)
    set_weights(copy, compensated_weights(module, plan, moments))
    return apply_plan(copy, plan)


def set_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy values into parameters of a module, by name."""
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, weight in weights.items():
            parameters[name].copy_(weight)


def _fitted(weight: Tensor, cut: Cut, second: Tensor, *, n: int) -> Tensor:
    second = second.to(weight.device)
    kept = kept_indices(cut).to(weight.device)
    removed = torch.tensor(cut.removed, device=weight.device)
    inner = second[kept][:, kept]
    ridge = (_RIDGE + len(inner) / n) * inner.diagonal().mean().clamp(min=_TINY)
    inner = inner + ridge * torch.eye(len(inner), dtype=inner.dtype, device=inner.device)
    mixing = torch.linalg.solve(inner, second[kept][:, removed])  # (n_kept, n_removed)
    taps = weight.to(second.dtype).movedim(1, -1)  # (out, ..., c)
    fitted = torch.zeros_like(taps)
    fitted[..., kept] = taps[..., kept] + taps[..., removed] @ mixing.T
    return fitted.movedim(-1, 1).to(weight.dtype)


class _Sums:
    """Second moments in the making."""

    def __init__(self) -> None:
        self.n = 0
        self._total: Tensor | None = None

    def add(self, channels: Tensor) -> None:
        """Take in (n, c) values."""
        values = _some(channels).double()
        product = values.T @ values
        self._total = product if self._total is None else self._total + product
        self.n += len(values)

    def mean(self) -> Tensor:
        assert self._total is not None
        return self._total / self.n


def _some(rows: Tensor) -> Tensor:
    """Return rows, or so many of them, drawn at random: a regular step might miss columns."""
    if len(rows) <= _MOST_ROWS:
        return rows
    generator = torch.Generator().manual_seed(0)
    return rows[torch.randint(len(rows), (_MOST_ROWS,), generator=generator).to(rows.device)]


def _is_plain(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, _CONVOLUTIONS) and layer.groups == 1)


def _watching(total: _Sums) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    def watch(layer: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        values: Tensor = (arguments[0] if arguments else named["input"]).detach()
        if isinstance(layer, _CONVOLUTIONS):
            values = values.movedim(-1 - len(layer.kernel_size), -1)
        total.add(values.reshape(-1, values.shape[-1]))

    return watch

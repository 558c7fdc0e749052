"""What is the same for all inputs of a shape may be decided by; what is not is refused."""

import gc
import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph
from tests.export.fast_path import own_functions
from tests.export.fast_path.own_functions import halves
from tests.export.fast_path.test_fx_graph import check_equal
from tests.export.networks import settled

SHAPE = (1, 6, 4)


class Layers(nn.Module):
    """Layers, and a function of them and an input."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(6)
        self.register_buffer("table", torch.arange(50.0).reshape(10, 5))
        self.steps = torch.arange(4)
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def checked(module: Any, x: Any) -> Any:
    assert x.ndim == 3 and x.shape[-1] == module.linear.in_features
    if x.dim() == 4 or not x.is_floating_point():
        raise ValueError("another input")
    return module.linear(x)


def asked_for_its_type(module: Any, x: Any) -> Any:
    y: Any = module.linear(x) if isinstance(x, Tensor) else x
    size, parts = x.shape[2], x.chunk(2, 1)
    y = y * size if isinstance(size, int) and not isinstance(size, Tensor) else y
    y = y + parts[0].sum(1, keepdim=True) if isinstance(parts, (list, tuple)) else y
    return torch.relu(y) if isinstance(y, Tensor) else y


def one_by_one(module: Any, x: Any) -> Any:
    steps = [module.linear(x[:, i]) for i in range(x.shape[1])]
    return torch.stack(steps, 1) / math.sqrt(x.size(-1)) * float(x.size(2)) * int(x.shape[2])


@torch.fx.wrap
def kept_apart(x: Any, size: int) -> Any:
    return x * 2 if x.shape[-1] == size else x


def kept_for_later(module: Any, x: Any) -> Any:
    if getattr(module, "kept", None) is None:
        module.kept = torch.zeros(x.shape[0], 1, 1) + module.linear.bias
    return x + module.kept


def buffer_put_in_place(module: Any, x: Any) -> Any:
    module.table = torch.arange(float(x.shape[-1]), device=x.device).to(x.dtype)
    return x * module.table


def table_put_in_its_place(module: Any, x: Any) -> Any:
    module.steps = module.steps.type_as(x)
    y = module.linear(x) - module.steps
    return y.reshape(-1, *y.shape[1:]) + module.steps


def windows_put_together(module: Any, x: Any) -> Any:
    """Cut (batch, 6, 4) into windows of 2 x 2, and count the items by the windows."""
    windows = module.linear(x).view(-1, 3, 2, 2, 2).permute(0, 1, 3, 2, 4).reshape(-1, 2, 2)
    batch = int(windows.shape[0] / (6 * 4 / 2 / 2))
    size = int(x.shape[2] / 2)
    return windows.view(batch, 3, 2, size, 2).permute(0, 1, 3, 2, 4).reshape(batch, 6, -1)


def windows_of_a_kind(module: Any, x: Any) -> Any:
    y = module.linear(x)
    return y.view(int(y.shape[0]), 6, -1) if type(x.ndim) is int else x


FOLLOWED: dict[str, Callable[[Any, Any], Any]] = {
    "asked for its type": asked_for_its_type,
    "checks": checked,
    "step by step": one_by_one,
    "sizes handed on": lambda m, x: m.linear(x).view(*x.shape[:-1], 2, 2),
    "sizes in a list": lambda m, x: m.linear(x).reshape([*x.shape[:2], -1]),
    "parts of a list": lambda _, x: torch.cat([part * 2 for part in x.chunk(3, 1)], 1),
    "parts in reverse": lambda _, x: torch.cat(list(reversed(list(x.split(2, dim=1)))), 1),
    "the smaller size": lambda _, x: x[:, : min(x.shape[1], x.shape[2])],
    "how many axes": lambda _, x: x.flatten(len(x.shape) - 2),
    "a buffer that is cut": lambda m, x: x + m.table[: x.shape[1], : x.shape[2]],
    "after a layer that is not torch's": lambda m, x: m.norm(x)[:, : m.norm(x).shape[1] // 2],
    "is it a tensor": lambda m, x: m.linear(x) if torch.is_tensor(x) else x,
    "zeros for each": lambda _, x: torch.cat([torch.zeros(x.shape[0], 2, 4), x], 1),
    "what is wrapped": lambda m, x: kept_apart(m.linear(x), 4),
    "layers made on the way": lambda m, x: nn.ReLU()(nn.Sequential(nn.Softmax(-1))(m.linear(x))),
    "by its type": lambda m, x: (
        x.clamp(min=torch.finfo(x.dtype).min / 2) * (x.dtype == m.table.dtype)
    ),
    "kept for later": kept_for_later,
    "a buffer that is another": buffer_put_in_place,
    "in a file of its own": lambda m, x: halves(m.linear(x)),
    "in a module of its own": lambda m, x: own_functions.halves(m.linear(x)),
    "beside what is not installed": lambda m, x: own_functions.twice(m.linear(x)),
    "found by the number of axes": lambda m, x: {2: x, 3: m.linear(x)}[x.ndim] * {3: 2}[x.dim()],
    "asked of its data": lambda m, x: m.linear(x.data).reshape(-1, x.data.shape[1], 4),
    "a table that is another": table_put_in_its_place,
    "is it a tensor for a script": lambda m, x: (
        m.linear(x) if torch.jit.isinstance(x, Tensor) else x  # type: ignore[no-untyped-call]
    ),
    "as a tensor": lambda m, x: (
        torch.as_tensor(m.linear(x)) + torch.as_tensor(x > 0, dtype=x.dtype)
    ),
    "windows put together": windows_put_together,
    "numpy of a size": lambda m, x: (
        m.linear(x)[:, : int(np.ceil(x.shape[1] / 4))] / np.sqrt(x.shape[-1])
    ),
    "full of a number of its own": lambda m, x: (
        x + torch.full((x.shape[1], 1), m.table[3, 2], device=x.device, dtype=x.dtype),
        x + x.new_full((x.shape[0], 6, 1), 2.0) * x.new_full((4,), m.table[1, 1]),
    ),
    "called where it can be": lambda m, x: x() if callable(x) else m.linear(x.relu()),
    "an axis by its number": lambda _, x: x.sum(x.ndim - 1) * float(x.ndim),
}


@pytest.mark.parametrize("name", list(FOLLOWED))
def test_what_is_known_of_an_input_is_followed(name: str) -> None:
    check_equal(settled(Layers(FOLLOWED[name])), SHAPE)


REFUSED: dict[str, Callable[[Any, Any], Any]] = {
    "values": lambda _, x: x if x.sum() > 0 else -x,
    "the batch": lambda _, x: x if x.shape[0] > 2 else -x,
    "one alone": lambda _, x: x if x.shape[0] > 1 else -x,
    "many": lambda _, x: x if x.shape[0] < 1000 else -x,
    "each item": lambda _, x: torch.stack([item * 2 for item in x]),
    "as many steps as items": lambda _, x: sum(x * i for i in range(x.shape[0])),
    "an integer that is a class, too": windows_of_a_kind,
    "an item's value": lambda _, x: x * float(x[0, 0, 0]),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(ExportError, match="cannot be traced symbolically"):
        build_graph(settled(Layers(REFUSED[name])), [SHAPE])


@pytest.mark.parametrize("part", [nn.Dropout(), nn.BatchNorm1d(6), nn.AlphaDropout()])
def test_a_part_that_stays_in_training_mode_is_refused(part: nn.Module) -> None:
    module = nn.Sequential(nn.Linear(4, 4), part).eval()
    part.train()
    with pytest.raises(ExportError, match=r"^1 \(.*\) is in training mode"):
        build_graph(module, [SHAPE])


class Optional(nn.Module):
    """Takes more than it needs."""

    def forward(self, x: Tensor, factor: Tensor | None = None, shift: float = 1.0) -> Tensor:
        return (x if factor is None else x * factor) + shift


def test_what_has_a_default_need_not_be_given() -> None:
    check_equal(Optional().eval(), SHAPE)
    both = build_graph(Optional().eval(), [SHAPE, SHAPE])
    with pytest.raises(ExportError, match="takes 3 inputs, but 4 shapes came"):
        build_graph(Optional().eval(), [SHAPE] * 4)
    assert [info.name for info in both.graph.input] == ["x", "factor"]


class AnyNumber(nn.Module):
    def forward(self, *inputs: Tensor) -> Tensor:
        return inputs[0] + inputs[1]


def test_any_number_of_inputs_is_refused() -> None:
    with pytest.raises(ExportError, match="takes any number of inputs"):
        build_graph(AnyNumber().eval(), [SHAPE, SHAPE])


def test_looking_ahead_leaves_the_module_as_it_was() -> None:
    module = settled(Layers(FOLLOWED["after a layer that is not torch's"]))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    attributes = set(vars(module))
    first = build_graph(module, [SHAPE]).SerializeToString()
    assert build_graph(module, [SHAPE]).SerializeToString() == first
    assert set(vars(module)) == attributes
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, before[name])
    assert torch.zeros(2).tolist() == [0, 0]


def grid_of_its_own(module: Any, x: Any) -> Any:
    if module.shape != x.shape:
        module.shape, module.grid = x.shape, torch.arange(x.shape[-1]).to(x.dtype)
    return module.linear(x) + module.grid


@pytest.mark.parametrize("n_seen", [0, 2, 3])
def test_what_is_kept_for_a_shape_is_followed(n_seen: int) -> None:
    module: Any = settled(Layers(grid_of_its_own))
    module.shape, module.grid = torch.Size(), torch.zeros(4)
    if n_seen:
        module(torch.zeros(n_seen, *SHAPE[1:]))
    check_equal(module, SHAPE)


def test_a_module_is_forgotten_where_functions_keep_what_they_were_asked() -> None:
    module = settled(Layers(lambda m, x: m.linear(x) * own_functions.n_values(x.shape)))
    check_equal(module, SHAPE)
    kept = weakref.ref(next(module.parameters()))
    del module
    gc.collect()
    assert kept() is None

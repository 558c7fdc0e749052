"""Closed forms of shapes say what torch does."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.fast_path.shape_rules import recurrent


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("shape", [(4, 7, 6), (7, 6)])
@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True),
        nn.LSTM(6, 5, proj_size=3),
        nn.GRU(6, 5, bidirectional=True),
        nn.RNN(6, 5, 3, batch_first=True),
    ],
)
def test_shapes_of_recurrent_layers(layer: nn.RNNBase, shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape)
    for ours, theirs in zip(_flat(recurrent(layer, x)), _flat(layer(x)), strict=True):
        assert ours.shape == theirs.shape


class Tagger(nn.Module):
    """Starts from states that it makes, as tutorials do."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.head = nn.GRU(6, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        start = torch.zeros(1, x.shape[0], 5)
        tags: Tensor = self.head(self.memory(x, start)[0])
        return tags


def test_a_longer_sequence_takes_no_more_calls() -> None:
    tagger = Tagger().eval()
    assert _calls_of_torch(tagger, n_steps=40) == _calls_of_torch(tagger, n_steps=4)


def _calls_of_torch(module: nn.Module, *, n_steps: int) -> int:
    counted = Counted()
    with counted:
        build_graph(module, [(1, n_steps, 6)])
    return counted.n_calls


class Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operators that torch runs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.n_calls = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.n_calls += 1
        return func(*args, **(kwargs or {}))


def _flat(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    return [each for part in outputs for each in _flat(part)]

"""Calls of models that leave something behind."""

from typing import Any

import torch
from torch import Tensor, nn

from niwaki.compress.pruning.model_calls import repeatable


class Listening(nn.Module):
    """Sums what its layers give, heard by hooks that it hangs up when it is first called."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "heard"):
            self.heard: list[Tensor] = []
            for layer in self.layers:
                layer.register_forward_hook(self._hear)
        self.heard.clear()
        for layer in self.layers:
            x = layer(x)
        return torch.stack(self.heard).sum(0)

    def _hear(self, _: nn.Module, inputs: Any, output: Tensor) -> None:
        del inputs
        self.heard.append(output)


def test_hooks_that_a_pass_hangs_up_are_taken_down() -> None:
    model, x = Listening().eval(), torch.randn(2, 4)
    with repeatable(model):
        first = model(x)
    with repeatable(model):
        again = model(x)
    assert torch.equal(first, again)
    assert not any(layer._forward_hooks for layer in model.layers)


def test_hooks_that_were_there_stay() -> None:
    model, x = Listening().eval(), torch.randn(2, 4)
    model(x)
    with repeatable(model):
        model(x)
    assert all(len(layer._forward_hooks) == 1 for layer in model.layers)


def test_lazy_layers_are_made_once() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d()).eval()
    x = torch.randn(2, 4)
    with repeatable(model):
        first = model(x)
    assert torch.equal(model(x), first)

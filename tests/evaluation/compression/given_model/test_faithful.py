"""A model that its file cannot be like is refused before anything is made of it."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, nn

from niwaki.core.errors import ExportError
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.given_model.faithful import mixing, other_output
from niwaki.evaluation.compression.original import Original
from niwaki.evaluation.deployment import Deployment, DeploymentSettings
from tests.hasty import HASTY


class Odd(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.enter = how, nn.Conv2d(1, 8, 3)
        self.seen: Tensor
        self.register_buffer("seen", torch.zeros(8, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.enter(x)
        match self.how:
            case "drawn":
                y = F.dropout(y, 0.2)
            case "seen before":
                self.seen = 0.9 * self.seen + 0.1 * y.detach().mean((0, 2, 3))[:, None, None]
                y = y - self.seen
            case "counted":
                self.seen = self.seen + 1
            case "torch forgets a number":
                y = F.avg_pool2d(y, 2, divisor_override=3)
        return y


def original(how: str) -> Original:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module, images = Odd(how).eval(), torch.randn(16, 1, 8, 8)
    data = infer_from({"train": [images]}, module, seed=0)
    return Original(module, data, Deployment(data, HASTY, DeploymentSettings()))


@pytest.mark.parametrize("how", ["drawn", "seen before"])
def test_a_model_that_answers_otherwise_each_time_is_refused(how: str) -> None:
    with pytest.raises(ExportError, match="output 'output' is another when the same is asked"):
        _ = original(how).layers


def test_a_model_that_is_written_wrongly_is_refused() -> None:
    with pytest.raises(ExportError, match=r"written wrongly.*: output 'output' of the file is"):
        _ = original("torch forgets a number").layers


class Rounding(nn.Module):
    """Rounds features to 8 bits, as training for quantization does."""

    def __init__(self) -> None:
        super().__init__()
        self.highest: Tensor
        self.register_buffer("highest", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.highest.copy_(torch.maximum(self.highest, x.detach().max()))
        step = float(self.highest) / 255
        return x + (torch.clamp(torch.round(x / step), 0, 255) * step - x).detach()


def test_a_model_that_rounds_inside_may_round_otherwise_in_its_file() -> None:
    def block(n_in: int) -> list[nn.Module]:
        return [nn.Conv2d(n_in, 32, 3, 1, 1), nn.BatchNorm2d(32), nn.ReLU(), Rounding()]

    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(*block(3), *block(32), *block(32), nn.Conv2d(32, 1, 1)).train()
        with torch.no_grad():
            for _ in range(10):
                module(torch.randn(16, 3, 48, 48))
        images = [torch.randn(16, 3, 48, 48) for _ in range(4)]
    data = infer_from({"train": images}, module.eval(), seed=0)
    rounding = Original(module, data, Deployment(data, HASTY, DeploymentSettings()))
    assert len(rounding.layers) == 4


def test_a_model_may_count_its_calls_and_is_left_as_it_is() -> None:
    counting = original("counted")
    before = counting.module.get_buffer("seen").clone()
    assert counting.layers == ("enter",)
    assert torch.equal(counting.module.get_buffer("seen"), before)


INPUTS = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)).numpy()


def normed(norm: nn.Module, *, first: nn.Module | None = None) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(first or nn.Conv2d(1, 8, 8), norm, nn.Flatten(), nn.LazyLinear(3))


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (normed(nn.BatchNorm2d(8)), ""),
        (
            normed(nn.BatchNorm2d(1, track_running_stats=False), first=nn.Identity()),
            "the answer 'label' to an item depends on what else is in its batch",
        ),
        (
            normed(nn.BatchNorm2d(8, track_running_stats=False)),
            r"the model fails on one item alone \(Expected more than 1 value per channel",
        ),
    ],
)
def test_an_answer_that_depends_on_the_other_items_of_its_batch_is_found(
    module: nn.Module, told: str
) -> None:
    assert re.match(f"{told}.*$", found := mixing(module.eval(), INPUTS, ["label"]))
    assert bool(found) == bool(told)


def test_outputs_that_are_nothing_but_rounding_are_not_compared() -> None:
    def other(value: float, again: float) -> str:
        return other_output({"y": np.full((2, 3), value)}, {"y": np.full((2, 3), again)})

    assert not other(1e-8, -1e-8) and not other(np.inf, np.inf)
    assert other(1.0, 1.01) == other(-np.inf, 1.0) == "y"
    assert other_output({"y": np.ones((2, 3))}, {"y": np.ones((2, 4))}) == "y"

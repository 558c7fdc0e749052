"""A model that its file cannot be like is refused before anything is made of it."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, nn

from niwaki.core.errors import ExportError
from niwaki.evaluation.compression.faithful import mixed_output
from niwaki.evaluation.compression.inferred_data import infer_from
from niwaki.evaluation.compression.original import Original
from niwaki.evaluation.deployment import Deployment, DeploymentSettings
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu


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
    return Original(module, data, Deployment(data, OnnxRuntimeCpu(), DeploymentSettings()))


@pytest.mark.parametrize("how", ["drawn", "seen before"])
def test_a_model_that_answers_otherwise_each_time_is_refused(how: str) -> None:
    with pytest.raises(ExportError, match="output 'output' is another when the same is asked"):
        _ = original(how).layers


def test_a_model_that_is_written_wrongly_is_refused() -> None:
    with pytest.raises(ExportError, match=r"written wrongly.*: output 'output' of the file is"):
        _ = original("torch forgets a number").layers


def test_a_model_may_count_its_calls_and_is_left_as_it_is() -> None:
    counting = original("counted")
    before = counting.module.get_buffer("seen").clone()
    assert counting.layers == ("enter",)
    assert torch.equal(counting.module.get_buffer("seen"), before)


@pytest.mark.parametrize("kept", [True, False])
def test_an_answer_that_depends_on_the_other_items_of_its_batch_is_found(kept: bool) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(8, track_running_stats=kept)
    module = nn.Sequential(nn.Conv2d(1, 8, 3), norm, nn.Flatten(), nn.Linear(288, 3)).eval()
    inputs = torch.randn(2, 1, 8, 8).numpy()
    assert mixed_output(module, inputs, ["label"]) == ("" if kept else "label")

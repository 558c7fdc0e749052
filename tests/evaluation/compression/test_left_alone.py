"""What is neither pruned nor quantized is named, with its place and the reason."""

import json
from pathlib import Path

import torch
from torch import nn

from niwaki.compress.pruning.groups import Refusal
from niwaki.evaluation.compression.evaluator import CompressedEvaluator
from niwaki.evaluation.compression.given_model.model_source import ModelSource
from niwaki.evaluation.compression.left_alone import LEFT_ALONE_FILE, LeftAlone
from niwaki.evaluation.compression.settings import CompressionSettings, PruningSettings
from niwaki.evaluation.compression.tuning.fine_tuning import TuningSettings
from tests.evaluation.compression.small import TwoHeads, data
from tests.hasty import HASTY

SETTINGS = CompressionSettings(
    pruning=PruningSettings(criterion="l1", allocation="uniform", price="macs", shares=(0.5,)),
    tuning=TuningSettings(epochs=0.1),
)


class Odd(TwoHeads):
    """Goes up before it goes down, and multiplies what it computed with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(1, 1, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.up(x)
        return super().forward(y @ y.transpose(2, 3))


def test_what_stays_is_said_and_written(tmp_path: Path) -> None:
    said: list[str] = []
    model = Odd().eval()
    model.enter.requires_grad_(False)
    CompressedEvaluator(
        ModelSource("", model), data, HASTY, settings=SETTINGS, notify=said.append
    ).prepare(tmp_path)
    (pruned,) = (text for text in said if "channel groups can be pruned" in text)
    (quantized,) = (text for text in said if "layers can run in int8" in text)
    assert (
        "quarter.weight[0] (4), quarter.bias[0] (4), because they are the model's output" in pruned
    )
    assert quantized.startswith("4 layers") and "up, because the runtime has no" in quantized
    assert "matmul, because both of its factors are computed" in quantized
    assert any(text.startswith("4 of 14 parameters are frozen") for text in said)
    left = json.loads((tmp_path / LEFT_ALONE_FILE).read_text())
    assert (
        "quarter.weight[0]: 4 stay, because they are the model's output quarter" in left["pruning"]
    )
    assert list(left["int8"]) == ["up", "matmul"]


class Narrow(TwoHeads):
    """Has fewer channels at first than a vector register of any target holds."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU())
        self.middle = nn.Sequential(nn.Conv2d(4, 32, 3, 2, 1), nn.ReLU())


def test_a_group_without_a_smaller_count_is_not_called_one_that_can_be_pruned(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    CompressedEvaluator(
        ModelSource("", Narrow().eval()),
        data,
        HASTY,
        settings=SETTINGS,
        notify=said.append,
    ).prepare(tmp_path)
    (pruned,) = (text for text in said if "channel groups can be pruned" in text)
    assert pruned.startswith("1 channel groups")
    assert "enter.0 (4), because no smaller count gives each of its layers" in pruned


def test_sentences_name_the_first_of_each_reason_and_the_file_of_all() -> None:
    stays = [Refusal(f"layer{i}.weight[0]", 8, "so") for i in range(5)]
    left = LeftAlone([*stays, *(Refusal(f"last{i}", 4, f"why {i}") for i in range(4))], {})
    first = "layer0.weight[0] (8), layer1.weight[0] (8), layer2.weight[0] (8) and 2 more"
    assert f"{first} ({LEFT_ALONE_FILE}), because so; last0 (4), because why 0;" in left.by_pruning
    assert left.by_pruning.endswith(f"because why 1 and 2 more reasons ({LEFT_ALONE_FILE})")

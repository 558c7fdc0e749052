"""What runs on the target, and under which names."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from niwaki.compress.quantization.plan import Precision, QuantizationPlan
from niwaki.core.candidate import Candidate
from niwaki.evaluation.base import Provenance
from niwaki.evaluation.bundles import Exporter
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.deployment import Deployment, DeploymentSettings
from tests.hasty import HASTY


class Restoring(nn.Module):
    """Answers images, and maybe a mask; normalises in place what it is given."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.conv, self.names = nn.Conv2d(1, 1, 3, padding=1), names

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        answer = torch.relu(self.conv(x.sub_(0.5)))
        return {name: answer * (i + 1) for i, name in enumerate(self.names)}


@pytest.mark.parametrize(
    ("names", "input_name"),
    [(("depth",), "image"), (("image",), "input"), (("input", "image"), "input:2")],
)
def test_the_input_has_a_name_of_its_own(
    names: tuple[str, ...], input_name: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module = Restoring(*names).eval()
    inputs = torch.rand(64, 1, 6, 6)
    data = infer_from({"train": [inputs]}, module, seed=0)
    deployment = Deployment(data, HASTY, DeploymentSettings())
    assert deployment.inputs.names == (input_name,)
    assert list(deployment.timing_feeds()) == [input_name]
    plan = QuantizationPlan({"conv": Precision.FP32})
    exporter = Exporter(deployment, Provenance("study", (), "hash"))
    card = exporter.write(lambda: module, plan, tmp_path / "model", candidate=Candidate.of({}))
    assert [card.inputs[0].name, *(task.outputs[0] for task in card.tasks)] == [input_name, *names]

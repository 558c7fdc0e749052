"""Plans are data: what was done to one checkpoint is done to another."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from niwaki.compress.pruning import analyse
from niwaki.compress.quantization.plan import LIMIT, Precision, QuantizationPlan
from niwaki.core.errors import ConfigError, SpaceError
from niwaki.evaluation.compression.plans import CompressionPlans
from niwaki.export.inference import infer
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.sessions import SessionSettings
from tests.evaluation.compression.small import TwoHeads, build, spots

HERE = OnnxRuntimeCpu().capabilities
MOST_ERROR = 0.1 * LIMIT / HERE.weight_limit  # of the spread: coarser weights are farther off
LAYERS = ("enter.0", "middle.0", "quarter", "brightness")


def plans() -> CompressionPlans:
    groups = analyse(build(), torch.zeros(2, 1, 16, 16))
    kept = {group.name: range(0, group.n_units, 2) for group in groups.groups}
    int8 = dict.fromkeys(LAYERS[:3], Precision.INT8)
    return CompressionPlans(groups.plan(kept), HERE.plan(int8))


def another() -> TwoHeads:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return TwoHeads().eval()


def test_they_come_back_from_a_file(tmp_path: Path) -> None:
    plans().save(tmp_path / "deep" / "plans.json")
    assert CompressionPlans.load(tmp_path / "deep" / "plans.json") == plans()


def test_another_checkpoint_is_pruned_and_quantized() -> None:
    smaller = plans().prune(another())
    images, _ = spots(32, 7)
    model = plans().quantize(
        smaller, [torch.from_numpy(images)], output_names=["quarter", "brightness"]
    )
    (name,) = [info.name for info in model.graph.input]
    found = infer(model, {name: images}, settings=SessionSettings())
    with torch.no_grad():
        exact = smaller(torch.from_numpy(images))
    for output, values in exact.items():
        error = np.abs(found[output] - values.numpy()).max()
        assert 0.0 < error < MOST_ERROR * values.std()


def test_channels_of_unlike_scales_are_equalised_before_they_are_rounded() -> None:
    smaller = plans().prune(build())
    own = dict(smaller.named_parameters())
    scales = torch.logspace(0, 3, len(own["enter.0.weight"]))
    with torch.no_grad():  # the same function, in weights that do not go into one scale
        own["enter.1.weight"].mul_(scales)
        own["enter.1.bias"].mul_(scales)
        own["middle.0.weight"].div_(scales[:, None, None])
    images, _ = spots(64, 7)
    model = plans().quantize(
        smaller, [torch.from_numpy(images)], output_names=["quarter", "brightness"]
    )
    (name,) = [info.name for info in model.graph.input]
    found = infer(model, {name: images}, settings=SessionSettings())["quarter"]
    with torch.no_grad():
        exact = smaller(torch.from_numpy(images))["quarter"].numpy()
    assert np.abs(found - exact).max() < MOST_ERROR * exact.std()


def test_a_compiled_checkpoint_is_pruned_as_it_was_written() -> None:
    smaller = plans().prune(another()).state_dict()
    found = plans().prune(torch.compile(another(), backend="eager")).state_dict()  # type: ignore[arg-type]
    torch.testing.assert_close(dict(found), dict(smaller))


def test_with_inputs_the_weights_make_up_for_what_goes() -> None:
    images = torch.from_numpy(spots(256, 7)[0])
    checkpoint = build()
    with torch.no_grad():
        whole = checkpoint(images)["brightness"]
        cut = plans().prune(checkpoint)(images)["brightness"]
        fitted = plans().prune(checkpoint, [images])(images)["brightness"]
    assert (fitted - whole).square().mean() < 0.5 * (cut - whole).square().mean()


def test_a_checkpoint_in_training_mode_is_not_touched() -> None:
    images = torch.from_numpy(spots(64, 7)[0])
    wanted = plans().prune(build(), images)
    checkpoint = build().train()
    state = {name: values.clone() for name, values in checkpoint.state_dict().items()}
    smaller = plans().prune(checkpoint, images)
    torch.testing.assert_close(smaller.state_dict(), wanted.state_dict())
    torch.testing.assert_close(checkpoint.state_dict(), state)
    plans().quantize(smaller.train(), images)
    assert checkpoint.training and smaller.training


class Tokens(nn.Module):
    """Reads numbers of words."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.hidden, self.fc = (
            nn.Embedding(20, 8),
            nn.Conv1d(8, 16, 3),
            nn.Linear(16, 3),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.hidden(self.words(x).transpose(1, 2)))
        answer: torch.Tensor = self.fc(hidden.mean(2))
        return answer


def test_a_tensor_of_integers_will_do() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, tokens = Tokens().eval(), torch.randint(0, 20, (64, 12))
    groups = analyse(model, tokens[:2])
    kept = {group.name: range(0, group.n_units, 2) for group in groups.groups}
    int8 = HERE.plan(dict.fromkeys(("hidden", "fc"), Precision.INT8))
    made = CompressionPlans(groups.plan(kept), int8)
    smaller = made.prune(model, tokens)
    graph = made.quantize(smaller, tokens, output_names=["answer"])
    (name,) = [info.name for info in graph.graph.input]
    found = infer(graph, {name: tokens.numpy()}, settings=SessionSettings())
    with torch.no_grad():
        exact = smaller(tokens).numpy()
    assert 0.0 < np.abs(found["answer"] - exact).max() < MOST_ERROR * exact.std()


def test_a_model_with_other_layers_is_refused() -> None:
    narrow = another()
    narrow.middle[0] = nn.Conv2d(16, 24, 3, 2, 1)
    with pytest.raises(SpaceError, match=r"'middle.0.weight' with 32 indices .* shape is \(24, 16"):
        plans().prune(narrow)
    renamed = dataclasses.replace(
        plans(), quantization=QuantizationPlan({"enter.1": Precision.INT8})
    )
    with pytest.raises(SpaceError, match=r"names layer 'enter.1'.*did you mean 'enter.0'"):
        renamed.quantize(another(), [torch.zeros(2, 1, 16, 16)])


def test_what_is_no_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="plans cannot be read from"):
        CompressionPlans.load(tmp_path / "nothing.json")
    with pytest.raises(ConfigError, match="plans have no key 'prunning'; did you mean 'pruning'"):
        CompressionPlans.from_json({**plans().to_json(), "prunning": {}})
    with pytest.raises(ConfigError, match="plans are a JSON object"):
        CompressionPlans.from_json([])

"""Fine-tuning by a function of the user's own: what it gets, and what is made of what it leaves."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from niwaki.core.errors import ConfigError
from niwaki.core.user_files import import_file
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.given_model.plain_calls import plainly_called
from niwaki.evaluation.compression.tuning.effects import (
    IN_FLOAT,
    TUNING_DETAILS,
    Effect,
    was_tuned_by_function,
)
from niwaki.evaluation.compression.tuning.fine_tuning import Tuning, TuningSettings
from tests.evaluation.compression.small import TwoHeads, build, data, spots, trained_state

CODE = """
import torch
from torch.nn import functional
from tests.evaluation.compression.small import spots

asked = []

def tune(network, epochs, original):
    asked.append((type(network).__name__, network.training, original.training, epochs))
    images, targets = spots(256, 5)
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    for batch in torch.from_numpy(images).split(64) * 10:
        with torch.no_grad():
            wanted = original(batch)
        answer = network(batch)
        loss = sum(functional.mse_loss(answer[name], wanted[name]) for name in wanted)
        optimiser.zero_grad(); loss.backward(); optimiser.step()

def spoil(network, epochs, original):
    with torch.no_grad():
        network.quarter.weight.zero_(), network.quarter.bias.zero_()
        network.brightness.weight.zero_()

def draw(network, epochs, original):
    with torch.no_grad():
        network.brightness.bias.add_(1e-3 * torch.randn(1))

def averaged(network, epochs, original):
    return torch.optim.swa_utils.AveragedModel(network)

def inner(network, epochs, original):
    return averaged(network, epochs, original).module

def widened(network, epochs, original):
    network.quarter = torch.nn.Linear(512, 5)

def without(network, epochs, original):
    network.brightness = torch.nn.Identity()

def halved(network, epochs, original):
    network.half()

def scored(network, epochs, original):
    return 0.9

def falling(network, epochs, original):
    raise ValueError("the data are not there")

def short(network):
    pass
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    file = tmp_path / "my_training.py"
    file.write_text(CODE)
    return file


def tuning(code: Path, name: str, **changes: Any) -> Tuning:
    settings = TuningSettings(epochs=2.0, n_recalibration=32, function=f"{code}:{name}")
    return Tuning(build(), data(), replace(settings, **changes), seed=0)


def test_it_gets_the_network_the_epochs_and_the_original(code: Path) -> None:
    told, network = list[Effect](), pruned()
    before = {name: values.clone() for name, values in network.state_dict().items()}
    tuned = tuning(code, "tune").tuned(network, share=0.25, tell=told.append)
    assert import_file(code).asked == [("TwoHeads", True, False, 0.5)]
    assert told[0].measure == "mean_skill"
    assert not told[0].is_harm
    assert told[0].after > told[0].before
    assert not tuned.training
    assert not torch.equal(tuned.state_dict()["quarter.weight"], before["quarter.weight"])


def pruned() -> TwoHeads:
    """Return the model, worse than it was."""
    network = build()
    assert isinstance(network, TwoHeads)
    network.enter[0].get_parameter("weight").data[:14] = 0.0
    return network


def test_harm_is_taken_back(code: Path) -> None:
    told = list[Effect]()
    tuned = tuning(code, "spoil", n_recalibration=0).tuned(build(), tell=told.append)
    assert told[0].is_harm
    assert told[0].to_json()["mean_skill_after"] < told[0].to_json()["mean_skill_before"]  # type: ignore[operator]
    assert "the mean skill on the search split was" in str(told[0])
    assert was_tuned_by_function({TUNING_DETAILS: {IN_FLOAT: told[0].to_json()}})
    assert not was_tuned_by_function({TUNING_DETAILS: {IN_FLOAT: Effect(1.0, 2.0).to_json()}})
    for name, values in trained_state().items():
        assert torch.equal(tuned.state_dict()[name], values), name


def test_what_it_draws_is_the_same_each_time(code: Path) -> None:
    first, second = (tuning(code, "draw").tuned(build()).state_dict() for _ in range(2))
    assert torch.equal(first["brightness.bias"], second["brightness.bias"])
    assert not torch.equal(first["brightness.bias"], trained_state()["brightness.bias"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("averaged", r"left another network: it has no 'enter.0.weight'.*the `module` inside"),
        ("widened", r"'quarter.weight' was \(4, 512\) of torch.float32, and is \(5, 512\)"),
        ("without", r"it has no 'brightness.weight'"),
        ("halved", r"'enter.0.weight' was .* and is \(16, 1, 3, 3\) of torch.float16"),
        ("scored", r"returned a float: train the network in place and return nothing"),
        ("short", r"takes \(network\), but is called with \(network, epochs, original\)"),
        ("missing", r"tuning.function: '.*my_training.py' has no 'missing'"),
    ],
)
def test_what_is_no_training_is_told(code: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        tuning(code, name).tuned(build())


def test_the_network_inside_an_average_may_be_returned(code: Path) -> None:
    tuned = tuning(code, "inner", n_recalibration=0).tuned(build())
    assert torch.equal(tuned.state_dict()["quarter.weight"], trained_state()["quarter.weight"])


def test_its_errors_say_whose_they_are(code: Path) -> None:
    with pytest.raises(ValueError, match="the data are not there") as caught:
        tuning(code, "falling").tuned(build())
    assert f"the fine-tuning function '{code}:falling'" in caught.value.__notes__[0]


class Wrapped(TwoHeads):
    """Answers as models of libraries do: with a loss, if it is given targets."""

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        answer = super().forward(x)
        if labels is None:
            return {"logits": answer["quarter"]}
        return {"loss": nn.functional.cross_entropy(answer["quarter"], labels)}


def test_it_calls_the_model_as_it_was_written(code: Path) -> None:
    code.write_text(
        CODE
        + """
def by_its_loss(network, epochs, original):
    images, targets = spots(64, 5)
    loss = network(torch.from_numpy(images), labels=torch.from_numpy(targets["quarter"]))["loss"]
    loss.backward()
    with torch.no_grad():
        network.quarter.bias.sub_(1e-4 * network.quarter.bias.grad)
"""
    )
    plain, network = plainly_called(wrapped()), plainly_called(wrapped())
    given = {
        name: [(images, targets["quarter"])]
        for name, (images, targets) in (("train", spots(64, 0)), ("search", spots(32, 1)))
    }
    settings = TuningSettings(epochs=1.0, n_recalibration=0, function=f"{code}:by_its_loss")
    tuned = Tuning(plain, infer_from(given, plain, seed=0), settings, seed=0).tuned(network)
    assert not torch.equal(tuned.state_dict()["quarter.bias"], trained_state()["quarter.bias"])
    assert set(tuned(torch.zeros(2, 1, 16, 16))) == {"logits"}


def wrapped() -> Wrapped:
    """Return one that is trained."""
    model = Wrapped()
    model.load_state_dict(trained_state())
    return model.eval()


def test_those_who_measure_come_in_before_each_call_of_the_network(code: Path) -> None:
    entered = []

    @contextmanager
    def computing() -> Iterator[None]:
        entered.append("in")
        yield
        entered.append("out")

    settings = TuningSettings(epochs=1.0, n_recalibration=0, function=f"{code}:tune")
    Tuning(build(), data(), settings, seed=0, computing=computing).tuned(build())
    n_judged = 2  # batches of the search split, before and after
    assert entered == ["in", "out"] * (1 + 40 + n_judged)

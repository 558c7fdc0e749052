"""Fine-tuning: as models will run, also those that are others in training, and never for worse."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from niwaki.evaluation.compression.tuning.effects import Effect
from niwaki.evaluation.compression.tuning.fine_tuning import Tuning, TuningSettings
from niwaki.evaluation.deployment import Deployment, DeploymentSettings, plan_of
from niwaki.spaces.precision import INT8
from tests.evaluation.compression.small import TwoHeads, build, data, trained_state
from tests.hasty import HASTY

SETTINGS = TuningSettings(epochs=0.5, batch_size=32, n_recalibration=32)


class Auxiliary(TwoHeads):
    """Answers otherwise in training; remembers the modes of its own code and of a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.load_state_dict(trained_state())
        self.modes: list[tuple[bool, bool]] = []

    def forward(self, x: torch.Tensor) -> Any:
        answer = super().forward(x)
        if torch.is_grad_enabled():
            self.modes.append((self.training, self.enter[1].training))
        return self.in_training(answer) if self.training else answer

    def in_training(self, answer: dict[str, torch.Tensor]) -> Any:
        return answer, answer["quarter"]


class Failing(Auxiliary):
    def in_training(self, answer: dict[str, torch.Tensor]) -> Any:
        raise ValueError(f"no targets beside {sorted(answer)}")


class Remembering(Auxiliary):
    """Keeps what it computes of a weight while its own code is in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(()))
        self.kept: list[torch.Tensor] = []

    def train(self, mode: bool = True) -> "Remembering":
        self.kept = []
        super().train(mode)
        return self

    def forward(self, x: torch.Tensor) -> Any:
        if self.training:
            return super().forward(x * self.scale.exp())
        if not self.kept:
            self.kept.append(self.scale.exp())
        return super().forward(x * self.kept[0])


class Besides(Auxiliary):
    def in_training(self, answer: dict[str, torch.Tensor]) -> Any:
        return {**answer, "auxiliary": answer["quarter"]}


@pytest.mark.parametrize(
    ("kind", "otherwise", "mode"),
    [
        (Auxiliary, "it answers 0.quarter (2, 4) and", (False, True)),
        (Failing, "it raises ValueError: no targets", (False, True)),
        (Besides, "", (True, True)),
        (Remembering, "it answers 0.quarter (2, 4) and", (False, True)),
    ],
)
def test_own_code_runs_as_it_will(
    kind: type[Auxiliary], otherwise: str, mode: tuple[bool, bool]
) -> None:
    tuning = Tuning(kind().eval(), data(), SETTINGS, seed=0)
    assert tuning.otherwise_in_training.startswith(otherwise)
    assert bool(tuning.otherwise_in_training) == bool(otherwise)
    network = kind()
    tuned = tuning.tuned(network)
    assert set(network.modes) == {mode}
    assert not tuned.training
    assert not torch.equal(tuned.state_dict()["quarter.weight"], trained_state()["quarter.weight"])


def test_harm_is_taken_back_and_told() -> None:
    settings, told = replace(SETTINGS, learning_rate=0.3), list[Effect]()
    harmed = Tuning(build(), data(), settings, seed=0)
    tuned = harmed.tuned(build(), tell=told.append)
    untuned = harmed.tuned(build(), share=0.0, tell=told.append)
    [effect] = told
    assert effect.is_harm
    assert effect.to_json()["taken_back"]
    for name, values in untuned.state_dict().items():
        assert torch.equal(tuned.state_dict()[name], values), name
    told.clear()
    helped = Tuning(build(), data(), replace(SETTINGS, epochs=3.0), seed=0)
    assert not torch.equal(
        helped.tuned(build(), tell=told.append).state_dict()["quarter.weight"],
        untuned.state_dict()["quarter.weight"],
    )
    assert told[0].after < told[0].before


class Tabulating(Remembering):
    """Drops its table when training begins alone, as LeViT's attention does."""

    def train(self, mode: bool = True) -> "Tabulating":
        kept = [] if mode else self.kept
        super().train(mode)
        self.kept = kept
        return self


@pytest.mark.parametrize("learning_rate", [3e-3, 1.0])
def test_what_a_model_remembers_is_of_the_weights_that_it_ends_with(learning_rate: float) -> None:
    settings = replace(SETTINGS, learning_rate=learning_rate)
    tuned = Tuning(Tabulating().eval(), data(), settings, seed=0).tuned(Tabulating())
    fresh = Tabulating()
    fresh.load_state_dict(tuned.state_dict())
    images = torch.randn(4, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(tuned(images)["quarter"], fresh.eval()(images)["quarter"])


class Dividing(TwoHeads):
    """Has an error of its own, in some batches that it trains on."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        if torch.is_grad_enabled():
            raise ZeroDivisionError("no such items in this batch")
        return super().forward(x)


def test_an_error_of_ones_own_is_no_divergence() -> None:
    with pytest.raises(ZeroDivisionError):
        Tuning(build(), data(), SETTINGS, seed=0).tuned(Dividing())


def test_where_the_rate_does_harm_a_tenth_of_it_is_tried() -> None:
    told = list[Effect]()

    def tuned(rate: float) -> dict[str, torch.Tensor]:
        tuning = Tuning(build(), data(), replace(SETTINGS, learning_rate=rate), seed=0)
        return tuning.tuned(build(), tell=told.append).state_dict()

    high, low = tuned(0.03), tuned(0.003)
    assert told[0] == told[1] and not told[0].is_harm
    for name, values in low.items():
        assert torch.equal(high[name], values), name


def test_harm_by_training_with_rounding_is_taken_back() -> None:
    settings = replace(SETTINGS, quantized_epochs=1.0, quantized_learning_rate=0.3)
    target, told, model = HASTY, list[Effect](), build()
    deployment = Deployment(data(), target, DeploymentSettings(equalise=False))
    plan = plan_of(dict.fromkeys(("enter.0", "middle.0", "quarter"), INT8), target)
    tuning = Tuning(build(), data(), settings, seed=0)
    tuned = tuning.tuned_quantized(model, plan, deployment, share=1.0, tell=told.append)
    assert told[0].is_harm
    for name, values in build().state_dict().items():
        assert torch.equal(tuned.state_dict()[name], values), name


def test_a_loss_that_is_no_number_is_harm() -> None:
    assert Effect(1.0, math.nan).is_harm
    assert Effect(1.0, math.nan).to_json()["loss_after"] is None
    assert not Effect(math.nan, 1.0).is_harm
    assert not Effect(1.0, 1.0).is_harm


def test_what_diverges_is_taken_back() -> None:
    settings, told = replace(SETTINGS, learning_rate=1e30, gradient_clip=1e30), list[Effect]()
    tuning = Tuning(build(), data(), settings, seed=0)
    tuned = tuning.tuned(build(), tell=told.append)
    untuned = tuning.tuned(build(), share=0.0)
    assert told[0].is_harm and math.isnan(told[0].after)
    for name, values in untuned.state_dict().items():
        assert torch.equal(tuned.state_dict()[name], values), name


class Noting(TwoHeads):
    """Has a state that is no tensor, and draws numbers, also in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.load_state_dict(trained_state(), strict=False)

    def get_extra_state(self) -> dict[str, str]:
        return {"version": "1"}

    def set_extra_state(self, state: dict[str, str]) -> None:
        assert state == {"version": "1"}

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return super().forward(x + 0.1 * torch.randn(x.shape))


def test_harm_is_judged_by_the_same_draws() -> None:
    told = list[Effect]()
    for _ in range(2):
        Tuning(Noting().eval(), data(), SETTINGS, seed=0).tuned(Noting(), tell=told.append)
        torch.rand(1)  # as another evaluation in this process might
    assert told[0] == told[1]


class Dropping(TwoHeads):
    def __init__(self) -> None:
        super().__init__()
        self.load_state_dict(trained_state())
        self.enter.append(torch.nn.Dropout(0.5))


def test_a_single_step_learns_a_little() -> None:
    settings = replace(SETTINGS, epochs=0.05)
    tuned = Tuning(build(), data(), settings, seed=0).tuned(build())
    moved = (tuned.state_dict()["quarter.weight"] - trained_state()["quarter.weight"]).abs().max()
    assert 0.0 < moved < 0.2 * settings.learning_rate


def test_what_is_drawn_follows_the_seed_and_nothing_else() -> None:
    tuned = []
    for seed in (0, 0, 1):
        network = Tuning(Dropping().eval(), data(), SETTINGS, seed=seed).tuned(Dropping())
        tuned.append(network.state_dict()["quarter.weight"])
        torch.rand(1)  # as another evaluation in this process might
    assert torch.equal(tuned[0], tuned[1])
    assert not torch.equal(tuned[0], tuned[2])

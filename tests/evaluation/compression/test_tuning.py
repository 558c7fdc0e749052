"""Models that are others in training mode are fine-tuned as they will run."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from niwaki.evaluation.compression.tuning import Tuning, TuningSettings
from tests.evaluation.compression.small import TwoHeads, build, data, trained_state

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


class Besides(Auxiliary):
    def in_training(self, answer: dict[str, torch.Tensor]) -> Any:
        return {**answer, "auxiliary": answer["quarter"]}


@pytest.mark.parametrize(
    ("kind", "otherwise", "mode"),
    [
        (Auxiliary, "it answers 0.quarter (2, 4) and", (False, True)),
        (Failing, "it raises ValueError: no targets", (False, True)),
        (Besides, "", (True, True)),
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


class Dropping(TwoHeads):
    def __init__(self) -> None:
        super().__init__()
        self.load_state_dict(trained_state())
        self.enter.append(torch.nn.Dropout(0.5))


def test_a_single_step_learns_something() -> None:
    settings = replace(SETTINGS, epochs=0.05)
    tuned = Tuning(build(), data(), settings, seed=0).tuned(build())
    assert not torch.equal(tuned.state_dict()["quarter.weight"], trained_state()["quarter.weight"])


def test_what_is_drawn_follows_the_seed_and_nothing_else() -> None:
    tuned = []
    for seed in (0, 0, 1):
        network = Tuning(Dropping().eval(), data(), SETTINGS, seed=seed).tuned(Dropping())
        tuned.append(network.state_dict()["quarter.weight"])
        torch.rand(1)  # as another evaluation in this process might
    assert torch.equal(tuned[0], tuned[1])
    assert not torch.equal(tuned[0], tuned[2])

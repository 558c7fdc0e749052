"""Training the super-network: it learns, it resumes exactly, and it says so when it breaks."""

import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from niwaki.core.errors import RunFolderError, StudyError
from niwaki.evaluation.checkpoints import load_checkpoint, save_checkpoint
from niwaki.evaluation.families import elastic_family_of
from niwaki.evaluation.supernet.training import SuperNetworkTraining, TrainingSettings
from niwaki.tasks.base import TaskData
from niwaki.tasks.digit_scenes import DigitScenesSettings
from niwaki.tasks.npz import NpzSettings
from niwaki.tasks.npz import load as load_npz
from niwaki.tasks.task import TaskSettings
from tests.evaluation.conftest import SPACE, TRAINING

REGRESSION = TaskSettings("regression")

NARROW_CHILD = """
import sys
from niwaki.evaluation.families import elastic_family_of
from niwaki.evaluation.supernet.training import SuperNetworkTraining, TrainingSettings
from niwaki.spaces.slimmable import SlimmableSettings, StageSettings
from niwaki.tasks.digit_scenes import DigitScenesSettings, load
scenes = DigitScenesSettings(
    train=96, search=48, val=48, test=48, calibration=32, size=32, cache=sys.argv[1]
)
data = load(scenes, seed=0)
stage = StageSettings(widths=(4, 16), hidden=(4,), depths=(1,))
options = SlimmableSettings(stem_widths=(4, 16), stages=(stage, stage), default_decoder=(4,))
family = elastic_family_of(options, data)
training = SuperNetworkTraining(family, data, TrainingSettings(batch_size=16), seed=0)
training.run_epoch()
print("alive")
"""


def training(data: TaskData, settings: TrainingSettings = TRAINING) -> SuperNetworkTraining:
    return SuperNetworkTraining(elastic_family_of(SPACE, data), data, settings, seed=0)


def test_the_loss_falls(data: TaskData) -> None:
    run = training(data, replace(TRAINING, epochs=8))
    losses = [run.run_epoch() for _ in range(8)]
    assert losses[-1] < 0.8 * losses[0]


def test_continued_equals_uninterrupted(data: TaskData, tmp_path: Path) -> None:
    whole = training(data)
    whole.run_epoch()
    save_checkpoint(whole.state(), tmp_path / "state.pt")
    whole.run_epoch()
    again = training(data)
    again.restore(load_checkpoint(tmp_path / "state.pt"))
    again.run_epoch()
    for a, b in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_a_network_draws_follows_the_seed_also_when_it_continues(
    data: TaskData, tmp_path: Path
) -> None:
    def dropping() -> SuperNetworkTraining:
        run = training(data)
        run.network.register_forward_pre_hook(
            lambda network, given: (functional.dropout(given[0], 0.3), *given[1:])
        )
        return run

    whole = dropping()
    whole.run_epoch()
    save_checkpoint(whole.state(), tmp_path / "state.pt")
    torch.rand(7)  # as another evaluation in this process might
    whole.run_epoch()
    again = dropping()
    again.restore(load_checkpoint(tmp_path / "state.pt"))
    again.run_epoch()
    for a, b in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_small_networks_learn_too(data: TaskData) -> None:
    run = training(data)
    smallest = elastic_family_of(SPACE, data).space.smallest
    before = run.network.extract(smallest).get_parameter("stem.conv.weight").clone()
    run.run_epoch()
    after = run.network.extract(smallest).get_parameter("stem.conv.weight")
    assert not torch.equal(before, after)


@pytest.mark.parametrize("unit", [1e6, 1e-6])
def test_values_are_learned_alike_in_any_unit(unit: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    levels = rng.normal(size=200)
    images = (rng.normal(size=(200, 1, 16, 16)) + levels[:, None, None, None]).astype(np.float32)
    losses = []
    for name, values in (("plain", levels), ("scaled", unit * (levels + 3.0))):
        np.savez(tmp_path / f"{name}.npz", inputs=images, level=values)
        settings = NpzSettings(str(tmp_path / f"{name}.npz"), {"level": REGRESSION})
        run = training(load_npz(settings, seed=0), replace(TRAINING, epochs=5))
        losses.append([run.run_epoch() for _ in range(5)])
    assert losses[0][-1] < 0.5 * losses[0][0]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_slices_too_narrow_to_be_trained_channels_last_are_survived(
    scenes: DigitScenesSettings,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NARROW_CHILD, scenes.cache],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "alive\n", done.stderr


def test_a_loss_that_is_not_finite_is_an_error_with_a_remedy(data: TaskData) -> None:
    run = training(data, replace(TRAINING, learning_rate=1e30, gradient_clip=1e30))
    with pytest.raises(StudyError, match="learning_rate"):
        for _ in range(5):
            run.run_epoch()


def test_a_damaged_checkpoint_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(RunFolderError, match="delete it"):
        load_checkpoint(path)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    save_checkpoint({"epochs_done": 1}, tmp_path / "state.pt")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(RunFolderError, match="disk"):
            save_checkpoint({"epochs_done": 2, "x": torch.zeros(100_000)}, tmp_path / "state.pt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
    assert load_checkpoint(tmp_path / "state.pt")["epochs_done"] == 1

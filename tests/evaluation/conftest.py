"""A small super-network evaluator on small scenes, trained for a moment."""

from functools import partial
from pathlib import Path

import pytest

from niwaki.evaluation.deployment import DeploymentSettings
from niwaki.evaluation.supernet.evaluator import SupernetEvaluator, SupernetSettings
from niwaki.evaluation.supernet.training import TrainingSettings
from niwaki.spaces.slimmable import SlimmableSettings, StageSettings
from niwaki.targets.base import Target
from niwaki.tasks.base import TaskData
from niwaki.tasks.digit_scenes import DigitScenesSettings, load
from tests.hasty import HASTY

SPACE = SlimmableSettings(
    stem_widths=(8,),
    stages=(
        StageSettings(widths=(8, 16), hidden=(8,), depths=(1, 2), stride=1),
        StageSettings(widths=(8, 16), hidden=(8, 16), depths=(1,)),
    ),
    default_decoder=(8, 16),
)
TRAINING = TrainingSettings(epochs=2, batch_size=32, n_threads=1)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> DigitScenesSettings:
    """Settings of 32 x 32 scenes, cached for the session."""
    cache = str(tmp_path_factory.mktemp("cache"))
    return DigitScenesSettings(
        train=96, search=48, val=48, test=48, calibration=32, size=32, cache=cache
    )


@pytest.fixture(scope="session")
def data(scenes: DigitScenesSettings) -> TaskData:
    """The scenes themselves."""
    return load(scenes, seed=0)


def make_evaluator(scenes: DigitScenesSettings, target: Target | None = None) -> SupernetEvaluator:
    """Return an evaluator that is not prepared yet, on this machine if no target is given."""
    return SupernetEvaluator(
        partial(load, scenes, seed=0),
        SPACE,
        target or HASTY,
        settings=SupernetSettings(
            training=TRAINING,
            deployment=DeploymentSettings(n_calibration=16, batch_size=16),
            n_recalibration=32,
        ),
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the super-network is kept."""
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="session")
def evaluator(scenes: DigitScenesSettings, folder: Path) -> SupernetEvaluator:
    """A prepared evaluator."""
    evaluator = make_evaluator(scenes)
    evaluator.prepare(folder)
    return evaluator

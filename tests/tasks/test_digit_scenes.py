"""Scenes: no digit leaks, labels say what is painted, the cache is used."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError
from niwaki.tasks.base import SplitName
from niwaki.tasks.digit_scenes import DigitScenesSettings, load
from niwaki.tasks.digit_scenes.glyphs import Glyphs, load_glyphs, pools
from niwaki.tasks.digit_scenes.source import make

SMALL = DigitScenesSettings(train=70, search=20, val=20, test=20, calibration=20)


@pytest.fixture(scope="module")
def glyphs() -> Glyphs:
    return load_glyphs()


@pytest.fixture(scope="module")
def scenes() -> dict[str, NDArray[Any]]:
    return make(SMALL, seed=0)


@pytest.mark.parametrize("seed", range(5))
def test_pools_share_no_digit_and_lose_none(glyphs: Glyphs, seed: int) -> None:
    parts = pools(glyphs.labels, seed)
    assert np.sort(np.concatenate(list(parts.values()))).tolist() == list(range(1797))
    assert set(parts) == set(SplitName)


def test_every_pool_has_its_share_of_every_class(glyphs: Glyphs) -> None:
    overall = np.bincount(glyphs.labels) / len(glyphs.labels)
    for pool in pools(glyphs.labels, 0).values():
        counts = np.bincount(glyphs.labels[pool], minlength=10)
        assert np.abs(counts - overall * len(pool)).max() <= 1.0


def test_no_scene_shows_a_digit_of_another_split(scenes: dict[str, NDArray[Any]]) -> None:
    shown = [set(scenes[f"{name}_sources"].ravel().tolist()) - {-1} for name in SplitName]
    assert all(shown)
    assert len(set().union(*shown)) == sum(map(len, shown))


def test_the_question_is_about_the_first_source(
    scenes: dict[str, NDArray[Any]], glyphs: Glyphs
) -> None:
    nearest = scenes["train_sources"][:, 0].astype(int)
    assert (scenes["train_digit"] == glyphs.labels[nearest]).all()


def test_the_digit_asked_for_is_nearest_and_well_seen(scenes: dict[str, NDArray[Any]]) -> None:
    for digit, mask, depth in zip(
        scenes["train_digit"], scenes["train_segmentation"], scenes["train_depth"], strict=True
    ):
        nearest = depth[0] == depth.min()
        assert (mask[nearest] == 1 + digit).all()
        assert nearest.sum() >= 30


def test_each_scene_has_two_to_five_digits_and_labels_only_for_them(
    scenes: dict[str, NDArray[Any]], glyphs: Glyphs
) -> None:
    sources = scenes["train_sources"].astype(int)
    n_digits = (sources >= 0).sum(axis=1)
    assert set(n_digits.tolist()) == {2, 3, 4, 5}
    for row, mask in zip(sources, scenes["train_segmentation"], strict=True):
        there = {0, *(1 + glyphs.labels[row[row >= 0]]).tolist()}
        assert set(np.unique(mask).tolist()) <= there


def test_depth_is_in_range_and_digits_stand_before_the_wall(
    scenes: dict[str, NDArray[Any]],
) -> None:
    depth, mask = scenes["train_depth"][:, 0], scenes["train_segmentation"]
    assert depth.min() >= 0.0
    assert depth.max() <= 1.0
    for one, labels in zip(depth, mask, strict=True):
        assert one[labels > 0].max() < one[labels == 0].min()


def test_nearer_is_larger_on_average_but_not_always() -> None:
    from niwaki.tasks.digit_scenes.layout import plan

    layout = plan(2000, np.arange(50), np.random.default_rng(0))
    depth, height = layout.depth[layout.present], layout.height[layout.present]
    assert -0.9 < np.corrcoef(depth, height)[0, 1] < -0.6
    both = layout.present[:, 1]
    nearest_is_largest = (layout.height[both, 0] > layout.height[both, 1]).mean()
    assert 0.6 < nearest_is_largest < 0.95


def test_the_same_seed_paints_the_same_in_another_process(
    scenes: dict[str, NDArray[Any]], tmp_path: Path
) -> None:
    here = load(SMALL.__class__(**{**vars(SMALL), "cache": str(tmp_path / "here")}), seed=0)
    program = (
        "from niwaki.tasks.digit_scenes import *\n"
        f"s = DigitScenesSettings(70, 20, 20, 20, 20, cache={str(tmp_path / 'there')!r})\n"
        "print(load(s, seed=0).fingerprint, load(s, seed=1).fingerprint)"
    )
    environment = {"PYTHONHASHSEED": "7", "PATH": ""}
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    same, other = run.stdout.split()
    assert same == here.fingerprint
    assert other != here.fingerprint


def test_a_second_load_neither_paints_nor_imports_scikit_learn(tmp_path: Path) -> None:
    settings = DigitScenesSettings(**{**vars(SMALL), "cache": str(tmp_path)})
    first = load(settings, seed=0)
    program = (
        "import sys\n"
        "from niwaki.tasks.digit_scenes import *\n"
        f"data = load(DigitScenesSettings(70, 20, 20, 20, 20, cache={str(tmp_path)!r}), seed=0)\n"
        f"assert data.fingerprint == {first.fingerprint!r}\n"
        "assert not {'sklearn', 'scipy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_data_are_as_the_tasks_say(tmp_path: Path) -> None:
    settings = DigitScenesSettings(**{**vars(SMALL), "cache": str(tmp_path)})
    data = load(settings, seed=0)
    assert [task.name for task in data.tasks] == ["digit", "segmentation", "depth"]
    assert [data[name].n_items for name in SplitName] == [70, 20, 20, 20, 20]
    batch = next(data[SplitName.TRAIN].batches(8))
    assert batch.inputs.shape == (8, *data.input_shape) == (8, 3, 48, 48)
    assert batch.targets["segmentation"].shape == (8, 48, 48)
    assert batch.targets["depth"].shape == (8, 1, 48, 48)
    assert set(data.chance) == {"digit_accuracy", "segmentation_miou", "depth_rmse"}


def test_scenes_of_another_size_show_the_same(tmp_path: Path) -> None:
    settings = DigitScenesSettings(**{**vars(SMALL), "size": 32, "cache": str(tmp_path)})
    assert load(settings, seed=0).input_shape == (3, 32, 32)


def test_weights_reach_the_tasks(tmp_path: Path) -> None:
    settings = DigitScenesSettings(
        **{**vars(SMALL), "weights": {"depth": 0.5}, "cache": str(tmp_path)}
    )
    weights = {task.name: task.weight for task in load(settings, seed=0).tasks}
    assert weights == {"digit": 1.0, "segmentation": 1.0, "depth": 0.5}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val": 0}, "val: 0, but every split needs a scene"),
        ({"size": 8}, "size: 8"),
        ({"weights": {"detph": 1.0}}, "did you mean 'depth'"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    settings = DigitScenesSettings(**{**vars(SMALL), "cache": str(tmp_path), **changes})
    with pytest.raises(ConfigError, match=message):
        load(settings, seed=0)

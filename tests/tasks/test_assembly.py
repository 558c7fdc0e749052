"""From a user's arrays to `TaskData`."""

import json
from dataclasses import replace

import numpy as np
import pytest

from niwaki.core.errors import ConfigError, DataError
from niwaki.tasks.arrays import Arrays, ArraySplit
from niwaki.tasks.assembly import Preparation, prepare
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.checks import Given
from niwaki.tasks.preprocessing import guessed_layout
from niwaki.tasks.task import Task
from tests.tasks.made_up import DEPTH, DIGIT, MASK, POSE, raw_arrays, task_data


def rows(data: TaskData, name: SplitName) -> set[bytes]:
    split = data[name]
    assert isinstance(split, ArraySplit)
    return {item.tobytes() for item in split.arrays.inputs}


def test_carved_splits_share_no_item_and_lose_none() -> None:
    data = task_data(60)
    found = [rows(data, name) for name in SplitName]
    assert sum(map(len, found)) == len(set().union(*found)) == 60


def test_a_split_that_was_given_stays_as_it_is() -> None:
    given = {
        SplitName.TRAIN: Given(raw_arrays(60), "train.npz"),
        SplitName.TEST: Given(raw_arrays(7, seed=1), "test.npz"),
    }
    data = prepare((DIGIT,), given, Preparation(), seed=0)
    assert rows(data, SplitName.TEST) == {x.tobytes() for x in raw_arrays(7, seed=1).inputs}
    assert data[SplitName.TRAIN].n_items == 60 - 6 - 6 - 3


def test_inputs_are_standardised_by_train_alone() -> None:
    (batch,) = task_data(200)[SplitName.TRAIN].batches(1000)
    assert batch.inputs.mean(axis=(0, 2, 3)) == pytest.approx(0.0, abs=1e-4)
    assert batch.inputs.std(axis=(0, 2, 3)) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("task", [MASK, DEPTH])
def test_a_layout_that_targets_contradict_is_told_with_the_one_that_fits(task: Task) -> None:
    arrays = raw_arrays(60)
    n_places = arrays.targets["depth"].shape[2:]
    given = {SplitName.TRAIN: Given(arrays, "train.npz")}
    fitting = guessed_layout(arrays.inputs.shape)
    other = "NCHW" if fitting == "NHWC" else "NHWC"
    assert prepare((task,), given, Preparation(fitting), seed=0).preprocessing.layout == fitting
    with pytest.raises(DataError, match=rf"in layout {other}: set 'layout' to {fitting}") as told:
        prepare((task,), given, Preparation(other), seed=0)
    assert f"targets of shape {n_places}, but" in str(told.value)
    assert prepare((DIGIT,), given, Preparation(other), seed=0).preprocessing.layout == other


def test_the_fingerprint_follows_content_and_cuts() -> None:
    same = {task_data(60, seed=0).fingerprint for _ in range(2)}
    assert len(same) == 1
    assert task_data(60, seed=1).fingerprint not in same
    changed = raw_arrays(60)
    changed.targets["depth"][0, 0, 0, 0] += 0.5
    given = {SplitName.TRAIN: Given(changed, "made up")}
    assert prepare((DIGIT, MASK, DEPTH, POSE), given, Preparation(), seed=0).fingerprint not in same


def test_items_of_two_splits_that_differ_in_shape_name_both() -> None:
    small = raw_arrays(9)
    small = Arrays(small.inputs[:, :, :2], small.targets)
    given = {
        SplitName.TRAIN: Given(raw_arrays(60), "a"),
        SplitName.VAL: Given(small, "b"),
    }
    with pytest.raises(
        DataError, match=r"\(3, 4, 5\) per item in the train split, but \(3, 2, 5\)"
    ):
        prepare((DIGIT,), given, Preparation(), seed=0)


def test_a_class_that_train_lacks_is_a_warning() -> None:
    arrays = raw_arrays(60)
    arrays.targets["digit"][arrays.targets["digit"] == 2] = 0
    data = prepare((DIGIT,), {SplitName.TRAIN: Given(arrays, "a")}, Preparation(), seed=0)
    assert "no train item shows 2" in data.warnings[0]
    assert set(data.chance) == {"digit_accuracy"}


def test_a_task_with_one_target_throughout_has_nothing_to_learn() -> None:
    arrays = raw_arrays(60)
    arrays.targets["depth"][:] = 0.3
    data = prepare((DEPTH,), {SplitName.TRAIN: Given(arrays, "a")}, Preparation(), seed=0)
    with pytest.raises(DataError, match="task 'depth' has the same target throughout"):
        _ = data.chance


def test_the_record_is_json_and_names_the_classes() -> None:
    data = task_data()
    record = json.loads(json.dumps(data.to_json()))
    assert record["fingerprint"] == data.fingerprint
    assert record["input_shape"] == [3, 4, 5]
    assert data.class_names == {"digit": ("0", "1", "2"), "mask": ("0", "1", "2", "3")}


def test_chance_is_that_of_the_train_split() -> None:
    data = task_data(200)
    targets = [batch["digit"] for batch in data[SplitName.TRAIN].targets(1000)]
    share = np.bincount(targets[0]).max() / len(targets[0])
    assert data.chance["digit_accuracy"] == pytest.approx(share)


@pytest.mark.parametrize(("standardise", "n_warnings"), [(True, 0), (False, 1)])
def test_bytes_that_reach_the_network_unscaled_are_a_warning(
    standardise: bool, n_warnings: int
) -> None:
    given = {SplitName.TRAIN: Given(raw_arrays(60), "a")}
    data = prepare((DIGIT,), given, Preparation(standardise=standardise), seed=0)
    assert len(data.warnings) == n_warnings


@pytest.mark.parametrize("shape", [(60,), (60, 7, 3), (60, 3, 4, 5)])
def test_inputs_that_stay_as_given_are_not_standardised(shape: tuple[int, ...]) -> None:
    arrays = Arrays(np.random.default_rng(0).normal(5.0, 2.0, shape), raw_arrays(60).targets)
    given = {SplitName.TRAIN: Given(arrays, "a")}
    data = prepare((DIGIT,), given, Preparation("as_given"), seed=0)
    (batch,) = data[SplitName.TRAIN].batches(100)
    assert set(batch.inputs.ravel()) <= set(arrays.inputs.astype(np.float32).ravel())
    assert data.input_shape == shape[1:]
    with pytest.raises(ConfigError, match=r"'layout' is as_given.* but 'standardise' is true"):
        Preparation("as_given", standardise=True)


def test_inputs_of_another_type_than_those_of_train_are_a_warning() -> None:
    train, test = raw_arrays(60), raw_arrays(9, seed=1)
    as_floats = Arrays(train.inputs / np.float32(255.0), train.targets)
    given = {SplitName.TRAIN: Given(as_floats, "a"), SplitName.TEST: Given(test, "b")}
    (warning,) = prepare((DIGIT,), given, Preparation(standardise=False), seed=0).warnings
    assert "float32 in the train split, but uint8 in the test split" in warning


@pytest.mark.parametrize("split", [name for name in SplitName if name != "calibration"])
@pytest.mark.parametrize(("task", "unknown"), [(MASK, 255), (DEPTH, np.nan)])
def test_a_split_without_a_known_target_is_named(
    task: Task, unknown: float, split: SplitName
) -> None:
    given = {name: Given(raw_arrays(20), name) for name in SplitName}
    given[split].arrays.targets[task.name][:-1] = unknown
    prepare((DIGIT, task), given, Preparation(), seed=0)
    given[split].arrays.targets[task.name][-1] = unknown
    with pytest.raises(DataError, match=f"'{task.name}'.*{split} split, where all are"):
        prepare((DIGIT, task), given, Preparation(), seed=0)


def test_a_mask_that_is_ignored_throughout_names_its_task() -> None:
    data = task_data()
    train = data[SplitName.TRAIN]
    assert isinstance(train, ArraySplit)
    train.arrays.targets[MASK.name][:] = 255
    with pytest.raises(DataError, match=f"task '{MASK.name}': the train split has no labels"):
        _ = data.statistics


def test_a_carved_split_without_a_known_target_is_named() -> None:
    sparse = raw_arrays(60)
    sparse.targets["pose"][1:] = np.nan
    given = {name: Given(raw_arrays(9), name) for name in (SplitName.TRAIN, SplitName.TEST)}
    given[SplitName.TRAIN] = Given(sparse, "sparse")
    with pytest.raises(DataError, match=r"'pose' has no known target in the .* label some"):
        prepare((POSE,), given, Preparation(), seed=0)


def test_one_task_at_least_has_a_weight() -> None:
    given = {SplitName.TRAIN: Given(raw_arrays(60), "a")}
    idle = tuple(replace(task, weight=0.0) for task in (DIGIT, MASK))
    assert prepare((idle[0], MASK), given, Preparation(), seed=0).tasks[0].weight == 0.0
    with pytest.raises(ConfigError, match=r"every task has weight 0 \(digit, "):
        prepare(idle, given, Preparation(), seed=0)

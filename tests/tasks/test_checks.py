"""What is said about data that cannot be used."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.checks import (
    Given,
    absent_classes,
    checked,
    constant_outputs,
    missing_values,
    unknown_outputs,
)
from niwaki.tasks.task import Task, TaskSettings, declared
from tests.tasks.made_up import DEPTH, DIGIT, MASK, POSE, raw_arrays


def check(task: Task, targets: NDArray[Any], inputs: NDArray[Any] | None = None) -> NDArray[Any]:
    inputs = np.zeros((len(targets), 1, 4, 5), np.uint8) if inputs is None else inputs
    arrays = Arrays(inputs, {task.name: targets})
    return checked(Given(arrays, "'a.npz'"), [task]).targets[task.name]


@pytest.mark.parametrize(
    ("task", "shape", "canonical"),
    [
        (DIGIT, (6,), (6,)),
        (DIGIT, (6, 1), (6,)),
        (MASK, (6, 4, 5), (6, 4, 5)),
        (MASK, (6, 1, 4, 5), (6, 4, 5)),
        (DEPTH, (6, 4, 5), (6, 1, 4, 5)),
        (DEPTH, (6, 1, 4, 5), (6, 1, 4, 5)),
        (POSE, (6, 2), (6, 2)),
        (declared("age", TaskSettings(kind="regression")), (6,), (6, 1)),
    ],
)
def test_shapes_become_canonical(
    task: Task, shape: tuple[int, ...], canonical: tuple[int, ...]
) -> None:
    assert check(task, np.zeros(shape, np.int64)).shape == canonical


@pytest.mark.parametrize(
    ("task", "shape"), [(DIGIT, (6, 3)), (MASK, (6,)), (DEPTH, (6, 2, 4, 5)), (POSE, (6, 3))]
)
def test_other_shapes_are_refused(task: Task, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=rf"'a.npz': task '{task.name}' has targets of shape"):
        check(task, np.zeros(shape, np.int64))


@pytest.mark.parametrize("shape", [(6, 3, 4, 5), (6, 1, 3, 4, 5), (6, 1, 4, 5)])
def test_labels_of_volumes(shape: tuple[int, ...]) -> None:
    labels = np.arange(np.prod(shape)).reshape(shape) % 4
    places = shape[-3:]
    found = check(MASK, labels, np.zeros((6, 2, *places)))
    np.testing.assert_array_equal(found, labels.reshape(6, *places))


def test_labels_of_images_are_no_volumes() -> None:
    with pytest.raises(DataError, match=r"of volumes, \(n, depth, h, w\)"):
        check(MASK, np.zeros((6, 4, 4, 5), np.int64))


def test_whole_numbers_of_a_real_target_become_floats() -> None:
    assert check(DEPTH, np.full((2, 4, 5), 7, np.uint16)).dtype == np.float32


def test_a_label_outside_the_classes_is_named_with_its_index() -> None:
    labels = np.zeros(3000, np.int64)
    labels[2500] = 3
    with pytest.raises(DataError, match="label 3 at index 2500, but its 3 classes are 0 to 2"):
        check(DIGIT, labels)


def test_a_pixel_outside_the_classes_is_named_with_its_index() -> None:
    masks = np.full((3, 4, 5), 255, np.int16)
    masks[2, 1, 3] = -1
    with pytest.raises(DataError, match=r"label -1 at index \(2, 1, 3\)"):
        check(MASK, masks)


def test_255_is_ignored_in_masks_and_not_among_labels() -> None:
    assert check(MASK, np.full((3, 4, 5), 255, np.uint8)).max() == 255
    with pytest.raises(DataError, match="label 255"):
        check(DIGIT, np.full(3, 255, np.uint8))


def test_labels_that_are_not_integers_are_refused() -> None:
    with pytest.raises(DataError, match="labels of type float64: give integers"):
        check(DIGIT, np.zeros(3))


def test_a_target_that_is_infinite_is_named_with_its_index() -> None:
    depth = np.zeros((3, 4, 5), np.float32)
    depth[1, 2, 3] = np.inf
    with pytest.raises(DataError, match=r"targets hold inf at index \(1, 0, 2, 3\): .* or NaN"):
        check(DEPTH, depth)


def test_a_target_that_is_missing_is_nan_and_told() -> None:
    depth = np.zeros((3, 4, 5), np.float32)
    depth[0] = np.nan
    check(DEPTH, depth)
    told = missing_values([DEPTH], Arrays(np.zeros((3, 2)), {DEPTH.name: depth}))
    assert told == (f"task '{DEPTH.name}': 33.3% of the train targets are NaN and do not count",)


@pytest.mark.parametrize(
    ("n_missing", "words"), [(3, "3 of"), (9_990, "99.9% of"), (9_997, "all but 3 of")]
)
def test_a_few_targets_are_not_none_and_most_are_not_all(n_missing: int, words: str) -> None:
    depth = np.zeros((1, 1, 100, 100), np.float32)
    depth.reshape(-1)[:n_missing] = np.nan
    (told,) = missing_values([DEPTH], Arrays(np.zeros((1, 2)), {DEPTH.name: depth}))
    assert told.startswith(f"task '{DEPTH.name}': {words} the train targets are NaN")


def test_classes_that_train_does_not_show_are_told() -> None:
    (told,) = absent_classes([DIGIT], Arrays(np.zeros((2, 2)), {DIGIT.name: np.array([0, 2])}))
    assert told.endswith("no train item shows 1, so that this class cannot be learnt")
    (told,) = absent_classes([DIGIT], Arrays(np.zeros((2, 2)), {DIGIT.name: np.array([2, 2])}))
    assert told.endswith("no train item shows 0, 1, so that these classes cannot be learnt")


def test_an_output_without_any_target_is_told() -> None:
    pose = np.array([[1.0, np.nan], [2.0, np.nan]], np.float32)
    (told,) = unknown_outputs([POSE], Arrays(np.zeros((2, 2)), {POSE.name: pose}))
    assert told.startswith(f"task '{POSE.name}': no train item has a target of output 1, which")
    pose[0, 1] = 5.0
    assert unknown_outputs([POSE], Arrays(np.zeros((2, 2)), {POSE.name: pose})) == ()


def test_an_output_that_never_changes_is_told() -> None:
    pose = np.array([[1.0, 5.0], [np.nan, np.nan], [2.0, 5.0]], np.float32)
    (told,) = constant_outputs([POSE], Arrays(np.zeros((3, 2)), {POSE.name: pose}))
    assert told.startswith(f"task '{POSE.name}': the train targets of output 1 never change")
    pose[0, 1] = np.nextafter(np.float32(5.0), np.float32(6.0))
    assert constant_outputs([POSE], Arrays(np.zeros((3, 2)), {POSE.name: pose})) == (told,)
    pose[0, 1] = 6.0
    assert constant_outputs([POSE], Arrays(np.zeros((3, 2)), {POSE.name: pose})) == ()


def test_an_input_that_is_not_finite_is_named_with_its_index() -> None:
    inputs = np.zeros((3, 2))
    inputs[2, 1] = np.nan
    with pytest.raises(DataError, match=r"inputs hold nan at index \(2, 1\)"):
        check(DIGIT, np.zeros(3, int), inputs)


@pytest.mark.parametrize("task", [DIGIT, DEPTH])
def test_numbers_beyond_float32_are_named_with_their_index(task: Task) -> None:
    inputs, depth = np.zeros((3, 2)), np.zeros((3, 4, 5))
    inputs[1, 0] = depth[1, 0, 0] = -1e39
    given = (np.zeros(3, int), inputs) if task is DIGIT else (depth, None)
    with pytest.raises(DataError, match=r"hold -1e\+39 at index \(1, 0.*ends at 3.4e\+38"):
        check(task, *given)


def test_numbers_of_items_that_differ_are_both_named() -> None:
    with pytest.raises(DataError, match=r"shape \(5,\) for inputs of shape \(6, 2\)"):
        check(DIGIT, np.zeros(5, int), np.zeros((6, 2)))


def test_no_items_is_an_error() -> None:
    with pytest.raises(DataError, match=r"'a\.npz' has no items"):
        check(DIGIT, np.zeros(0, int), np.zeros((0, 2)))


def test_inputs_of_no_number_are_refused() -> None:
    with pytest.raises(DataError, match="inputs are of type <U1"):
        check(DIGIT, np.zeros(1, int), np.array([["a"]]))


def test_missing_targets_name_the_nearest() -> None:
    given = Given(Arrays(np.zeros((2, 1)), {"digits": np.zeros(2, int)}), "'a.npz'")
    with pytest.raises(DataError, match="no targets for task 'digit'; did you mean 'digits'"):
        checked(given, [DIGIT])


def test_classes_that_never_occur_are_told() -> None:
    arrays = raw_arrays(50)
    arrays.targets["digit"][:] = 1
    (sentence,) = absent_classes([DIGIT, MASK, DEPTH], arrays)
    assert "task 'digit': no train item shows 0, 2" in sentence

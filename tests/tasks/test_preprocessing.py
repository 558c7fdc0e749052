"""From raw arrays to inputs."""

import numpy as np
import pytest

from niwaki.core.errors import ConfigError, DataError
from niwaki.tasks.preprocessing import (
    Preprocessing,
    as_given,
    channels_first,
    guessed_layout,
    standardising,
)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NHW", "NC", "NCL", "NLC"])
def test_standardised_channels_have_mean_zero_and_std_one(layout: str) -> None:
    shape = tuple({"N": 600, "C": 3, "H": 4, "W": 5, "L": 6}[axis] for axis in layout)
    raw = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    inputs = standardising(raw, layout).apply(raw)
    axes = (0, *range(2, inputs.ndim))
    assert inputs.dtype == np.float32
    assert inputs.mean(axis=axes) == pytest.approx(0.0, abs=1e-4)
    assert inputs.std(axis=axes) == pytest.approx(1.0, abs=1e-4)


def test_apply_is_scale_then_mean_then_std() -> None:
    recipe = Preprocessing("uint8", "NHWC", 1 / 255, (0.5, 0.25), (0.5, 2.0))
    raw = np.array([[[[255, 0]]]], dtype=np.uint8)
    assert recipe.apply(raw).reshape(-1) == pytest.approx([1.0, -0.125])


def test_inputs_are_contiguous_whatever_the_layout() -> None:
    raw = np.zeros((2, 4, 5, 3), dtype=np.uint8)
    assert as_given(raw, "NHWC").apply(raw).flags.c_contiguous


def test_a_channel_that_never_changes_becomes_zero() -> None:
    raw = np.full((8, 2, 3, 3), 0.1, dtype=np.float32)
    raw[:, 1] = np.random.default_rng(0).random((8, 3, 3))
    assert np.abs(standardising(raw, "NCHW").apply(raw)[:, 0]).max() < 1e-6


@pytest.mark.parametrize(
    ("level", "spread", "dtype"),
    [
        (5.5e-7, 1e-7, np.float32),  # wavelengths, in metres
        (1e-30, 1e-33, np.float32),
        (2e30, 3e29, np.float32),
        (1_700_000_123.0, 1e3, np.float64),  # seconds since 1970, within an hour
        (1.7e18, 2e10, np.int64),  # nanoseconds since 1970, within a minute
    ],
)
def test_channels_of_any_size_are_standardised(
    level: float, spread: float, dtype: type[np.generic]
) -> None:
    raw = np.random.default_rng(0).normal(level, spread, (400, 2)).astype(dtype)
    inputs = standardising(raw, "NC").apply(raw)
    assert inputs.dtype == np.float32
    assert inputs.mean(axis=0) == pytest.approx(0.0, abs=1e-4)
    assert inputs.std(axis=0) == pytest.approx(1.0, abs=1e-4)
    assert len(np.unique(inputs)) > 700


@pytest.mark.parametrize("level", [0.0, 1e-30, 20_231_107.0, 1_700_000_123.0])
def test_a_constant_of_any_size_becomes_zero(level: float) -> None:
    raw = level * (1.0 + 1e-8 * np.random.default_rng(0).normal(size=(400, 1)))
    assert np.abs(standardising(raw, "NC").apply(raw)).max() < 1e-6


def test_bytes_that_never_change_become_zero() -> None:
    raw = np.tile(np.arange(256, dtype=np.uint8), (777, 1))
    assert np.abs(standardising(raw, "NC").apply(raw)).max() < 1e-6


def test_as_given_changes_no_value() -> None:
    raw = np.random.default_rng(0).normal(size=(3, 2, 4, 4))
    assert (as_given(raw, "NCHW").apply(raw) == raw.astype(np.float32)).all()


def test_json_both_ways() -> None:
    recipe = standardising(np.random.default_rng(0).random((9, 3, 4, 4)), "NCHW")
    assert Preprocessing.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((9, 3, 32, 32), "NCHW"),
        ((9, 32, 32, 1), "NHWC"),
        ((9, 28, 28), "NHW"),
        ((9, 3, 128), "NCL"),
        ((9, 128, 3), "NLC"),
        ((9, 7), "NC"),
    ],
)
def test_a_layout_is_told_by_the_shape(shape: tuple[int, ...], layout: str) -> None:
    assert guessed_layout(shape) == layout


@pytest.mark.parametrize(
    "shape", [(9, 3, 32, 3), (9, 16, 32, 32), (9, 9, 128), (9, 3, 3), (9,), (1, 2, 3, 4, 5)]
)
def test_a_shape_that_does_not_tell_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="set 'layout'"):
        guessed_layout(shape)


def test_only_layouts_of_as_many_axes_are_proposed() -> None:
    with pytest.raises(DataError, match=r"set 'layout' to as_given$"):
        guessed_layout((9, 3, 8, 16, 16))


def test_an_unknown_layout_is_an_error_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'NHWC'"):
        channels_first(np.zeros((1, 2, 3, 4)), "NWHC")


def test_a_layout_of_another_number_of_axes_is_an_error() -> None:
    with pytest.raises(DataError, match=r"to NHW or NCL or NLC or as_given$"):
        channels_first(np.zeros((1, 2, 3)), "NCHW")


def test_items_without_a_number_are_refused() -> None:
    with pytest.raises(DataError, match=r"inputs of shape \(5, 0\) hold no numbers"):
        standardising(np.zeros((5, 0), np.float32), "NC")

"""Scales, zero points and integer weights, against real arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niwaki.compress.quantization.arithmetic import Affine, quantize_weights
from niwaki.compress.quantization.plan import ActivationType

bounds = st.floats(-1e4, 1e4, width=32)
RNG = np.random.default_rng(0)


@given(bounds, bounds, st.sampled_from(ActivationType))
def test_a_value_in_range_comes_back_within_half_a_step(
    a: float, b: float, activation: ActivationType
) -> None:
    affine = Affine.of_range(min(a, b), max(a, b), activation)
    values = np.linspace(min(a, b, 0.0), max(a, b, 0.0), 101).astype(np.float32)
    back = affine.dequantize(affine.quantize(values))
    # A zero point between two integers moves the range by up to half a step more.
    assert np.abs(back - values).max() <= 1.01 * float(affine.scale)


@given(bounds, bounds, st.sampled_from(ActivationType))
def test_zero_is_exact(a: float, b: float, activation: ActivationType) -> None:
    affine = Affine.of_range(min(a, b), max(a, b), activation)
    assert affine.dequantize(affine.quantize(np.zeros(1, np.float32))) == 0.0


@pytest.mark.parametrize(("activation", "smallest"), [("u8", 0), ("s8", -128)])
def test_behind_a_relu_the_zero_point_is_the_smallest_integer(
    activation: str, smallest: int
) -> None:
    affine = Affine.of_range(0.3, 5.1, ActivationType(activation))
    assert affine.zero_point == smallest
    assert affine.low == 0.0
    assert affine.high == pytest.approx(5.1)


@given(bounds, bounds, st.sampled_from(ActivationType))
def test_integers_reach_no_further_than_what_is_clipped(
    a: float, b: float, activation: ActivationType
) -> None:
    low, high = min(a, b, 0.0), max(a, b, 0.0)
    affine = Affine.of_range(low, high, activation)
    within = affine.within(low, high)
    beyond = 1e-6 * (high - low)
    assert high - low < 1e-6 or low - beyond <= within.low <= within.high <= high + beyond
    assert within.zero_point == affine.zero_point
    assert within.scale >= 0.98 * affine.scale or high - low < 1e-6


def test_the_two_integer_types_stand_for_the_same_values() -> None:
    unsigned = Affine.of_range(-1.0, 3.0, ActivationType.U8)
    signed = Affine.of_range(-1.0, 3.0, ActivationType.S8)
    values = RNG.normal(0.0, 3.0, 1000).astype(np.float32)
    shifted = signed.quantize(values).astype(np.int32) + 128
    np.testing.assert_array_equal(shifted, unsigned.quantize(values))


@pytest.mark.parametrize("activation", ActivationType)
def test_what_is_beyond_the_range_is_written_as_its_end(activation: ActivationType) -> None:
    affine = Affine.of_range(-1.0, 3.0, activation)
    back = affine.dequantize(affine.quantize(np.array([-1e6, -1.5, 3.5, 1e6], np.float32)))
    np.testing.assert_allclose(back, [affine.low, affine.low, affine.high, affine.high])


@pytest.mark.parametrize("activation", ActivationType)
def test_a_tensor_of_zeros_can_be_quantized(activation: ActivationType) -> None:
    affine = Affine.of_range(0.0, 0.0, activation)
    assert affine.scale > 0
    assert affine.dequantize(affine.quantize(np.zeros(3, np.float32))).tolist() == [0, 0, 0]


def test_a_range_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Affine.of_range(0.0, np.inf, ActivationType.U8)


@pytest.mark.parametrize("limit", [127, 64])
def test_each_channel_uses_all_its_integers(limit: int) -> None:
    weight = RNG.normal(size=(4, 3, 3, 3)) * np.array([1e-3, 1.0, 10.0, 1e3]).reshape(4, 1, 1, 1)
    numbers = quantize_weights(
        weight.astype(np.float32), None, axis=0, input_scale=np.float32(0.02), limit=limit
    )
    assert np.abs(numbers.weight).max(axis=(1, 2, 3)).tolist() == [limit] * 4
    back = numbers.weight * numbers.weight_scale.reshape(4, 1, 1, 1)
    half_steps = 0.501 * numbers.weight_scale.reshape(4, 1, 1, 1)
    assert (np.abs(back - weight) <= half_steps).all()


@pytest.mark.parametrize("axis", [1, -1])
def test_the_output_axis_may_be_the_last(axis: int) -> None:
    weight = RNG.normal(size=(5, 3)).astype(np.float32)
    plain = quantize_weights(weight, None, axis=axis, input_scale=np.float32(1.0), limit=127)
    turned = quantize_weights(weight.T.copy(), None, axis=0, input_scale=np.float32(1.0), limit=127)
    np.testing.assert_array_equal(plain.weight, turned.weight.T)
    assert (plain.axis, turned.axis) == (1, 0)


def test_the_bias_is_written_in_steps_of_the_products() -> None:
    weight, bias = np.array([[1.27], [2.54]], np.float32), np.array([0.5, -3.0], np.float32)
    numbers = quantize_weights(weight, bias, axis=0, input_scale=np.float32(0.1), limit=127)
    np.testing.assert_allclose(numbers.bias_scale, [0.001, 0.002], rtol=1e-6)
    assert numbers.bias is not None
    assert numbers.bias.tolist() == [500, -1500]


def test_a_channel_of_zeros_keeps_its_bias() -> None:
    weight, bias = np.zeros((2, 4), np.float32), np.array([7.25, 0.0], np.float32)
    numbers = quantize_weights(weight, bias, axis=0, input_scale=np.float32(0.01), limit=127)
    assert numbers.bias is not None and (numbers.weight_scale > 0).all()
    np.testing.assert_allclose(numbers.bias * numbers.bias_scale, bias, rtol=1e-6)

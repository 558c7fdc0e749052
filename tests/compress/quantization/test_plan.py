"""Quantization plans: JSON, unknown layers."""

import json

import pytest

from niwaki.compress.quantization.plan import ActivationType, Precision, QuantizationPlan
from niwaki.core.errors import ConfigError, SpaceError

PLAN = QuantizationPlan(
    {"stem": Precision.INT8, "stages.0.conv1": Precision.FP32},
    ActivationType.S8,
    reduce_range=True,
)


def test_a_plan_survives_json() -> None:
    assert QuantizationPlan.from_json(json.loads(json.dumps(PLAN.to_json()))) == PLAN


def test_activations_are_unsigned_unless_told_otherwise() -> None:
    assert QuantizationPlan.from_json({"precisions": {}}).activation is ActivationType.U8


def test_two_products_of_reduced_weights_fit_in_16_bits_and_no_more() -> None:
    assert PLAN.weight_limit == 64
    assert 2 * 255 * PLAN.weight_limit < 2**15 <= 2 * 255 * (PLAN.weight_limit + 1)
    assert QuantizationPlan.from_json({"precisions": {}}).weight_limit == 127


def test_a_layer_that_is_not_named_stays_float() -> None:
    assert PLAN.precision_of("head") is Precision.FP32
    assert PLAN.int8_layers == ("stem",)


def test_plans_are_values() -> None:
    same = QuantizationPlan(dict(reversed(list(PLAN.precisions.items()))), ActivationType.S8, True)
    assert same == PLAN and hash(same) == hash(PLAN)
    assert QuantizationPlan(PLAN.precisions, ActivationType.U8, True) != PLAN
    assert QuantizationPlan(PLAN.precisions, ActivationType.S8) != PLAN


def test_a_plan_does_not_change_with_the_dictionary_it_came_from() -> None:
    source = {"stem": Precision.INT8}
    plan = QuantizationPlan(source)
    source["stem"] = Precision.FP32
    assert plan.precision_of("stem") is Precision.INT8


def test_uniform_names_every_layer() -> None:
    plan = QuantizationPlan.uniform(["a", "b"], Precision.INT8)
    assert plan.int8_layers == ("a", "b")


def test_an_unknown_layer_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(SpaceError, match=r"'stem'.*did you mean 'stem\.0'"):
        PLAN.check_layers(["stem.0", "stages.0.conv1"])


def test_known_layers_pass() -> None:
    PLAN.check_layers(["head", "stages.0.conv1", "stem"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "JSON object"),
        ({"precision": {}}, "JSON object"),
        ({"precisions": {}, "activations": "u8"}, "did you mean 'activation'"),
        ({"precisions": {"stem": "int4"}}, "'stem' is 'int4': write one of fp32, int8"),
        ({"precisions": {}, "activation": "u16"}, "'u16': write one of u8, s8"),
        ({"precisions": {}, "reduce_range": 1}, "reduce_range is 1: write true or false"),
    ],
)
def test_what_is_not_a_plan_is_refused(data: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        QuantizationPlan.from_json(data)

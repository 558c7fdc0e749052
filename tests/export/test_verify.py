"""Verification passes what is right, and names what is wrong."""

import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from niwaki.core.errors import ExportError, TargetError, VerificationError
from niwaki.core.randomness import stream
from niwaki.export.comparison import OutputKind, Tolerance, compare
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.inference import infer
from niwaki.export.int8.quantum import has_int8, output_quanta
from niwaki.export.verification_data import Arrays, sampled
from niwaki.export.verify import verify_model
from niwaki.targets.machine import Processor
from niwaki.targets.sessions import SessionSettings
from tests.export.modules import Convolution, answers, images
from tests.targets.networks import Info, int8_conv, model

MODULE = Convolution()
INPUTS = images(8)


def rounding_model() -> onnx.ModelProto:
    """A convolution minus itself, its channels summed in another order: nothing but roundings."""
    weight = stream(2, "weight").standard_normal((4, 16, 3, 3)).astype(np.float32)
    order = np.arange(16)[::-1].copy()
    weights = [
        numpy_helper.from_array(weight, "w"),
        numpy_helper.from_array(weight[:, order].copy(), "w_turned"),
        numpy_helper.from_array(order, "order"),
    ]
    nodes = [
        helper.make_node("Gather", ["x", "order"], ["x_turned"], axis=1),
        helper.make_node("Conv", ["x", "w"], ["first"]),
        helper.make_node("Conv", ["x_turned", "w_turned"], ["second"]),
        helper.make_node("Sub", ["first", "second"], ["y"]),
    ]
    inputs: list[Info] = [("x", TensorProto.FLOAT, ["batch", 16, 16, 16])]
    outputs: list[Info] = [("y", TensorProto.FLOAT, ["batch", 4, 14, 14])]
    return model(nodes, inputs, outputs, weights)


def test_a_true_export_passes() -> None:
    found = verify_model(MODULE.onnx(), INPUTS, torch_module=MODULE)
    assert found.passed
    assert not found.int8
    assert {d.between for d in found.differences} == {
        ("unoptimised", "optimised"),
        ("torch", "optimised"),
    }
    found.require("it")


def test_changed_weights_fail_by_name_and_number() -> None:
    other = Convolution()
    with torch.no_grad():
        next(p for name, p in other.named_parameters() if name == "conv.bias").add_(0.01)
    found = verify_model(MODULE.onnx(), INPUTS, torch_module=other)
    [failure] = found.failures
    assert failure.between == ("torch", "optimised")
    assert failure.max_absolute == pytest.approx(0.01, rel=1e-3)
    with pytest.raises(VerificationError, match=r"output 'y', torch and optimised: 0\.01 apart"):
        found.require("it")


def test_an_output_that_optimisation_changes_fails() -> None:
    inputs = stream(3, "inputs").standard_normal((2, 16, 16, 16)).astype(np.float32)
    found = verify_model(rounding_model(), {"x": inputs})
    assert [d.between for d in found.failures] == [("unoptimised", "optimised")]


def test_not_a_number_fails() -> None:
    expected = {"y": np.full((8, 4, 16, 16), np.nan, np.float32)}
    found = verify_model(MODULE.onnx(), INPUTS, torch_outputs=expected)
    assert [failure.between[0] for failure in found.failures] == ["torch"]


def test_int8_agrees_with_itself_and_tells_the_quantization_error() -> None:
    off = {"y": np.zeros((8, 4, 16, 16), np.float32)}
    found = verify_model(int8_conv(), INPUTS, torch_outputs=off, class_axes={"y": 1})
    assert found.int8
    assert found.passed
    itself, error = found.differences
    assert itself.max_quanta is not None
    assert itself.max_quanta <= 1.0
    assert itself.argmax_agreement is not None
    assert error.limit == ""
    assert error.max_quanta is not None
    assert error.max_quanta > 20


@pytest.mark.parametrize(("flags", "saturates"), [(("avx2",), True), (("avx512_vnni",), False)])
def test_any_weight_of_8_bits_fits_where_there_is_vnni(
    flags: tuple[str, ...], saturates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    widest = int8_conv()
    weight = next(t for t in widest.graph.initializer if t.name == "w")
    integers = numpy_helper.to_array(weight).copy()
    integers.flat[0] = -128
    weight.CopyFrom(numpy_helper.from_array(integers, "w"))
    monkeypatch.setattr("niwaki.export.verify.processor", lambda: Processor("x", "x86_64", flags))
    assert verify_model(widest, INPUTS).saturates is saturates


def test_int8_that_answers_otherwise_than_at_export_fails() -> None:
    then = verify_outputs(int8_conv())
    assert verify_model(int8_conv(), INPUTS, recorded=then).passed
    saturated = {"y": np.minimum(then["y"], np.quantile(then["y"], 0.9))}
    found = verify_model(int8_conv(), INPUTS, recorded=saturated)
    assert [failure.between for failure in found.failures] == [("recorded", "optimised")]


def test_one_quantum_everywhere_is_too_much() -> None:
    shifted = {"y": verify_outputs(int8_conv())["y"] + np.float32(0.05)}
    assert not verify_model(int8_conv(), INPUTS, recorded=shifted).passed


def verify_outputs(made: onnx.ModelProto) -> Arrays:
    return infer(made, INPUTS, settings=SessionSettings())


def test_sampled_outputs_are_enough() -> None:
    whole = answers(MODULE, images(8, size=16))
    assert verify_model(MODULE.onnx(), INPUTS, torch_outputs=sampled(whole)).passed


def test_a_fixed_batch_is_kept_to() -> None:
    fixed = MODULE.onnx(batch=3)
    found = verify_model(fixed, INPUTS, torch_module=MODULE)
    assert found.passed
    assert found.n_items == 6
    with pytest.raises(ExportError, match="batches of 3, but 2 items came"):
        verify_model(fixed, images(2))


def test_outputs_of_another_network_are_refused() -> None:
    with pytest.raises(ExportError, match="torch outputs are"):
        verify_model(MODULE.onnx(), INPUTS, torch_outputs={"z": np.zeros(1)})
    with pytest.raises(ExportError, match="not of this model"):
        verify_model(MODULE.onnx(), INPUTS, torch_outputs={"y": np.zeros((8, 5))})


def test_no_data_are_refused() -> None:
    with pytest.raises(ExportError, match="0 items came"):
        verify_model(MODULE.onnx(), {"x": INPUTS["x"][:0]})


def test_wrong_inputs_are_refused() -> None:
    with pytest.raises(TargetError, match="wants inputs"):
        verify_model(MODULE.onnx(), {"z": INPUTS["x"]})


def test_the_module_keeps_its_mode() -> None:
    module = Convolution().train()
    verify_model(module.onnx(), INPUTS, torch_module=module)
    assert module.training


def test_the_quantum_is_the_output_scale() -> None:
    assert output_quanta(int8_conv()) == {"y": pytest.approx(0.05)}
    assert output_quanta(MODULE.onnx()) == {"y": None}
    assert has_int8(int8_conv())
    assert not has_int8(MODULE.onnx())


def test_a_comparison_counts_by_hand() -> None:
    first = np.array([[0.0, 1.0], [2.0, 4.0]])
    second = np.array([[0.0, 1.5], [4.0, 2.0]])
    kind = OutputKind(int8=True, quantum=0.5, class_axis=1)
    found = compare("y", ("a", first), ("b", second), kind=kind, tolerance=Tolerance())
    assert (found.max_absolute, found.mean_absolute) == (2.0, 4.5 / 4)
    assert found.relative == 0.5
    assert (found.max_quanta, found.mean_quanta) == (4.0, 2.25)
    assert found.argmax_agreement == 0.5
    assert not found.passed  # 2.25 quanta on average


@pytest.mark.parametrize(
    ("error", "worst", "passed"),
    [(None, None, False), (0.5, 1.5, True), (0.1, 1.5, False), (0.5, 0.9, False)],
)
def test_few_far_values_are_judged_by_the_quantization_error(
    error: float | None, worst: float | None, passed: bool
) -> None:
    first = np.zeros((1, 1000))
    second = first + np.where(np.arange(1000) < 10, 2.0, 0.0)  # 20 quanta apart, ten times
    kind = OutputKind(int8=True, quantum=0.1, error=error, worst_error=worst)
    found = compare("y", ("a", first), ("b", second), kind=kind, tolerance=Tolerance())
    assert found.max_quanta == pytest.approx(20.0)
    assert found.passed is passed


@pytest.mark.parametrize(("error", "passed"), [(None, False), (0.2, False), (0.3, True)])
def test_the_mean_is_judged_by_the_quantization_error_too(
    error: float | None, passed: bool
) -> None:
    first, second = np.zeros((1, 100)), np.full((1, 100), 0.06)  # 0.6 quanta
    kind = OutputKind(int8=True, quantum=0.1, error=error, worst_error=error)
    found = compare("y", ("a", first), ("b", second), kind=kind, tolerance=Tolerance())
    assert found.mean_quanta == pytest.approx(0.6)
    assert found.passed is passed


def test_a_quantum_more_or_less_is_not_told_from_rounding() -> None:
    first, second = np.zeros((1, 8)), np.full((1, 8), np.float32(0.1)) * (np.arange(8) == 0) * 4
    kind = OutputKind(int8=True, quantum=0.1)
    assert compare("y", ("a", first), ("b", second), kind=kind, tolerance=Tolerance()).passed


def test_the_quantization_error_is_told_and_measured_by() -> None:
    exact = {"y": verify_outputs(int8_conv())["y"] + np.float32(0.5)}  # ten quanta
    itself, error = verify_model(int8_conv(), INPUTS, torch_outputs=exact).differences
    assert error.of_error == pytest.approx(1.0, rel=0.01)
    assert itself.of_error is not None
    assert itself.of_error < 0.1


@pytest.mark.parametrize("int8", [False, True])
def test_values_that_hardly_vary_are_judged_by_what_float32_holds(int8: bool) -> None:
    first = np.linspace(300.0, 300.001, 20, dtype=np.float32).reshape(2, 10)
    nearest, far = np.nextafter(first, np.float32(400.0)), first + np.float32(0.001)
    kind, tolerance = OutputKind(int8=int8), Tolerance()
    found = compare("y", ("a", first), ("b", nearest), kind=kind, tolerance=tolerance)
    assert found.relative > tolerance.float_relative
    assert found.passed
    assert not compare("y", ("a", first), ("b", far), kind=kind, tolerance=tolerance).passed


@pytest.mark.parametrize(("value", "relative"), [(np.inf, "inf"), (0.5, 0.5)])
def test_json_has_numbers_and_what_is_none_as_text(value: float, relative: str | float) -> None:
    first, second = np.array([[0.0, 1.0]]), np.array([[value, 1.0]])
    found = compare("y", ("a", first), ("b", second), kind=OutputKind(), tolerance=Tolerance())
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert (data["relative"], data["between"], data["passed"]) == (relative, ["a", "b"], False)


def test_a_constant_output_has_a_scale_too() -> None:
    ones = np.ones((2, 3))
    found = compare("y", ("a", ones), ("b", ones), kind=OutputKind(), tolerance=Tolerance())
    assert found.passed
    assert found.relative == 0.0


def test_classes_of_places_agree_along_the_last_axis() -> None:
    logits = stream(0, "logits").standard_normal((8, 12, 3))
    louder = logits.copy()
    louder[:, 0] += 10.0  # the same classes, at every place
    kind = OutputKind(class_axis=-1)
    found = compare("tags", ("a", logits), ("b", louder), kind=kind, tolerance=None)
    assert found.argmax_agreement == 1.0


class Deciding(Convolution):
    """Answers with what is true as well."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        answer = super().forward(image)
        return {**answer, "bright": next(iter(answer.values())).flatten(1).mean(1) > 0.0}


def test_answers_of_true_and_false_are_compared() -> None:
    module = Deciding().eval()
    inputs = [torch.from_numpy(next(iter(INPUTS.values())))]
    graph = export_module(module, inputs, output_names=["y", "bright"])
    given = dict(zip([info.name for info in graph.graph.input], INPUTS.values(), strict=True))
    found = verify_model(graph, given, torch_module=module)
    assert found.passed
    assert graph.graph.output[-1].type.tensor_type.elem_type == TensorProto.BOOL

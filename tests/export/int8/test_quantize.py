"""Q/DQ graphs: what runs in int8, what in float, and how far from the float graph."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from niwaki.compress.quantization.plan import LIMIT, ActivationType, Precision, QuantizationPlan
from niwaki.core.errors import ExportError, SpaceError, VerificationError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.int8.calibration import activation_ranges
from niwaki.export.int8.layers import quantizable_layers
from niwaki.export.int8.quantize import quantize_model
from niwaki.export.int8.quantum import largest_weight
from niwaki.export.int8.realised import Realised, realised_precisions
from niwaki.export.verify import verify_model
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from tests.export.networks import (
    INPUT_SHAPE,
    MultiTask,
    Transformer,
    conv_bn_relu,
    images,
    open_session,
    run,
    settled,
)

HERE = OnnxRuntimeCpu().capabilities
MOST_ERROR = 0.06 * LIMIT / HERE.weight_limit  # of the range: coarser weights are farther off

Ranges = dict[str, tuple[float, float]]


class Calibrated:
    """A float graph with its ranges."""

    def __init__(self, module: nn.Module, shape: tuple[int, ...] = INPUT_SHAPE) -> None:
        self.model = build_graph(settled(module), [shape], input_names=["image"])
        self.layers = quantizable_layers(self.model)
        self.images = images(8, shape)
        self.ranges = activation_ranges(self.model, [{"image": self.images}], observer="minmax")

    def quantized(
        self,
        int8: Iterable[str],
        activation: ActivationType = ActivationType.U8,
        *,
        reduce_range: bool = HERE.reduce_range,
    ) -> onnx.ModelProto:
        plan = QuantizationPlan.uniform(
            int8, Precision.INT8, activation=activation, reduce_range=reduce_range
        )
        return quantize_model(self.model, plan, self.ranges)


@pytest.fixture(scope="module", params=["nearest", "bilinear"])
def network(request: pytest.FixtureRequest) -> Calibrated:
    return Calibrated(MultiTask(mode=request.param))


@pytest.fixture(scope="module")
def transformer() -> Calibrated:
    return Calibrated(Transformer())


def optimised(model: onnx.ModelProto, folder: Path, **settings: bool) -> onnx.ModelProto:
    path = folder / "optimised.onnx"
    open_session(model, written_to=str(path), **settings)
    return onnx.load(str(path))


def realised(model: onnx.ModelProto, folder: Path, **settings: bool) -> dict[str, Realised]:
    return dict(realised_precisions(optimised(model, folder, **settings), model))


def relative_errors(network: Calibrated, model: onnx.ModelProto) -> list[float]:
    """Return the root mean squared error of each output, in its standard deviations."""
    pairs = zip(
        run(network.model, network.images).values(),
        run(model, network.images).values(),
        strict=True,
    )
    return [float(np.sqrt(((ours - theirs) ** 2).mean()) / ours.std()) for ours, theirs in pairs]


def as_asked(network: Calibrated, int8: Iterable[str]) -> dict[str, Realised]:
    asked = set(int8)
    return {n: Realised.INT8 if n in asked else Realised.FP32 for n in network.layers}


def plans(layers: list[str]) -> dict[str, list[str]]:
    rng = np.random.default_rng(1)
    drawn = {f"random {i}": rng.random(len(layers)) < rng.random() for i in range(12)}
    return {
        "all": layers,
        "none": [],
        "odd": layers[1::2],
        "even": layers[::2],
        "first": layers[:1],
        "last": layers[-1:],
    } | {
        name: [n for n, d in zip(layers, draws, strict=True) if d] for name, draws in drawn.items()
    }


PLANS = list(plans(["a", "b"]))


@pytest.mark.parametrize("name", PLANS)
def test_each_layer_runs_in_the_precision_it_was_asked_for(
    network: Calibrated, name: str, tmp_path: Path
) -> None:
    int8 = plans(network.layers)[name]
    model = network.quantized(int8)
    onnx.checker.check_model(model, full_check=True)
    assert realised(model, tmp_path) == as_asked(network, int8)
    assert max(relative_errors(network, model)) < MOST_ERROR


@pytest.mark.parametrize("name", PLANS)
def test_a_transformer_too(transformer: Calibrated, name: str, tmp_path: Path) -> None:
    int8 = plans(transformer.layers)[name]
    model = transformer.quantized(int8)
    onnx.checker.check_model(model, full_check=True)
    assert realised(model, tmp_path) == as_asked(transformer, int8)
    assert max(relative_errors(transformer, model)) < MOST_ERROR


@pytest.mark.parametrize("name", PLANS)
def test_optimising_changes_roundings_only(network: Calibrated, name: str) -> None:
    model = network.quantized(plans(network.layers)[name])
    plain = run(model, network.images, optimised=False)
    for output, fused in run(model, network.images).items():
        low, high = plain[output].min(), plain[output].max()
        quantum = (high - low) / 255
        assert np.abs(fused - plain[output]).mean() < quantum


def saturating() -> Calibrated:
    """Two layers whose products of neighbouring channels are as large as they can be."""
    convolution = nn.Conv2d(16, 8, 3, padding=1)
    linear = nn.Linear(8 * 64, 6)
    for weight in (convolution.weight, linear.weight):
        nn.init.constant_(weight, 0.05)
    network = Calibrated(nn.Sequential(convolution, nn.Flatten(), linear), (1, 16, 8, 8))
    network.images = np.float32(4.0) + np.float32(0.1) * network.images
    network.ranges = activation_ranges(network.model, [{"image": network.images}])
    return network


def test_what_suits_this_processor_is_computed_as_it_is_written() -> None:
    network = saturating()
    int8 = dict.fromkeys(network.layers, Precision.INT8)
    plan = HERE.plan(int8)
    model = quantize_model(network.model, plan, network.ranges)
    assert largest_weight(model) == plan.weight_limit
    verify_model(model, {"image": network.images}).require("it")


def test_weights_too_wide_for_a_processor_are_said_to_be_the_cause() -> None:
    network = saturating()
    model = network.quantized(network.layers, reduce_range=False)
    found = verify_model(model, {"image": network.images})
    assert found.saturates == HERE.reduce_range
    if found.saturates:
        with pytest.raises(VerificationError, match="Run it where there is VNNI"):
            found.require("it")


def test_all_int8_leaves_no_island_of_floats(tmp_path: Path) -> None:
    network = Calibrated(MultiTask(mode="nearest"))
    ops = Counter(
        n.op_type for n in optimised(network.quantized(network.layers), tmp_path).graph.node
    )
    # One input; three outputs.
    assert (ops["QuantizeLinear"], ops["DequantizeLinear"]) == (1, 3)
    assert ops["Conv"] == ops["Add"] == ops["Concat"] == ops["Relu"] == ops["Gemm"] == 0
    assert ops["QLinearAdd"] == 6
    # Both decoders read the first of them.
    assert ops["QLinearConcat"] == 3
    assert ops["QLinearGlobalAveragePool"] == 1


class Lateral(nn.Module):
    """Joins a small map, resized by no whole number, to a large one, as feature pyramids do."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.enter, self.narrow = conv_bn_relu(3, 8), nn.Conv2d(8, 8, 3, stride=6, padding=1)
        self.leave = nn.Conv2d(16, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = self.enter(x)[..., : self.side, : self.side]
        resized = nn.functional.interpolate(self.narrow(wide), size=self.side)
        y: torch.Tensor = self.leave(torch.cat([wide, resized], 1))
        return y


@pytest.mark.parametrize("side", [7, 22])
def test_maps_of_odd_sizes_are_resized_between_int8_layers(side: int) -> None:
    network = Calibrated(Lateral(side))
    model = network.quantized(network.layers)
    expected = run(network.model, network.images)["output"]
    found = run(model, network.images)["output"]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 2 * MOST_ERROR * np.ptp(expected)


def test_all_float_is_the_float_graph(network: Calibrated) -> None:
    model = network.quantized([])
    assert [n.op_type for n in model.graph.node] == [n.op_type for n in network.model.graph.node]
    assert relative_errors(network, model) == [0.0] * 3


def test_each_tensor_is_quantized_once(network: Calibrated) -> None:
    for int8 in plans(network.layers).values():
        nodes = network.quantized(int8).graph.node
        quantized = [node.input[0] for node in nodes if node.op_type == "QuantizeLinear"]
        integers = [node.output[0] for node in nodes if node.op_type == "QuantizeLinear"]
        read = [node.input[0] for node in nodes if node.op_type == "DequantizeLinear"]
        assert len(set(quantized)) == len(quantized)
        assert set(integers) <= set(read)
        assert len(set(read)) == len(read)


def test_no_layer_between_float_layers_reads_integers(network: Calibrated) -> None:
    """A float tensor is not rounded for the sake of another reader."""
    convolution = "stages.1.0.conv1.0"
    nodes = network.quantized([convolution]).graph.node
    shortcut = next(node for node in nodes if node.name == "stages.1.0.shortcut.0")
    assert not shortcut.input[0].endswith("_dequantized")


def test_the_integers_are_those_of_the_weights(network: Calibrated) -> None:
    model = network.quantized(["stem.0"])
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    weight, scale = constants["stem.0.weight_quantized"], constants["stem.0.weight_scale"]
    original = next(t for t in network.model.graph.initializer if t.name == "stem.0.weight")
    assert weight.dtype == np.int8 and scale.shape == (8,)
    error = np.abs(weight * scale.reshape(-1, 1, 1, 1) - numpy_helper.to_array(original))
    assert (error <= 0.501 * scale.reshape(-1, 1, 1, 1)).all()
    assert constants["stem.0.bias_quantized"].dtype == np.int32
    assert "stem.0.weight" not in constants


def test_the_float_graph_is_left_as_it_was(network: Calibrated) -> None:
    before = network.model.SerializeToString()
    network.quantized(network.layers)
    assert network.model.SerializeToString() == before


class Chain(nn.Module):
    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(16, 16, 3, padding=1, groups=g) for g in (1, 16, 2)])
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in self.convs:
            x = self.activation(conv(x))
        return x


ACTIVATIONS = [
    nn.Identity(),
    nn.ReLU(),
    nn.ReLU6(),
    nn.Hardtanh(-0.5, 0.5),
    nn.Hardtanh(0.1, 4.0),
    nn.LeakyReLU(0.1),
    nn.Sigmoid(),
    nn.SiLU(),
    nn.GELU(),
    nn.Hardswish(),
    nn.Hardsigmoid(),
    nn.Tanh(),
    nn.Softmax(1),
    nn.MaxPool2d(3, 1, 1),
    nn.AvgPool2d(3, 1, 1),
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize("kind", ActivationType)
@pytest.mark.parametrize("int8", [(0, 1, 2), (0, 2), (1,)])
def test_any_activation_between_layers(
    activation: nn.Module, kind: ActivationType, int8: tuple[int, ...], tmp_path: Path
) -> None:
    network = Calibrated(Chain(activation), (1, 16, 10, 10))
    asked = [network.layers[i] for i in int8]
    model = network.quantized(asked, kind)
    if kind is ActivationType.U8 or not isinstance(activation, nn.SiLU):
        assert realised(model, tmp_path) == as_asked(network, asked)
    assert max(relative_errors(network, model)) < 0.05


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6()], ids=str)
@pytest.mark.parametrize("kind", ActivationType)
def test_relus_are_absorbed(activation: nn.Module, kind: ActivationType, tmp_path: Path) -> None:
    network = Calibrated(Chain(activation), (1, 16, 10, 10))
    ops = {
        n.op_type for n in optimised(network.quantized(network.layers, kind), tmp_path).graph.node
    }
    assert not ops & {"Relu", "Clip"}


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6(), nn.GELU()], ids=str)
def test_a_product_without_bias_runs_in_int8_before_any_activation(
    activation: nn.Module, tmp_path: Path
) -> None:
    tokens = nn.Sequential(nn.Linear(32, 64, bias=False), activation, nn.Linear(64, 32))
    network = Calibrated(tokens, (1, 7, 32))
    model = network.quantized(["0"])
    assert realised(model, tmp_path) == as_asked(network, ["0"])
    assert max(relative_errors(network, model)) < MOST_ERROR


class Tokens(nn.Module):
    """A convolution, and what maps the features of its pixels."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.enter, self.pool, self.leave = nn.Conv2d(3, 8, 3), pool, nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.leave(self.pool(self.enter(x)).permute(0, 2, 3, 1))
        return y


@pytest.mark.parametrize("pool", [nn.Identity(), nn.MaxPool2d(2)], ids=str)
def test_a_float_layer_is_found_before_integers_that_the_runtime_moves_up(
    pool: nn.Module, tmp_path: Path
) -> None:
    network = Calibrated(Tokens(pool), (1, 3, 10, 10))
    model = network.quantized(["leave"])
    assert realised(model, tmp_path) == as_asked(network, ["leave"])


class Joined(nn.Module):
    """Two branches, each with an activation at its end, joined, and then joined with a third."""

    def __init__(self, acts: Iterable[type[nn.Module]]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(nn.Conv2d(3, 16, 3), act()) for act in acts)
        self.leave = nn.Conv2d(48, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second, third = (branch(x) for branch in self.branches)
        y: torch.Tensor = self.leave(torch.cat([torch.cat([first, second], 1), third], 1))
        return y


@pytest.mark.parametrize(
    "acts",
    [
        (nn.ReLU, nn.Identity, nn.ReLU),
        (nn.ReLU, nn.ReLU, nn.Identity),
        (nn.ReLU6, nn.ReLU6, nn.ReLU),
        (nn.ReLU, nn.ReLU, nn.ReLU),
        (nn.ReLU6, nn.ReLU6, nn.ReLU6),
    ],
)
def test_what_is_clipped_runs_in_int8_beside_what_is_not(
    acts: tuple[type[nn.Module], ...], tmp_path: Path
) -> None:
    network = Calibrated(Joined(acts), (1, 3, 12, 12))
    model = network.quantized(network.layers)
    assert realised(model, tmp_path) == as_asked(network, network.layers)
    assert max(relative_errors(network, model)) < MOST_ERROR


def test_signed_activations_with_several_readers_need_signed_kernels(tmp_path: Path) -> None:
    """The trap that `ActivationType` tells of; on ARM the signed kernels are on by themselves."""
    network = Calibrated(MultiTask())
    model = network.quantized(network.layers, ActivationType.S8)
    assert max(relative_errors(network, model)) < MOST_ERROR
    found = realised(model, tmp_path, signed_kernels=True)
    assert found == as_asked(network, network.layers)


@pytest.mark.parametrize(("given", "mean"), [(2e-8, 2e-9), (1.0, 1e-7), (1.0, 0.0)])
def test_a_mean_of_next_to_nothing_runs_in_int8(given: float, mean: float) -> None:
    pooled = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1))
    found = Calibrated(pooled, (1, 3, 16, 16))
    found.ranges |= {"0": (-given, given), "1": (-mean, mean)}
    assert all(
        np.isfinite(y).all() for y in run(found.quantized(["0", "2"]), found.images).values()
    )


class Levels(nn.Module):
    """Joins the means of maps of which one has far larger values than the other."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.head = nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = torch.relu(self.low(x))
        high = torch.relu(self.high(20.0 * low))
        means = [nn.functional.adaptive_avg_pool2d(each, 1) for each in (low, high)]
        answer: torch.Tensor = self.head(torch.cat(means, 1).flatten(1))
        return answer


def test_means_that_are_joined_keep_the_range_of_each() -> None:
    levels = Calibrated(Levels(), (1, 3, 16, 16))
    model = levels.quantized(levels.layers)
    assert max(relative_errors(levels, model)) < 2 * MOST_ERROR


def test_signed_and_unsigned_activations_mean_the_same(network: Calibrated) -> None:
    unsigned = run(network.quantized(network.layers), network.images, optimised=False)
    signed = network.quantized(network.layers, ActivationType.S8)
    for output, values in run(signed, network.images, optimised=False).items():
        np.testing.assert_array_equal(values, unsigned[output])


def test_a_plan_for_other_layers_is_refused(network: Calibrated) -> None:
    with pytest.raises(SpaceError, match=r"did you mean 'stem\.0'"):
        network.quantized(["stem"])


def test_a_missing_range_is_named(network: Calibrated) -> None:
    plan = QuantizationPlan.uniform(["stem.0"], Precision.INT8)
    with pytest.raises(ExportError, match="range of tensor 'image'"):
        quantize_model(network.model, plan, {})
    with pytest.raises(ExportError, match="'image' cannot be quantized"):
        quantize_model(network.model, plan, {**network.ranges, "image": (0.0, np.inf)})


class Reader:
    """Hands calibration batches to onnxruntime's own quantizer."""

    def __init__(self, batch: NDArray[np.float32]) -> None:
        self._batches = iter([{"image": batch}])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)


@pytest.mark.filterwarnings("ignore")
def test_the_error_is_that_of_onnxruntimes_own_quantizer(tmp_path: Path) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    network = Calibrated(
        nn.Sequential(conv_bn_relu(3, 16, 2), conv_bn_relu(16, 8), nn.MaxPool2d(2))
    )
    source, target = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    onnx.save(network.model, str(source))
    quantization.quantize_static(
        str(source),
        str(target),
        Reader(network.images),
        per_channel=True,
        weight_type=quantization.QuantType.QInt8,
        activation_type=quantization.QuantType.QUInt8,
        reduce_range=HERE.reduce_range,
    )
    theirs = relative_errors(network, onnx.load(str(target)))
    ours = relative_errors(network, network.quantized(network.layers))
    assert ours == pytest.approx(theirs, rel=0.1)


class Named(nn.Module):
    """Has names that integers would be given, were they free."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv, self.conv_quantized = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.conv_scale = nn.Parameter(torch.linspace(2.0, 5.0, 3).reshape(3, 1, 1))
        self.conv_zero_point = nn.Parameter(torch.full((3, 1, 1), 0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = torch.tanh(self.conv(x)) * self.conv_scale + self.conv_zero_point
        result: torch.Tensor = self.conv_quantized(x + y)
        return result


def test_names_of_the_model_are_not_taken_for_integers() -> None:
    network = Calibrated(Named(), (1, 3, 8, 8))
    assert set(network.layers) == {"stem", "conv", "conv_quantized"}
    exact = run(network.model, network.images)
    found = run(network.quantized(network.layers), network.images)
    for name, values in exact.items():
        error = np.sqrt(np.mean((found[name] - values) ** 2))
        assert 0.0 < error < 0.05 * values.std()

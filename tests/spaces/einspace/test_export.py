"""Networks compute the same in ONNX, under the names that quantization plans use."""

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from niwaki.compress.quantization.plan import Precision, QuantizationPlan
from niwaki.core.candidate import Candidate
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.int8.calibration import activation_ranges
from niwaki.export.int8.layers import quantizable_layers
from niwaki.export.int8.quantize import quantize_model
from niwaki.spaces.einspace import EXTRAS, EinspaceSettings, NetworkFamily
from tests.spaces.einspace.conftest import DEPTH, DIGIT, SHAPES, SMALL

NAMES = ["digit", "depth"]


def check_export(family: NetworkFamily, candidate: Candidate, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = family.build(candidate).eval()
    names = [head.task for head in family.heads]
    model = build_graph(network, [(1, *shape)], input_names=["image"], output_names=names)
    assert set(quantizable_layers(model)) == {row.path for row in family.layers(candidate)}
    images = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    answers = run(model.SerializeToString(), images)
    with torch.no_grad():
        rounded = [answer.numpy() for answer in network(images)]
        exact = [answer.numpy() for answer in network.double()(images.double())]
    for answer, torchs, wanted in zip(answers, rounded, exact, strict=True):
        # A norm of features that hardly differ enlarges rounding errors, torch's own as well.
        allowed = 2e-4 * np.abs(wanted).max() + 4.0 * np.abs(torchs - wanted).max()
        np.testing.assert_allclose(answer, wanted, rtol=2e-3, atol=allowed)


def run(model: bytes, images: torch.Tensor) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images.numpy()})  # type: ignore[no-any-return]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("faithful", [False, True])
def test_random_networks_export(shape: tuple[int, ...], faithful: bool) -> None:
    heads = [DIGIT] if faithful else [DIGIT, DEPTH]  # published maps are pooled to odd sizes
    family = EinspaceSettings(budget=SMALL, faithful=faithful).family(shape, heads)
    rng = np.random.default_rng(1)
    for _ in range(5):
        check_export(family, family.space.sample(rng), shape)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_hundreds_of_random_networks_export(shape: tuple[int, ...]) -> None:
    family = EinspaceSettings(budget=SMALL).family(shape, [DIGIT, DEPTH])
    rng = np.random.default_rng(2)
    for _ in range(300):
        check_export(family, family.space.sample(rng), shape)


def test_networks_of_all_extra_grammars_export() -> None:
    family = EinspaceSettings(budget=SMALL, extras=tuple(EXTRAS)).family(
        (12, 18, 18), [DIGIT, DEPTH]
    )
    rng = np.random.default_rng(3)
    for _ in range(10):
        check_export(family, family.space.sample(rng), (12, 18, 18))


@pytest.mark.parametrize("name", ["resnet8_w16", "vit_small", "mixer_small"])
def test_seeds_export(name: str, large: NetworkFamily) -> None:
    check_export(large, large.seed(name), (3, 32, 32))


@pytest.mark.slow
def test_the_general_path_writes_the_same(large: NetworkFamily) -> None:
    network = large.build(large.seed("vit_small")).eval()
    images = torch.randn(2, 3, 32, 32)
    model = export_module(network, [images], input_names=["image"], output_names=["digit"])
    assert model.opset_import[0].version == 20
    with torch.no_grad():
        expected = network(images)[0].numpy()
    np.testing.assert_allclose(
        run(model.SerializeToString(), images)[0], expected, rtol=1e-3, atol=1e-4
    )


def test_plans_address_layers_by_their_paths(large: NetworkFamily) -> None:
    seed = large.seed("resnet8_w16")
    network = large.build(seed).eval()
    model = build_graph(network, [(1, 3, 32, 32)], input_names=["image"], output_names=["digit"])
    images = torch.randn(8, 3, 32, 32)
    ranges = activation_ranges(model, iter([{"image": images.numpy()}]), observer="minmax")
    plan = QuantizationPlan({row.path: Precision.INT8 for row in large.layers(seed)})
    quantized = quantize_model(model, plan, ranges)
    n_int8 = sum(node.op_type == "DequantizeLinear" for node in quantized.graph.node)
    assert n_int8 >= len(large.layers(seed))
    answer = run(quantized.SerializeToString(), images)[0]
    with torch.no_grad():
        expected = network(images)[0].numpy()
    assert np.abs(answer - expected).max() < 0.1 * np.abs(expected).max()


def test_a_convolution_leaves_nothing_of_patches(large: NetworkFamily) -> None:
    network = large.build(large.seed("resnet8_w16")).eval()
    model = build_graph(network, [(1, 3, 32, 32)])
    found = {node.op_type for node in model.graph.node}
    assert found == {"Conv", "LeakyRelu", "Add", "GlobalAveragePool", "Flatten", "Gemm"}


@pytest.mark.slow
def test_published_maps_export_too() -> None:
    # They are pooled to sizes that do not divide, which is for torch's own exporter.
    family = EinspaceSettings(budget=SMALL, faithful=True).family((3, 6, 6), [DEPTH])
    tree = "route(im2col(k=3,s=2,p=1), linear(d=16), identity)"
    network = family.build(family.space.candidate(tree)).eval()
    images = torch.randn(2, 3, 6, 6)
    model = export_module(network, (images,), input_names=["image"], output_names=["depth"])
    with torch.no_grad():
        (wanted,) = network(images)
    (answer,) = run(model.SerializeToString(), images)
    assert answer.shape == (2, 3, 6, 6)
    np.testing.assert_allclose(answer, wanted.numpy(), rtol=1e-4, atol=1e-5)

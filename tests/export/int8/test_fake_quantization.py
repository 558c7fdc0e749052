"""What is rounded in torch is what the quantized graph computes on the runtime."""

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.pruning import analyse, apply_plan
from niwaki.compress.quantization.plan import ActivationType, Precision, QuantizationPlan
from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.int8.calibration import activation_ranges
from niwaki.export.int8.fake_quantization import FakeQuantized
from niwaki.export.int8.layers import quantizable_layers
from niwaki.export.int8.quantize import quantize_model
from tests.export.fast_path import (
    test_attention,
    test_constants,
    test_folding,
    test_tokens,
)
from tests.export.fast_path.test_tokens import tokens
from tests.export.graph import test_biased_products
from tests.export.networks import INPUT_SHAPE, MultiTask, images, run, settled


class Gated(nn.Module):
    """SiLU, GLU, reflected padding, a shared convolution, and a linear layer over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, 16, 3, 2, 1, padding_mode="reflect")
        self.norm = nn.BatchNorm2d(16)
        self.act = nn.SiLU()
        self.shared = nn.Conv2d(16, 16, 3, padding=1)
        self.tokens = nn.Linear(16, 24)
        self.gate = nn.GLU(dim=-1)
        self.leave = nn.Linear(12, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.enter(image)))
        x = self.shared(torch.relu(self.shared(x))) + x
        y: torch.Tensor = self.leave(self.gate(self.tokens(x.flatten(2).transpose(1, 2))))
        return y


class Normed(nn.Module):
    """Norms of groups and items, slopes, shuffles, and attention over pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(3, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.ReLU()),
            *(nn.Conv2d(16, 16, 3, 2, 1), nn.InstanceNorm2d(16, affine=True), nn.PReLU(16)),
            *(nn.ChannelShuffle(4), nn.Conv2d(16, 16, 1), nn.ELU(), nn.Conv2d(16, 32, 1)),
            *(nn.PixelShuffle(2), nn.Conv2d(8, 16, 3, 2, 1)),
        )
        self.joined, self.norm, self.out = nn.Linear(16, 48), nn.RMSNorm(16), nn.Linear(16, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.body(image).flatten(2).transpose(1, 2))
        q, k, v = self.joined(x).chunk(3, dim=-1)
        y: torch.Tensor = self.out(x + nn.functional.scaled_dot_product_attention(q, k, v))
        return y


def pruned() -> nn.Module:
    """Return a network with a third of every group removed."""
    groups = analyse(settled(MultiTask()), torch.from_numpy(images(2)))
    kept = {g.name: range(g.n_units - g.n_units // 3) for g in groups.groups}
    return apply_plan(settled(MultiTask()), groups.plan(kept))


def observed(model: onnx.ModelProto) -> Mapping[str, tuple[float, float]]:
    return activation_ranges(model, [{"image": images(8)}])


def plan_for(
    module: nn.Module,
    *,
    every: int = 1,
    activation: ActivationType = ActivationType.U8,
    reduce_range: bool = False,
) -> QuantizationPlan:
    """Return a plan with all layers in int8, or with two of each four."""
    model = build_graph(module, [INPUT_SHAPE], input_names=["image"])
    layers = [name for i, name in enumerate(quantizable_layers(model)) if i % 4 < 4 // every]
    return QuantizationPlan.uniform(
        layers, Precision.INT8, activation=activation, reduce_range=reduce_range
    )


def both(
    module: nn.Module, plan: QuantizationPlan
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]], dict[str, float]]:
    """Return what is simulated, what the runtime computes, and the rounding error of that."""
    model = build_graph(module, [INPUT_SHAPE], input_names=["image"])
    exact = run(model, images(8))
    exported = run(quantize_model(model, plan, observed(model)), images(8), optimised=False)
    rounding = FakeQuantized(module, plan, [INPUT_SHAPE], input_names=["image"])
    rounding.observe(observed)
    with torch.no_grad():
        answer = rounding(torch.from_numpy(images(8)))
    answers = answer if isinstance(answer, dict) else {"output": answer}
    errors = {name: float(np.abs(exported[name] - exact[name]).max()) for name in exact}
    return {name: value.numpy() for name, value in answers.items()}, exported, errors


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("make", [MultiTask, Gated, Normed, pruned])
def test_the_simulation_is_the_exported_model(make: Callable[[], nn.Module], every: int) -> None:
    module = settled(make())
    simulated, exported, errors = both(module, plan_for(module, every=every))
    for name, values in exported.items():
        difference = np.abs(simulated[name] - values)
        # A value between two steps may be rounded either way, and float layers spread what it is:
        # which ones hangs on the processor, whose float kernels add up in an order of their own.
        assert np.mean(difference > 1e-4 * values.std()) < (0.01 if every == 1 else 0.3)
        assert difference.max() < 0.6 * errors[name]


def test_signed_activations_are_simulated_too() -> None:
    module = settled(Gated())
    simulated, exported, _ = both(module, plan_for(module, activation=ActivationType.S8))
    spread = 1e-4 * exported["output"].std()
    assert np.mean(np.abs(simulated["output"] - exported["output"]) > spread) < 0.02


def test_weights_of_7_bits_are_simulated_too() -> None:
    module = settled(Gated())
    simulated, exported, _ = both(module, plan_for(module, reduce_range=True))
    spread = 1e-4 * exported["output"].std()
    assert np.mean(np.abs(simulated["output"] - exported["output"]) > spread) < 0.02


def test_gradients_reach_every_parameter_and_statistics_stay() -> None:
    module = settled(MultiTask())
    before = {name: value.clone() for name, value in module.named_buffers()}
    rounding = FakeQuantized(module, plan_for(module), [INPUT_SHAPE], input_names=["image"])
    rounding.observe(observed)
    answers = rounding.train()(torch.from_numpy(images(8)))
    loss = torch.stack([value.square().mean() for value in answers.values()]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    for name, value in module.named_buffers():
        torch.testing.assert_close(value, before[name])


class AddedProduct(nn.Module):
    """A linear layer with weights (C_in, C_out), as of GPT-2."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(8, 8)), nn.Parameter(torch.randn(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight)
        return flat.view(*x.shape[:-1], 8)


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (test_attention.Texts, (tokens(),)),
        (lambda: test_tokens.Encoder(fused=True), (tokens(), tokens() != 0)),
        (test_tokens.Decoder, (tokens(),)),
        (lambda: test_folding.Network(own=True), (torch.randn(4, 3, 8, 8),)),
        (test_folding.Scaled, (torch.randn(4, 3, 8, 8),)),
        (test_constants.Relative, (torch.randn(4, 6, 8),)),
        (
            lambda: nn.Sequential(test_constants.Standardised(3, 8, 3), nn.ReLU(), nn.Flatten()),
            (torch.randn(4, 3, 8, 8),),
        ),
        (lambda: nn.Sequential(AddedProduct(), AddedProduct()), (torch.randn(4, 5, 8),)),
        (lambda: test_biased_products.Rows(torch.add, 32), (torch.randn(8, 16),)),
        (lambda: nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU()), (torch.randn(4, 3, 5, 6, 7),)),
        (
            lambda: test_attention.Attending(lambda a, x: a(x, x.flip(1), x)[0]),
            (torch.randn(4, 5, 16),),
        ),
    ],
    ids=[
        *(
            "torch's own transformer",
            "encoder",
            "decoder",
            "own batch norms",
            "factors",
            "table",
            "weights",
        ),
        *("added product", "product and bias", "videos", "attention between different tensors"),
    ],
)
def test_other_networks_are_simulated_too(
    make: Callable[[], nn.Module], inputs: tuple[torch.Tensor, ...]
) -> None:
    module = settled(make())
    shapes = [tuple(each.shape) for each in inputs]
    kinds = [str(each.dtype).removeprefix("torch.") for each in inputs]
    model = build_graph(module, shapes, input_types=kinds)
    plan = QuantizationPlan.uniform(quantizable_layers(model), Precision.INT8)
    names = [info.name for info in model.graph.input]
    feeds = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}

    def ranges(graph: onnx.ModelProto) -> Mapping[str, tuple[float, float]]:
        return activation_ranges(graph, [feeds])

    given = [each.numpy() for each in inputs]
    (exact,) = run(model, *given).values()
    (exported,) = run(quantize_model(model, plan, ranges(model)), *given, optimised=False).values()
    rounding = FakeQuantized(module, plan, shapes, input_types=kinds)
    rounding.observe(ranges)
    answers = rounding.train()(*inputs)
    difference = np.abs(answers.detach().numpy() - exported)
    assert np.abs(exported - exact).max() > 0
    assert difference.max() < 0.6 * np.abs(exported - exact).max()
    answers.square().mean().backward()
    lacking = [name for name, p in module.named_parameters() if p.grad is None]
    assert not lacking


def test_what_cannot_be_traced_is_refused() -> None:
    class Deciding(Gated):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return super().forward(image if image.sum() > 0 else -image)

    plan = QuantizationPlan({"shared": Precision.INT8})
    with pytest.raises(ExportError, match="cannot be traced symbolically"):
        FakeQuantized(settled(Deciding()), plan, [INPUT_SHAPE])


class SizedBy(nn.Module):
    """Reads no more than the size of what a SiLU gives."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.act = nn.Conv2d(3, 4, 3, stride=2), nn.SiLU()
        self.wide = nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = self.act(self.small(x)).shape[-2:]
        return nn.functional.interpolate(self.wide(x), size=tuple(size))


def test_what_is_read_for_its_size_alone_is_not_rounded() -> None:
    module, x = settled(SizedBy()), torch.randn(4, 3, 9, 9)
    plan = QuantizationPlan.uniform(["wide"], Precision.INT8)
    rounding = FakeQuantized(module, plan, [(1, 3, 9, 9)])
    rounding.observe(
        lambda graph: activation_ranges(graph, [{graph.graph.input[0].name: x.numpy()}])
    )
    exact = module(x)
    assert 0.0 < (rounding(x) - exact).abs().max() < 0.1 * exact.std()

"""The fast path computes what the module computes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.int8.layers import quantizable_layers
from tests.export.networks import INPUT_SHAPE, MultiTask, Transformer, flat, images, run, settled


def check_equal(module: nn.Module, *shapes: tuple[int, ...]) -> onnx.ModelProto:
    """Check that graph and module agree at two batch sizes, and return the graph."""
    model = build_graph(module, shapes)
    onnx.checker.check_model(model, full_check=True)
    for n_images in (1, 3):
        inputs = [images(n_images, shape) for shape in shapes]
        with torch.no_grad():
            expected = flat(module(*map(torch.from_numpy, inputs)))
        for ours, theirs in zip(run(model, *inputs).values(), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-4)
    return model


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_a_multi_task_network(mode: str) -> None:
    model = check_equal(settled(MultiTask(mode=mode)), INPUT_SHAPE)
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_a_transformer() -> None:
    check_equal(settled(Transformer()), INPUT_SHAPE)


def test_the_graph_is_pinned_and_dynamic_in_the_batch() -> None:
    model = build_graph(settled(MultiTask()), [INPUT_SHAPE])
    assert (model.ir_version, model.opset_import[0].version) == (10, 20)
    assert {opset.domain for opset in model.opset_import} == {""}
    for info in (*model.graph.input, *model.graph.output):
        assert info.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_layers_and_their_weights_are_named_by_path() -> None:
    model = build_graph(settled(MultiTask()), [INPUT_SHAPE])
    nodes = {node.name: node for node in model.graph.node}
    convolution = nodes["stages.1.0.conv2"]
    assert list(convolution.input[1:]) == [f"stages.1.0.conv2.{x}" for x in ("weight", "bias")]
    assert convolution.output[0] == "stages.1.0.conv2"
    assert nodes["classifier.2"].op_type == "Gemm"


def test_names_are_unique() -> None:
    model = build_graph(settled(MultiTask()), [INPUT_SHAPE])
    names = [node.name for node in model.graph.node]
    tensors = [name for node in model.graph.node for name in node.output]
    assert len(set(names)) == len(names)
    assert len(set(tensors)) == len(tensors)


def test_the_same_module_gives_the_same_bytes() -> None:
    module = settled(MultiTask())
    first, second = (build_graph(module, [INPUT_SHAPE]).SerializeToString() for _ in range(2))
    assert first == second


def test_the_module_is_left_as_it_was() -> None:
    module = settled(MultiTask())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    build_graph(module, [INPUT_SHAPE])
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_outputs_take_the_names_they_are_given() -> None:
    names = ["segmentation", "classifier.2", "image"]
    model = build_graph(settled(MultiTask()), [INPUT_SHAPE], input_names=["x"], output_names=names)
    assert [info.name for info in model.graph.output] == names
    assert list(run(model, images())) == names


class Nested(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[object, ...]:
        return x + y, [x * 2, {"a": x - y, "b": x}], x


def test_several_inputs_and_nested_outputs() -> None:
    model = check_equal(Nested().eval(), (1, 4), (1, 4))
    names = ["output_0", "output_1_0", "output_1_1_a", "output_1_1_b", "output_2"]
    assert [info.name for info in model.graph.output] == names


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(self.norm(self.conv(x))) + 1.0
        return y


def test_a_layer_that_is_called_twice() -> None:
    model = check_equal(settled(Twice()), (1, 3, 5, 5))
    names = [node.name for node in model.graph.node if node.op_type == "Conv"]
    assert names == ["conv", "conv:2"]


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


class Unknown(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LocalResponseNorm(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = torch.fft.fft(self.inner(x)).real
        return y


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (Branching().eval(), (1, 3), "export_module"),
        (Unknown().eval(), (1, 3, 4, 4), r"'inner\.1'.*LocalResponseNorm"),
        (nn.Linear(4, 2).eval(), (1, 3), "fails on inputs of shape"),
        (nn.Sequential(nn.Conv2d(3, 4, 5)).eval(), (1, 3, 4, 4), "larger than"),
        (nn.Linear(3, 2), (1, 3), "training mode"),
        (nn.Sequential(nn.Softmax(dim=None)).eval(), (1, 3), "name the dimension"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(
    module: nn.Module, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        build_graph(module, [shape])


def test_the_number_of_inputs_and_outputs_is_checked() -> None:
    module = nn.Linear(3, 2).eval()
    with pytest.raises(ExportError, match="takes 1 inputs, but 2 shapes"):
        build_graph(module, [(1, 3), (1, 3)])
    with pytest.raises(ExportError, match="returns 1 tensors"):
        build_graph(module, [(1, 3)], output_names=["a", "b"])
    with pytest.raises(ExportError, match="input names"):
        build_graph(module, [(1, 3)], input_names=["a", "b"])


class Constants(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(3, 1, 1))
        self.register_buffer("shift", torch.randn(1, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert isinstance(self.shift, torch.Tensor)
        y: torch.Tensor = F.relu(x * self.scale - self.shift) / 2
        return y


def test_parameters_used_without_a_layer() -> None:
    model = check_equal(Constants().eval(), (1, 3, 4, 4))
    assert {"scale", "shift"} <= {tensor.name for tensor in model.graph.initializer}


class Twin(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        one, other = (F.interpolate(x, scale_factor=2.0) for _ in range(2))
        return F.relu(one), torch.cat([other, F.interpolate(x, scale_factor=2)], 1)


def test_what_is_computed_twice_is_written_once() -> None:
    model = check_equal(Twin().eval(), (1, 3, 4, 4))
    assert [node.op_type for node in model.graph.node].count("Resize") == 1
    assert len(model.graph.initializer) == 1


class Same(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return F.relu(x), F.relu(x)


def test_two_outputs_may_be_one_tensor() -> None:
    model = check_equal(Same().eval(), (1, 3))
    assert [info.name for info in model.graph.output] == ["output_0", "output_1"]


class HooksForACall(nn.Module):
    """Hangs a hook on one of its layers, and takes it down after the call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        handle = self.layer.register_forward_hook(lambda _, __, answer: 2 * answer)
        answer: torch.Tensor = self.layer(x)
        handle.remove()
        return answer


def test_hooks_that_are_there_for_a_call_are_not_passed_over() -> None:
    module = HooksForACall().eval()
    with pytest.raises(ExportError, match=r"layer \(Linear\) has hooks"):
        build_graph(module, [(1, 6)])


@pytest.mark.parametrize("place", ["", "0"])
def test_hooks_are_not_passed_over(place: str) -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval()
    handle = module.get_submodule(place).register_forward_hook(lambda _, __, y: 2.0 * y)
    with pytest.raises(ExportError, match="hooks"):
        build_graph(module, [(1, 4)])
    handle.remove()
    build_graph(module, [(1, 4)])


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize(
    "norm", [weight_norm, spectral_norm, parametrizations.weight_norm, parametrizations.orthogonal]
)
def test_layers_whose_weights_torch_computes_are_layers(norm: Any) -> None:
    conv, linear = nn.Conv1d(4, 6, 3), nn.Linear(10, 10)
    module = nn.Sequential(norm(conv), nn.BatchNorm1d(6), nn.ReLU(), norm(linear))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    model = check_equal(settled(module), (1, 4, 12))
    assert quantizable_layers(model) == ["0", "3"]
    assert set(module.state_dict()) == set(before)
    assert isinstance(conv.weight, torch.Tensor)


class NothingBeside(nn.Module):
    """Answers with lengths, for those who gave some."""

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> Any:
        return torch.relu(x), lengths, {"more": x + 1, "lengths": lengths}


def test_nothing_among_the_answers_is_left_out() -> None:
    x, module = torch.randn(2, 4), NothingBeside().eval()
    names = ["relu", "more"]
    for model in (
        build_graph(module, [(2, 4)], output_names=names),
        export_module(module, (x,), output_names=names),
    ):
        relu, more = run(model, x.numpy()).values()
        np.testing.assert_array_equal(relu, torch.relu(x).numpy())
        np.testing.assert_array_equal(more, (x + 1).numpy())


def test_a_forward_of_the_modules_own_is_not_passed_over() -> None:
    module = nn.Sequential(nn.Linear(4, 4)).eval()
    module.forward = lambda x: x  # type: ignore[method-assign]
    with pytest.raises(ExportError, match="forward"):
        build_graph(module, [(1, 4)])


class Restored(nn.Module):
    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"image": image * 2.0}


def test_an_output_has_no_name_of_an_input() -> None:
    module = Restored().eval()
    with pytest.raises(ExportError, match="'image' is the name of an input and of an output"):
        build_graph(module, [(1, 3)])
    with pytest.raises(ExportError, match="'image' is the name of an input and of an output"):
        export_module(module, [torch.ones(2, 3)], output_names=["image"])
    assert list(run(build_graph(module, [(1, 3)], input_names=["x"]), images(1, (1, 3)))) == [
        "image"
    ]


class OfTheBatch(nn.Module):
    """Computes with how many items there are."""

    def __init__(self, compute: Callable[[torch.Tensor, int], torch.Tensor]) -> None:
        super().__init__()
        self.compute = compute

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.compute(x, x.shape[0])


@pytest.mark.parametrize(
    "compute",
    [
        lambda x, n: x[: n // 2],
        lambda x, n: x[n // 2 :],
        lambda x, n: x / (1 + n // 4),
        lambda x, n: x * min(n, 3),
    ],
)
def test_sizes_that_few_items_agree_on_are_not_constant(
    compute: Callable[[torch.Tensor, int], torch.Tensor],
) -> None:
    with pytest.raises(ExportError, match="Use export_module"):
        build_graph(OfTheBatch(compute).eval(), [(1, 3)])

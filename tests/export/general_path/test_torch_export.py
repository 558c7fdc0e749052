"""The general path agrees with the module and the fast path, and tells nothing of its maker."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from niwaki.compress.pruning import analyse, apply_plan
from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.int8.layers import layers_in_float, quantizable_layers
from niwaki.testing.pruning_idioms import IDIOMS
from tests.compress.pruning.equality import half_of_each
from tests.export.networks import INPUT_SHAPE, MultiTask, Transformer, flat, images, run, settled


class Norms(nn.Module):
    """Batch norms behind layers that torch's exporter does not fold them into, and before one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.BatchNorm2d(3)
        self.up = nn.Sequential(nn.ConvTranspose2d(3, 4, 2, 2, groups=1), nn.BatchNorm2d(4))
        self.fc = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] > 1000:
            raise ValueError("too wide")
        y: torch.Tensor = self.fc(self.up(self.first(x)).mean((2, 3)))
        return y


MODULES = {"multi-task": MultiTask, "transformer": Transformer, "norms": Norms}


@pytest.fixture(scope="module")
def exported() -> dict[str, tuple[nn.Module, onnx.ModelProto]]:
    modules = {name: settled(kind()) for name, kind in MODULES.items()}
    example = torch.randn(INPUT_SHAPE)
    return {
        name: (module, export_module(module, [example], input_names=["image"]))
        for name, module in modules.items()
    }


Exported = dict[str, tuple[nn.Module, onnx.ModelProto]]


@pytest.mark.parametrize("name", list(MODULES))
def test_it_computes_what_the_module_computes(exported: Exported, name: str) -> None:
    module, model = exported[name]
    onnx.checker.check_model(model, full_check=True)
    for n_images in (1, 3):
        inputs = images(n_images)
        with torch.no_grad():
            expected = flat(module(torch.from_numpy(inputs)))
        for ours, theirs in zip(run(model, inputs).values(), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["multi-task", "transformer"])
def test_layers_are_named_as_on_the_fast_path(exported: Exported, name: str) -> None:
    module, model = exported[name]
    fast = build_graph(module, [INPUT_SHAPE], input_names=["image"])
    assert quantizable_layers(model) == quantizable_layers(fast)
    ours = {node.name: node for node in model.graph.node}
    for node in fast.graph.node:
        if node.name in quantizable_layers(fast):
            assert list(ours[node.name].input[1:]) == list(node.input[1:])


def test_names_are_unique(exported: Exported) -> None:
    for _, model in exported.values():
        names = [node.name for node in model.graph.node]
        assert len(set(names)) == len(names)


def test_batch_norm_is_folded_where_it_can_be(exported: Exported) -> None:
    kept = {
        name: sum(node.op_type == "BatchNormalization" for node in model.graph.node)
        for name, (_, model) in exported.items()
    }
    # The first of `Norms` has no layer before it.
    assert kept == {"multi-task": 0, "transformer": 0, "norms": 1}


def test_the_file_is_pinned_and_tells_nothing_of_its_maker(exported: Exported) -> None:
    for _, model in exported.values():
        assert (model.ir_version, model.opset_import[0].version) == (10, 20)
        assert {opset.domain for opset in model.opset_import} == {""}
        written = model.SerializeToString()
        assert not re.search(rb"\.py|File \"|stack_trace|pkg\.", written)
        assert str(Path.home()).encode() not in written
        assert str(Path.cwd()).encode() not in written


def test_the_same_module_gives_the_same_bytes(exported: Exported) -> None:
    module, model = exported["norms"]
    again = export_module(module, [torch.randn(5, *INPUT_SHAPE[1:])], input_names=["image"])
    assert again.SerializeToString() == model.SerializeToString()


class Untraceable(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = torch.linalg.svdvals(x)
        return values


def test_torchs_reason_is_given(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        ExportError, match=r"torch cannot export Untraceable, at .*\.py:\d+: \w+: \w+"
    ):
        export_module(Untraceable().eval(), [torch.randn(2, 3)])
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.jit
def test_scripted_modules_are_named() -> None:
    module = nn.Sequential(nn.Linear(3, 4), torch.jit.script(nn.Linear(4, 2))).eval()
    with pytest.raises(ExportError, match=r"'1' is scripted \(torch.jit\): give the module"):
        export_module(module, [torch.randn(2, 3)])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of torch.ao
def test_modules_that_torch_quantized_are_named() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    quantize = torch.ao.quantization.quantize_dynamic
    quantized: nn.Module = quantize(module, {nn.Linear})  # type: ignore[no-untyped-call]
    with pytest.raises(ExportError, match=r"'0' was quantized by torch: give the float model"):
        export_module(quantized.eval(), [torch.randn(2, 3)])


def test_a_module_in_training_mode_is_refused() -> None:
    with pytest.raises(ExportError, match="training mode"):
        export_module(nn.Linear(3, 2), [torch.randn(2, 3)])


@pytest.mark.parametrize("name", ["memory_both_ways", "memory_of_columns", "cells_in_a_loop"])
def test_pruned_recurrent_networks_are_written(name: str) -> None:
    torch.manual_seed(0)
    module, inputs = IDIOMS[name].make().eval(), IDIOMS[name].inputs()
    smaller = apply_plan(module, half_of_each(analyse(module, inputs))).eval()
    model = export_module(smaller, [inputs])
    with torch.no_grad():
        expected = smaller(inputs)
    (got,) = run(model, inputs.numpy()).values()
    np.testing.assert_allclose(got, expected, atol=1e-5, rtol=1e-4)


class Memories(nn.Module):
    """A recurrent module of two layers, called twice, and one of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.deep = nn.LSTM(6, 6, 2, batch_first=True)
        self.last = nn.GRU(6, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.last(self.deep(self.deep(x)[0])[0])[0]
        return answers


def test_layers_of_a_recurrent_module_are_named_as_their_weights_are() -> None:
    module, x = Memories().eval(), torch.randn(2, 7, 6)
    for model in (build_graph(module, [x.shape]), export_module(module, [x])):
        assert list(layers_in_float(model)) == [
            *("deep.l0", "deep.l1", "deep.l0:2", "deep.l1:2"),
            "last",
        ]


class Bare(nn.Module):
    """Parameters of its own, named like an operation, like the input and like an output."""

    def __init__(self) -> None:
        super().__init__()
        self.mixing = nn.Parameter(torch.randn(6, 8))
        self.weight = nn.Parameter(torch.randn(4, 8))
        self.relu = nn.Parameter(torch.randn(8))
        self.given = nn.Parameter(torch.randn(6))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = torch.relu((x - self.given) @ self.mixing) * self.relu
        return {"mixing": nn.functional.linear(hidden, self.weight), "rest": hidden.mean(1)}


@pytest.fixture(scope="module")
def bare() -> tuple[nn.Module, onnx.ModelProto]:
    module = Bare().eval()
    names = {"input_names": ["given"], "output_names": ["mixing", "rest"]}
    return module, export_module(module, [torch.randn(2, 6)], **names)


def test_parameters_may_have_the_names_of_anything(
    bare: tuple[nn.Module, onnx.ModelProto],
) -> None:
    module, model = bare
    onnx.checker.check_model(model, full_check=True)
    inputs = images(3)[:, 0, 0, :6]
    with torch.no_grad():
        expected = module(torch.from_numpy(inputs))
    for name, values in run(model, inputs).items():
        np.testing.assert_allclose(values, expected[name].numpy(), atol=1e-5, rtol=1e-4)


def test_weights_of_the_whole_module_are_layers(bare: tuple[nn.Module, onnx.ModelProto]) -> None:
    assert quantizable_layers(bare[1]) == ["matmul", "linear"]
    alone = export_module(nn.Linear(6, 4).eval(), [torch.randn(2, 6)])
    assert quantizable_layers(alone) == ["linear"]


class Alike(nn.Module):
    """Layers cloned from one, and two heads that start at zero on the same features."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
        self.body[2].load_state_dict(self.body[0].state_dict())
        self.box, self.score = nn.Linear(8, 4), nn.Linear(8, 4)
        for head in (self.box, self.score):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.body(x)
        return self.box(features), self.score(features)


def test_layers_with_equal_weights_are_layers_of_their_own() -> None:
    module = Alike().eval()
    exported = export_module(module, [torch.randn(2, 8)])
    layers = ["body.0", "body.2", "box", "score"]
    assert quantizable_layers(exported) == layers
    read = [node.input[1] for node in exported.graph.node if node.name in layers]
    assert read == [f"{layer}.weight" for layer in layers]


class Repeated(nn.Module):
    """The same features through one layer twice, and through two that share their weight."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 4)
        self.left, self.right = nn.Linear(8, 3, bias=False), nn.Linear(8, 3, bias=False)
        self.right.weight = self.left.weight

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (
            self.head(x),
            torch.softmax(self.head(x), -1),
            self.left(x),
            torch.relu(self.right(x)),
        )


def test_calls_of_one_layer_on_the_same_features_are_layers_of_their_own() -> None:
    module = Repeated().eval()
    for shape in [(2, 8), (2, 5, 8)]:
        exported = export_module(module, [torch.randn(*shape)])
        assert quantizable_layers(exported) == ["head", "head:2", "left", "right"]
        assert quantizable_layers(build_graph(module, [shape])) == quantizable_layers(exported)


class Again(nn.Module):
    """One block three times in a list, and two convolutions of one weight, one with a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())] * 3)
        self.first, self.second = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        y: torch.Tensor = self.norm(self.second(torch.relu(self.first(x))))
        return y


def test_what_has_several_names_goes_by_the_first_as_on_the_fast_path() -> None:
    module = settled(Again())
    exported = export_module(module, [torch.randn(2, 3, 8, 8)])
    layers = ["blocks.0.0", "blocks.0.0:2", "blocks.0.0:3", "first", "second"]
    assert quantizable_layers(exported) == layers
    assert quantizable_layers(build_graph(module, [(2, 3, 8, 8)])) == layers
    assert {"blocks.0.0.weight", "first.weight"} <= {c.name for c in exported.graph.initializer}


class Means(nn.Module):
    """Means of images over all pixels, as a pooling, as images of one pixel, and as vectors."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        one_pixel = torch.relu(x).mean((2, 3), keepdim=True)
        return nn.functional.adaptive_avg_pool2d(x, 1), one_pixel, x.mean([-1, -2]), x.mean((1, 2))


def test_means_over_all_pixels_are_poolings_which_run_in_int8() -> None:
    inputs = torch.randn(2, 3, 5, 6)
    model = export_module(Means().eval(), [inputs], input_names=["x"])
    onnx.checker.check_model(model, full_check=True)
    kinds = [node.op_type for node in model.graph.node if node.op_type != "Relu"]
    assert kinds == [*3 * ["GlobalAveragePool"], "Flatten", "ReduceMean"]
    for got, wanted in zip(run(model, inputs.numpy()).values(), Means()(inputs), strict=True):
        np.testing.assert_allclose(got, wanted.numpy(), atol=1e-6)


class Reserved(nn.Module):
    """Calls its parts what torch's graph modules call theirs."""

    graph: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.meta, self.code = nn.Linear(4, 6), nn.Parameter(torch.randn(6, 3))
        self.register_buffer("graph", torch.rand(4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = torch.relu(self.meta(x @ self.graph)) @ self.code
        return answer


def test_parts_may_have_the_names_of_a_graph_module() -> None:
    module = Reserved().eval()
    before = list(module.state_dict())
    model = export_module(module, [torch.randn(2, 4)], input_names=["x"])
    assert type(module) is Reserved and list(module.state_dict()) == before
    inputs = torch.randn(3, 4)
    (found,) = run(model, inputs.numpy()).values()
    with torch.no_grad():
        np.testing.assert_allclose(found, module(inputs).numpy(), atol=1e-6)
    assert {"meta.weight", "meta.bias", "code", "graph"} <= {
        c.name for c in model.graph.initializer
    }
    assert "meta" in {node.name for node in model.graph.node}


class Assigning(nn.Module):
    """Assigns what torch's graph modules have, too, in a branch and outside of it."""

    graph: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Parameter(torch.randn(4, 4))
        self.register_buffer("graph", torch.rand(4, 4), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.graph = self.graph * 0.5
        answer: torch.Tensor = torch.cond(
            x.sum() > 0, lambda x: x @ self.code, lambda x: x - self.code[0], (x,)
        )
        return answer @ self.graph


def test_parts_of_such_names_may_be_assigned_and_read_in_a_branch() -> None:
    module = Assigning().eval()
    before = module.graph.clone()
    model = export_module(module, [torch.ones(2, 4)], input_names=["x"])
    assert "niwaki_inner" not in str(model)
    for inputs in (torch.ones(3, 4), -torch.ones(3, 4)):
        (found,) = run(model, inputs.numpy()).values()
        module.graph = before
        with torch.no_grad():
            np.testing.assert_allclose(found, module(inputs).numpy(), atol=1e-6)


class Started(nn.Module):
    """Recurrent layers that start from states that they are given."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer, self.begin = layer, nn.Linear(3, 2 * layer.hidden_size)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first = self.begin(x[:, 0]).view(len(x), 2, -1).transpose(0, 1).contiguous()
        states = (first, first.tanh()) if isinstance(self.layer, nn.LSTM) else first
        answer, last = self.layer(x, states)
        return answer, last[0] if isinstance(last, tuple) else last


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(3, 5, 2, batch_first=True),
        nn.GRU(3, 5, batch_first=True, bidirectional=True),
        nn.RNN(3, 5, 2, batch_first=True, nonlinearity="relu"),
    ],
)
def test_recurrent_layers_start_from_states_that_are_given(layer: nn.RNNBase) -> None:
    module = Started(layer).eval()
    model, inputs = export_module(module, [torch.ones(2, 4, 3)]), torch.randn(3, 4, 3)
    with torch.no_grad():
        for found, wanted in zip(run(model, inputs.numpy()).values(), module(inputs), strict=True):
            np.testing.assert_allclose(found, wanted.numpy(), atol=1e-6)


def test_projections_of_a_recurrent_layer_are_refused_by_name() -> None:
    module = nn.ModuleDict({"memory": nn.LSTM(3, 5, batch_first=True, proj_size=2)}).eval()
    with pytest.raises(ExportError, match=r"'memory' is an LSTM with proj_size=2"):
        export_module(module, [torch.ones(2, 4, 3)])


class Remembering(nn.Module):
    """Keeps what it computes in buffers, of which one is empty at first."""

    scale: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.register_buffer("seen", None)
        self.register_buffer("scale", torch.full((1, 3), 2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = self.fc(x)
        self.scale = self.seen * self.scale
        return self.scale.tanh()


def test_buffers_that_the_forward_pass_assigns_are_none_of_the_graph() -> None:
    module = Remembering().eval()
    model = export_module(module, [torch.ones(2, 4)])
    assert module.seen is None and module.scale.shape == (1, 3)
    inputs = torch.randn(5, 4)
    (found,) = run(model, inputs.numpy()).values()
    with torch.no_grad():
        np.testing.assert_allclose(found, module(inputs).numpy(), atol=1e-6)


class Surrounded(nn.Module):
    """Layers that torch's exporter pads, transposes and reshapes around."""

    def __init__(self) -> None:
        super().__init__()
        self.ring = nn.Conv1d(2, 4, 3, padding=1, padding_mode="circular")
        self.mirror = nn.Conv1d(4, 4, 3, padding=1, padding_mode="reflect")
        self.both_ways = nn.GRU(4, 5, batch_first=True, bidirectional=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.both_ways(self.mirror(self.ring(x)).transpose(1, 2))[0]
        return answer


def test_a_layer_has_its_name_before_what_surrounds_it() -> None:
    model = export_module(Surrounded().eval(), [torch.randn(2, 2, 6)])
    operators = {node.name: node.op_type for node in model.graph.node}
    assert operators["ring"] == operators["mirror"] == "Conv"
    assert operators["both_ways"] == "GRU"
    assert quantizable_layers(model) == ["ring", "mirror"]


def test_what_one_file_has_no_room_for_is_told_at_once() -> None:
    large = nn.Sequential(nn.Linear(2**15, 2**14, device="meta"), nn.ReLU()).eval()
    reason = r"has 2\.00 GiB of weights, and one ONNX file holds less than 2 GiB"
    with pytest.raises(ExportError, match=reason):
        build_graph(large, [(1, 2**15)])
    with pytest.raises(ExportError, match=reason):
        export_module(large, [torch.zeros(2, 2**15)])


class OneHead(nn.Module):
    """Attention of one head, with no axis for it."""

    def __init__(self, mask: torch.Tensor | None, *, is_causal: bool) -> None:
        super().__init__()
        self.mask, self.is_causal = mask, is_causal
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.query(x), self.key(x), self.value(x)
        return nn.functional.scaled_dot_product_attention(
            q, k, value=v, attn_mask=self.mask, is_causal=self.is_causal, scale=0.3
        )


@pytest.mark.parametrize(
    ("mask", "is_causal"),
    [(None, False), (None, True), (torch.randn(5, 5), False), (torch.randn(1, 5, 5), False)],
    ids=["plain", "causal", "mask", "mask of items"],
)
def test_attention_of_one_head_is_written(mask: torch.Tensor | None, is_causal: bool) -> None:
    module = OneHead(mask, is_causal=is_causal).eval()
    model = export_module(module, [torch.randn(2, 5, 8)])
    assert quantizable_layers(model) == ["query", "key", "value"]
    x = images(3, (1, 5, 8))
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    (found,) = run(model, x).values()
    np.testing.assert_allclose(found, expected, atol=1e-5)

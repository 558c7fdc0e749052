"""What a file becomes in torch: named layers, parameters that train, channels that can go."""

import contextlib
import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from niwaki.compress.pruning import analyse, apply_plan
from niwaki.core.errors import ConfigError
from niwaki.evaluation.compression.from_onnx.call import OPERATORS, Call
from niwaki.evaluation.compression.from_onnx.file import OnnxFile
from niwaki.evaluation.compression.from_onnx.operators import load_operators
from niwaki.evaluation.compression.from_onnx.proof import require_same_answers
from niwaki.evaluation.compression.from_onnx.reading import read_module
from niwaki.testing.model_zoo import ZOO
from tests.compress.pruning.equality import half_of_each, scrambled
from tests.evaluation.compression.from_onnx.files import (
    Weights,
    file_of,
    graph_of,
    inputs_for,
    saved,
)


class Attention(nn.Module):
    """A class token, a table of positions, and one layer of attention as torch has it."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.places = nn.Parameter(torch.randn(1, 6, 16))
        self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        found: Tensor = self.head(self.layer(x)[:, 0])
        return found


class Speech(nn.Module):
    """Words, two layers of recurrence in both directions, and an answer of the last."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8)
        self.rnn = nn.LSTM(8, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.rnn(self.words(x))[0][:, -1])
        return found


class Images(nn.Module):
    """Enlarged, transposed and halved features."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Hardswish())
        self.up, self.end = nn.ConvTranspose2d(8, 8, 2, 2), nn.Conv2d(12, 4, 3, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.enter(x)
        larger = functional.interpolate(features, scale_factor=2.0, mode="bilinear")
        first, second = (larger * self.up(features)).chunk(2, 1)
        found = self.end(torch.cat([second, first * 2, first], 1))
        return found, features.mean((2, 3))


CASES: dict[str, tuple[Any, Tensor]] = {
    "attention": (Attention, torch.randn(2, 5, 16)),
    "speech": (Speech, torch.randint(0, 20, (2, 7))),
    "images": (Images, torch.randn(2, 3, 8, 8)),
}


@pytest.mark.filterwarnings("ignore")  # of torch's exporters
@pytest.mark.parametrize("how", ["dynamo", "script"])
@pytest.mark.parametrize("batch", ["open", "one"])
@pytest.mark.parametrize("name", CASES)
def test_what_torch_exports_is_read(name: str, batch: str, how: str, tmp_path: Path) -> None:
    make, example = CASES[name]
    model, path = make().eval(), tmp_path / "model.onnx"
    example = example if batch == "open" else example[:1]
    any_batch: dict[str, Any] = {}
    if batch == "open" and how == "dynamo":
        any_batch = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
    elif batch == "open":
        any_batch = {"dynamic_axes": {"x": {0: "batch"}}, "input_names": ["x"]}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        torch.onnx.export(model, (example,), path, dynamo=how == "dynamo", **any_batch)
    file = OnnxFile.load(str(path))
    inputs = np.concatenate([CASES[name][1].numpy()] * 2).astype(np.float32)
    read = read_module(file)
    require_same_answers(read, file, inputs[:3])
    kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)
    layers = {path for path, each in model.named_modules() if isinstance(each, kinds)}
    assert layers - set(dict(read.named_modules())) <= {"layer.self_attn.out_proj"}


def test_layers_and_parameters_have_the_names_of_the_file(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    model.append(nn.Linear(4 * 36, 2))
    read = read_module(OnnxFile.load(str(file_of(model.eval(), (3, 8, 8), tmp_path))))
    named = {name: tuple(each.shape) for name, each in read.named_parameters()}
    sizes = {"0.weight": (4, 3, 3, 3), "0.bias": (4,), "4.weight": (2, 144), "4.bias": (2,)}
    assert {n.removeprefix("_"): s for n, s in named.items()} == sizes
    assert all(each.requires_grad for each in read.parameters())


def test_a_sum_after_a_product_is_its_bias(tmp_path: Path) -> None:
    body = "a = MatMul(x, w) b = Add(c, a) r = Relu(b) d = MatMul(r, v) e = Add(d, d) y = Add(e, c)"
    weights = {"w": (6, 5), "v": (5, 5), "c": (5,)}
    read = read_module(saved(graph_of(body, weights), tmp_path))
    layers = [m for m in read.modules() if isinstance(m, nn.Linear)]
    assert [layer.bias is None for layer in layers] == [False, True]


def test_nodes_that_share_a_weight_share_the_layer(tmp_path: Path) -> None:
    body = "a = Conv(x, w, b) c = Relu(a) y = Conv(c, w, b)"
    file = saved(graph_of(body, {"w": (4, 4, 1, 1), "b": (4,)}), tmp_path)
    read = read_module(file)
    assert len([m for m in read.modules() if isinstance(m, nn.Conv2d)]) == 1
    require_same_answers(read, file, inputs_for(file))


_NORM = (
    "m{0} = ReduceMean<axes=[-1]>({1}) d{0} = Sub({1}, m{0}) q{0} = Mul(d{0}, d{0}) "
    "v{0} = ReduceMean<axes=[-1]>(q{0}) e{0} = Add(v{0}, {2}) r{0} = Sqrt(e{0}) "
    "n{0} = Div(d{0}, r{0}) s{0} = Mul(n{0}, scale) {4} = Add(s{0}, {3})"
)
_GROUPS = (
    "f{0} = Reshape({1}, size{2}) i{0} = InstanceNormalization(f{0}, one{2}, zero{2}) "
    "{3} = Reshape(i{0}, back) "
)


@pytest.mark.parametrize(
    ("body", "n_layers"),
    [
        ("a = MatMul(x, w) b = Add(a, c) d = MatMul(b, w) y = Add(d, c)", 1),
        ("a = MatMul(x, w) b = Add(a, c) d = MatMul(b, w) y = Add(d, c2)", 2),
        ("a = MatMul(x, w) b = Add(a, c) y = MatMul(b, w)", 2),
        (f"{_NORM.format(1, 'x', 'few', 'c', 'h')} {_NORM.format(2, 'h', 'few', 'c', 'y')}", 1),
        (f"{_NORM.format(1, 'x', 'few', 'c', 'h')} {_NORM.format(2, 'h', 'few', 'c2', 'y')}", 2),
        (f"{_NORM.format(1, 'x', 'few', 'c', 'h')} {_NORM.format(2, 'h', 'more', 'c', 'y')}", 2),
        (
            f"{_GROUPS.format(1, 'x', 2, 'h')} k = Mul(h, each) {_GROUPS.format(2, 'k', 4, 'l')} "
            "y = Mul(l, each)",
            2,
        ),
    ],
)
def test_layers_of_one_weight_are_one_only_if_all_else_is_the_same(
    body: str, n_layers: int, tmp_path: Path
) -> None:
    weights: Weights = {
        **{"w": (6, 6), "c": (6,), "c2": (6,), "scale": (6,), "each": (4, 1, 1)},
        **{"few": np.float32(1e-5), "more": np.float32(1.0), "back": np.array([0, 4, 6, 6])},
        **{f"size{n}": np.array([0, n, -1]) for n in (2, 4)},
        **{f"one{n}": np.ones(n, np.float32) for n in (2, 4)},
        **{f"zero{n}": np.zeros(n, np.float32) for n in (2, 4)},
    }
    file = saved(graph_of(body, weights, opset=13), tmp_path)
    read = read_module(file)
    require_same_answers(read, file, inputs_for(file))
    assert (
        len([m for m in read.modules() if type(m).__module__.startswith("torch.nn.")]) == n_layers
    )


@pytest.mark.parametrize(
    ("norm", "opset"),
    [
        ("{1} = InstanceNormalization({0}, ones, zeros)", 20),
        ("{1} = GroupNormalization<num_groups=2>({0}, ones, zeros)", 21),
        ("{1} = LayerNormalization({0}, six, none)", 20),
        ("{1} = RMSNormalization({0}, six)", 23),
        (
            "f{0} = Reshape({0}, s) i{0} = InstanceNormalization(f{0}, two, no) "
            "b{0} = Reshape(i{0}, t) m{0} = Mul(b{0}, each) {1} = Add(m{0}, add)",
            13,
        ),
    ],
)
def test_norms_that_share_ones_and_zeros_are_not_one(norm: str, opset: int, tmp_path: Path) -> None:
    ones, zeros = (partial(fill, dtype=np.float32) for fill in (np.ones, np.zeros))
    weights: Weights = {
        **{"ones": ones(4), "six": ones(6), "two": ones(2), "each": ones((4, 1, 1)), "w": (6, 6)},
        **{"zeros": zeros(4), "none": zeros(6), "no": zeros(2), "add": zeros((4, 1, 1))},
        **{"s": np.array([0, 2, -1]), "t": np.array([0, 4, 6, 6])},
    }
    body = f"{norm.format('x', 'a')} p = MatMul(a, w) {norm.format('p', 'y')}"
    file = saved(graph_of(body, weights, opset=opset), tmp_path)
    read = read_module(file)
    require_same_answers(read, file, inputs_for(file))
    kinds = nn.InstanceNorm2d | nn.GroupNorm | nn.LayerNorm | nn.RMSNorm
    norms = [m for m in read.modules() if isinstance(m, kinds)]
    assert len(norms) == 2
    has_weights = isinstance(norms[0], nn.LayerNorm | nn.RMSNorm)
    assert has_weights == bool(list(norms[0].parameters()))


def test_convolutions_of_one_weight_and_other_pads_are_several(tmp_path: Path) -> None:
    body = 'a = Conv<strides=[2,2], auto_pad="SAME_UPPER">(x, w) '
    body += body.replace("a =", "b =").replace("(x,", "(a,").replace("b =", "y =")
    file = saved(graph_of(body, {"w": (4, 4, 3, 3)}, item="4, 12, 5"), tmp_path)
    require_same_answers(read_module(file), file, inputs_for(file))


def test_a_mask_stays_as_it_is_and_a_table_is_trained(tmp_path: Path) -> None:
    mask = np.triu(np.full((6, 6), -np.inf, np.float32), 1)
    file = saved(
        graph_of(
            "a = Add(x, mask) b = Softmax(a) y = Mul(b, table)", {"mask": mask, "table": (6, 6)}
        ),
        tmp_path,
    )
    read = read_module(file)
    assert [name for name, _ in read.named_buffers()] == ["constants.mask"]
    assert [name for name, _ in read.named_parameters()] == ["constants.table"]
    require_same_answers(read, file, inputs_for(file))


def test_single_numbers_and_constants_in_nodes_do_not_train(tmp_path: Path) -> None:
    body = "k = Constant<value = float[2] {1.0, 2.0}>() a = Mul(x, one) b = Add(a, k) y = Mul(b, w)"
    weights: Weights = {"one": np.full(1, 0.5, np.float32), "w": (2,)}
    file = saved(graph_of(body, weights, item="3, 2"), tmp_path)
    read = read_module(file)
    require_same_answers(read, file, inputs_for(file))
    assert [name for name, _ in read.named_parameters()] == ["constants.w"]
    assert [name for name, _ in read.named_buffers()] == ["constants.k"]


@pytest.mark.parametrize("node", ["_modules", "graph/code", "training"])
@pytest.mark.parametrize("weight", ["train.weight", "graph.weight", "_parameters.weight"])
def test_names_that_modules_have_already_are_no_obstacle(
    node: str, weight: str, tmp_path: Path
) -> None:
    body = "a = Conv(x, w) b = Mul(a, g) c = Conv(b, v) y = Conv(c, v)"
    model = graph_of(body, {"w": (4, 4, 1, 1), "g": (1, 4, 1, 1), "v": (4, 4, 1, 1)})
    names = {"w": weight, "g": f"{weight}.g"}
    model.graph.node[2].name = node
    for each in model.graph.node:
        each.input[1] = names.get(each.input[1], each.input[1])
    for tensor in model.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    file = saved(model, tmp_path)
    require_same_answers(read_module(file), file, inputs_for(file))


def test_several_outputs_are_a_mapping_by_their_names(tmp_path: Path) -> None:
    file = saved(graph_of("near = Relu(x) far = Neg(near)", outputs=("far", "near")), tmp_path)
    found = read_module(file)(torch.ones(2, 4, 6, 6))
    assert {name: float(each.mean()) for name, each in found.items()} == {"far": -1, "near": 1}


def test_outputs_whose_names_are_none_of_tasks_get_such(tmp_path: Path) -> None:
    model = graph_of("a = Relu(x) b = Neg(x) c = Exp(x) d = Abs(x)", outputs=("a", "b", "c", "d"))
    names = {"a": "26", "b": "Identity:0", "c": "Identity_0", "d": "fine"}
    for node in model.graph.node:
        node.output[0] = names[node.output[0]]
    for info in model.graph.output:
        info.name = names[info.name]
    file = saved(model, tmp_path)
    read = read_module(file)
    require_same_answers(read, file, inputs_for(file))
    assert list(read(torch.ones(2, 4, 6, 6))) == ["output_26", "Identity_0_2", "Identity_0", "fine"]
    assert "'26' is output_26, 'Identity:0' is Identity_0_2" in file.remark


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_precisions_are_computed_in_float32(kind: type[Any], tmp_path: Path) -> None:
    model = graph_of("a = MatMul(x, w) y = Relu(a)", {"w": np.ones((6, 5), kind) / kind(3)})
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    file = saved(model, tmp_path)
    read = read_module(file)
    require_same_answers(read, file, inputs_for(file))
    assert {each.dtype for each in read.parameters()} == {torch.float32}
    assert f"in {'half' if kind is np.float16 else 'double'} precision, and comp" in file.remark


@pytest.mark.parametrize("name", ["resnet20_cifar", "mobilenet_v1"])
def test_as_much_can_be_pruned_as_of_the_model_that_was_exported(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, example = ZOO[name].make(0.25).eval(), ZOO[name].inputs()
    assert isinstance(example, Tensor)
    item = tuple(example.shape[1:])
    read = read_module(OnnxFile.load(str(file_of(model, item, tmp_path))))
    left = []
    for each in (model, read):
        groups = analyse(scrambled(each), example.double())
        kept = half_of_each(groups).kept
        counts = [len(kept.get(group.name, range(group.n_units))) for group in groups.groups]
        left.append(float(groups.costs.macs(counts)) / float(groups.costs.macs(groups.n_units)))
        assert apply_plan(each, half_of_each(groups)) is not None
    assert left[1] <= left[0] + 0.01


def test_heads_that_are_taken_apart_by_numbers_can_be_pruned(tmp_path: Path) -> None:
    body = (
        "q = MatMul(x, w) a = Reshape(q, s) b = Transpose<perm=[0,2,1,3]>(a) c = Softmax(b) "
        "d = Transpose<perm=[0,2,1,3]>(c) e = Reshape(d, t) y = MatMul(e, v)"
    )
    weights = {"w": (8, 12), "v": (12, 3)}
    sizes = {"s": np.array([-1, 6, 4, 3]), "t": np.array([-1, 6, 12])}
    read = read_module(saved(graph_of(body, {**weights, **sizes}, item="6, 8"), tmp_path))
    groups = analyse(read, torch.randn(2, 6, 8))
    assert [(group.n_units, group.members[0].owner) for group in groups.groups][:1]
    smaller = apply_plan(read, half_of_each(groups))
    assert sum(p.numel() for p in smaller.parameters()) <= 0.6 * sum(
        p.numel() for p in read.parameters()
    )


def test_states_of_a_recurrence_can_be_pruned(tmp_path: Path) -> None:
    body = (
        'a = Transpose<perm=[1,0,2]>(x) b = LSTM<hidden_size=16, direction="bidirectional">'
        "(a, w, r) c = Transpose<perm=[0,2,1,3]>(b) d = Reshape(c, s) "
        "e = Transpose<perm=[1,0,2]>(d) y = MatMul(e, v)"
    )
    weights = {"w": (2, 64, 6), "r": (2, 64, 16), "v": (32, 3)}
    file = saved(graph_of(body, {**weights, "s": np.array([5, -1, 32])}, item="5, 6"), tmp_path)
    read = read_module(file)
    require_same_answers(read, file, inputs_for(file))
    assert [group.n_units for group in analyse(read, torch.randn(2, 5, 6)).groups] == [16]


@pytest.mark.parametrize("item", ["4, 2, 2, 2, 2", ""])
def test_norms_over_other_axes_than_torch_has_are_refused(item: str, tmp_path: Path) -> None:
    size = (4,) if item else (1,)
    weights: Weights = {"s": size, "b": size, "m": size, "v": np.ones(size, np.float32)}
    graph = graph_of("y = BatchNormalization(x, s, b, m, v)", weights, item=item or "1")
    if not item:
        del graph.graph.input[0].type.tensor_type.shape.dim[1:]
    with pytest.raises(ConfigError, match=r"node 'y' .*\d axes, and torch has no such norm"):
        read_module(saved(graph, tmp_path))


def test_what_a_converter_was_not_written_for_names_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(call: Call) -> Any:
        raise KeyError(call.node.op_type)

    load_operators()
    monkeypatch.setitem(OPERATORS, "Neg", lost)
    file = saved(graph_of("a = Relu(x) y = Neg(a)"), tmp_path)
    with pytest.raises(ConfigError, match=r"'y' \(Neg\) .*KeyError.*my_model") as told:
        read_module(file)
    causes = (told.value.__cause__, getattr(told.value.__cause__, "__cause__", None))
    assert any(isinstance(each, KeyError) for each in causes)

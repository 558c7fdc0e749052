"""What a model changes in place is read changed, as torch reads it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, nn

from niwaki.compress.quantization.plan import Precision, QuantizationPlan
from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.float_graph import float_graph
from niwaki.export.int8.calibration import activation_ranges
from niwaki.export.int8.fake_quantization import FakeQuantized
from tests.export.fast_path.test_fx_graph import check_equal
from tests.export.networks import images, run

SHAPE = (1, 4, 6, 6)
Computed = Callable[[Any, Tensor], Any]


class Written(nn.Module):
    """Two convolutions and activations, joined by a function."""

    def __init__(self, computed: Computed) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.relu, self.silu = nn.ReLU(inplace=True), nn.SiLU(inplace=True)
        self.drop = nn.Dropout(inplace=True)
        self.factor = nn.Parameter(torch.full((1, 4, 1, 1), 0.5))
        self.computed = computed

    def forward(self, x: Tensor) -> Any:
        return self.computed(self, x)


def skip(m: Any, x: Tensor) -> Any:
    x = m.first(x)
    return m.second(m.relu(x)) + x


def residual_unit(m: Any, x: Tensor) -> Any:
    out = m.second(m.relu(m.first(m.relu(x))))
    return out + x


def statement(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    m.relu(y)
    return y


def methods(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    z = y
    y.add_(1.0)
    y.mul_(m.factor)
    return z - x


def operators(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    z = y
    z += m.second(y)
    z *= 2.0
    return m.second(y) - z


def functions(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    F.relu(y, inplace=True)
    F.hardtanh(y, -0.5, 0.5, True)
    return m.drop(y)


def of_a_clone(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    z = y.clone()
    z += 1.0
    return m.silu(z) - y


def of_a_view_read_alone(m: Any, x: Tensor) -> Any:
    y = m.first(x).transpose(2, 3)
    m.relu(y)
    return y.flatten(1) * 2.0


def of_numbers(m: Any, x: Tensor) -> Any:
    n_channels = x.shape[1]
    n = n_channels
    n *= 3
    y = m.first(x)
    return y.view(-1, n_channels, 36) * n


def two_results(m: Any, x: Tensor) -> Any:
    y, z = m.first(x), m.second(x)
    y += z  # shares no memory with what is added
    return y, z * 2


def parts(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    z = y.clone()
    z[:, 1:3] = m.second(x)[:, :2] * 2
    z[:, 0, 2:, ..., -1] = 0.5
    z[..., 1:3, 0] += y[:, :, :2, 1]
    z[:, -1] *= y[:, 0]
    z[:, :, 1] = y[0, :1, 0]
    z[:] = z[:] + 1
    z[:, 2:2] = 7.0
    return z - y


def parts_by_methods(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    y[:, 1].zero_()
    y[:, 2:, 1:3].add_(x[:, :2, 1:3]).mul_(2.0)
    y[..., -1].fill_(0.5)
    y[:, 0].relu_()
    third = y.shape[1] // 2
    y[:, third : 2 * third - 1].neg_()
    z = torch.zeros(6, 6) + m.factor[0, 0]
    z[2:4].zero_()
    row = z[1]
    row -= 1.0
    return y, row, z * 2


def another_part(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    row = y[:, 0]
    row += 1.0
    row *= 2.0
    y[:, 1] = row
    return y, row


def by_a_mask(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    y[y > 0.1] = -1.0
    return y


def of_what_is_made(m: Any, x: Tensor) -> Any:
    y = torch.zeros(x.shape[0], 6, 6, 6)
    y[:, :4] = m.first(x)
    z = torch.zeros(4, 4)
    z[0] = m.first(x)[0, :, 0, 0]
    return y, z


COMPUTED = [two_results, parts, parts_by_methods, another_part, by_a_mask, of_what_is_made]
COMPUTED += [skip, residual_unit, statement, methods, operators, functions]
COMPUTED += [of_a_clone, of_a_view_read_alone, of_numbers]


@pytest.mark.parametrize("computed", COMPUTED, ids=lambda f: f.__name__)
def test_what_is_changed_is_read_changed(computed: Computed) -> None:
    class Cloning(Written):  # so that the test's own inputs stay
        def forward(self, x: Tensor) -> Any:
            return self.computed(self, x.clone())

    torch.manual_seed(0)
    check_equal(Cloning(computed).eval(), SHAPE)


def test_a_model_may_change_its_input() -> None:
    torch.manual_seed(0)
    module = Written(lambda m, x: m.second(m.relu(x)) + x).eval()
    inputs = images(3, SHAPE)
    (found,) = run(build_graph(module, [SHAPE]), inputs).values()
    with torch.no_grad():
        np.testing.assert_allclose(found, module(torch.from_numpy(inputs.copy())), atol=1e-5)


def test_a_norm_behind_what_was_changed_is_not_folded() -> None:
    def computed(m: Any, x: Tensor) -> Any:
        y = m.first(x)
        y += 1.0
        norm = m.norm(y)
        return norm

    check_equal(Written(computed).eval(), SHAPE)


def part(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    first, _ = y.chunk(2, 1)
    first += 1.0
    return y


def base(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    flat = y.flatten(1)
    y.mul_(2.0)
    return flat


def values(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    y.data.clamp_(-0.1, 0.1)
    return y


def weight(m: Any, x: Tensor) -> Any:
    with torch.no_grad():
        m.first.weight.mul_(0.5)
    y = m.first(x)
    return y


def assigned(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    y.data = y.data * 2.0
    return y


def seen_by_another(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    row = y[:, 0]
    y[:, 0] = 1.0
    return y, row


def of_a_part_that_was_changed(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    row = y[:, 0]
    row += 1.0
    row[:, 2] = 0.0
    return y


def a_view_of_a_part_that_was_changed(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    row = y[:, 0]
    row += 1.0
    row[:, 2].zero_()
    return y


def part_that_was_put_back(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    row = y[:, 0]
    row += 1.0
    y[:, 0] = row
    row.view(-1, 36).mul_(2.0)
    return y


def part_behind_the_whole(m: Any, x: Tensor) -> Any:
    y = m.first(x)
    row = y[:, 0]
    row += 1.0
    y *= 2.0
    return y, row


@pytest.mark.parametrize(
    "computed",
    [
        *(part, base, values, weight, assigned, seen_by_another, of_a_part_that_was_changed),
        *(a_view_of_a_part_that_was_changed, part_that_was_put_back, part_behind_the_whole),
    ],
)
def test_what_is_changed_through_a_view_is_refused(computed: Computed) -> None:
    with pytest.raises(ExportError, match=r"changed in place|assigned"):
        build_graph(Written(computed).eval(), [SHAPE])


@pytest.mark.parametrize("computed", [part, base])
def test_a_model_that_changes_views_is_written_by_torch(computed: Computed) -> None:
    torch.manual_seed(0)
    module = Written(computed).eval()
    inputs = images(3, SHAPE)
    model = float_graph(module, [SHAPE], lambda: [torch.from_numpy(inputs)])
    (found,) = run(model, inputs).values()
    with torch.no_grad():
        np.testing.assert_allclose(found, module(torch.from_numpy(inputs)), atol=1e-5)


@pytest.mark.parametrize(
    ("index", "value", "said"),
    [
        (slice(1), 1.0, "some of the batch"),
        ((slice(None), slice(0, 4, 2)), 1.0, "every other place"),
        ((slice(None), None, 1), 1.0, "a new axis"),
        ((slice(None), torch.tensor([0, 1])), 1.0, "indexing with"),
        ((slice(None), 0), torch.ones(1, 1, 1, 6, 6), "of more axes"),
    ],
)
def test_other_assignments_are_refused(index: Any, value: Any, said: str) -> None:
    def computed(m: Any, x: Tensor) -> Any:
        y = m.first(x)
        y[index] = value
        return y

    with pytest.raises(ExportError, match=said):
        build_graph(Written(computed).eval(), [SHAPE])


def test_training_with_quantization_assigns_anew_each_time() -> None:
    torch.manual_seed(0)
    module = Written(of_what_is_made).eval()
    rounded = FakeQuantized(module, QuantizationPlan({"first": Precision.INT8}), [SHAPE])
    inputs = torch.from_numpy(images(4, SHAPE))
    rounded.observe(lambda m: activation_ranges(m, [{"x": inputs.numpy()}], observer="minmax"))
    for _ in range(2):
        first, _ = rounded(inputs)
        first.sum().backward()
    assert module.first.weight.grad is not None


def test_training_with_quantization_reads_it_changed() -> None:
    torch.manual_seed(0)
    module = Written(skip).eval()
    plan = QuantizationPlan({"first": Precision.INT8, "second": Precision.INT8})
    rounded = FakeQuantized(module, plan, [SHAPE], input_names=["x"])
    inputs = images(16, SHAPE)
    rounded.observe(lambda model: activation_ranges(model, [{"x": inputs}], observer="minmax"))
    with torch.no_grad():
        expected = module(torch.from_numpy(inputs.copy()))
        found = rounded(torch.from_numpy(inputs.copy()))
    assert (found - expected).abs().max() < 0.1


class Counting(nn.Module):
    """Changes a buffer when it is called, so that the next call finds another."""

    scale: Tensor

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.change = change
        self.register_buffer("scale", torch.tensor([-1.0, 2.0, torch.nan]))

    def forward(self, x: Tensor) -> Tensor:
        self.change(self.scale)
        return x * self.scale


@pytest.mark.parametrize("change", [Tensor.relu_, lambda t: t.mul_(1.0).clamp_(min=0.0)])
def test_buffers_that_are_changed_in_place_are_refused(change: Callable[[Tensor], Tensor]) -> None:
    module = Counting(change).eval()
    with pytest.raises(ExportError, match="Counting changes its buffer 'scale'"):
        build_graph(module, [(1, 3)])
    assert module.scale[0] == -1.0


def test_buffers_that_are_read_alone_are_followed() -> None:
    build_graph(Counting(Tensor.relu).eval(), [(1, 3)])


def test_parts_that_may_share_memory_are_named() -> None:
    class Halves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            first, second = torch.relu(x).chunk(2, 1)
            first += 1
            return torch.cat([first, second], 1)

    with pytest.raises(ExportError, match="which may share its memory, is read later"):
        build_graph(Halves().eval(), [(1, 4)])


class Auxiliary(nn.Module):
    """Has a head that is answered in training mode alone, and computed in both."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.aux, self.head = (nn.Linear(6, 6) for _ in range(3))

    def forward(self, x: Tensor) -> Any:
        x = self.body(x)
        aux, answer = torch.relu(self.aux(x)), self.head(x)
        return (answer, aux) if self.training else answer


def test_what_nobody_reads_is_left_out() -> None:
    model = check_equal(Auxiliary().eval(), (1, 6))
    assert [node.name for node in model.graph.node] == ["body", "head"]

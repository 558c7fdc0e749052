"""Models that decide by values are exported the way that real inputs go."""

import numpy as np
import pytest
import torch
from torch import nn

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.float_graph import decided_by_examples
from niwaki.export.general_path.decisions import decisions_of
from niwaki.export.general_path.torch_export import export_module
from tests.export.networks import run


class Deciding(nn.Module):
    """Doubles what is large, and halves it until it is small."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x)
        if y.mean() > 100.0:
            y = 2.0 * y
        while y.abs().max().item() > 1.0:
            y = 0.5 * y
        return y


def inputs(size: float = 5.0) -> torch.Tensor:
    return size * torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_graph_goes_the_way_of_the_examples() -> None:
    module = Deciding().eval()
    model = export_module(module, (inputs(),), input_names=["x"], output_names=["y"])
    with torch.no_grad():
        expected = module(inputs())
    np.testing.assert_allclose(run(model, inputs().numpy())["y"], expected, atol=1e-5)
    torch.testing.assert_close(module(inputs()), expected)  # and the module decides for itself


def test_what_was_read_is_told_with_its_line() -> None:
    decisions = decisions_of(Deciding().eval(), [inputs()])
    assert decisions[0].value is False
    assert all("test_decisions.py:" in decision.place for decision in decisions)


class Sparing(nn.Module):
    """Leaves out a mask that hides nothing, but not where it is exported, as transformers do."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if not torch.compiler.is_exporting() and mask.all():
            return x.cumsum(1)
        index = torch.arange(len(x))[:, None], torch.arange(x.shape[1])[None, :]
        return (x * mask[index]).cumsum(1)


def test_what_is_decided_but_in_no_graph_is_not_told() -> None:
    x, mask = torch.randn(2, 4), torch.ones(2, 4, dtype=torch.int64)
    module, shapes, kinds = Sparing().eval(), [(2, 4), (2, 4)], ["float32", "int64"]
    assert decisions_of(module, [x, mask])
    assert decided_by_examples(module, shapes, [x, mask], input_types=kinds) == ()
    found = run(export_module(module, (x, mask)), x.numpy(), np.eye(2, 4, dtype=np.int64))
    expected = (x * torch.eye(2, 4)).cumsum(1)
    np.testing.assert_allclose(next(iter(found.values())), expected, atol=1e-6)


def test_what_is_decided_in_the_graph_is_told() -> None:
    module, x = Deciding().eval(), inputs()
    taken = decided_by_examples(module, [tuple(x.shape)], [x])
    assert taken == decisions_of(module, [x]) != ()


class Failing(Deciding):
    """Does what no graph can say."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(torch.from_numpy(np.sort(x.detach().cpu().numpy())))
        return y


def test_what_cannot_be_exported_names_the_line() -> None:
    with pytest.raises(ExportError, match=r"test_decisions.py:\d+"):
        export_module(Failing().eval(), (inputs(),))


class Counting(nn.Module):
    """Says `len(x)` for the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.fc(x.reshape(len(x), -1))
        return y


def test_the_length_of_a_tensor_is_its_batch() -> None:
    module = Counting().eval()
    for model in (build_graph(module, [(1, 1, 8, 8)]), export_module(module, (inputs(),))):
        assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert "len" not in Counting.forward.__globals__


def test_a_batch_that_is_fixed_is_refused() -> None:
    class Fixed(Counting):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.fc(x.reshape(int(x.shape[0]), -1))
            return y

    with pytest.raises(ExportError, match=r"took the batch of input .* for a constant of 2"):
        export_module(Fixed().eval(), (inputs(),))


class Remembering(nn.Module):
    """Decides by a value, and keeps what it saw for the next pass."""

    seen: torch.Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.register_buffer("seen", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = 0.0 if self.seen is None else self.seen
        self.seen = self.fc(x) * (2.0 if x.sum() > 0 else 1.0)
        return self.seen + before


def test_nothing_is_kept_of_the_run_that_decides() -> None:
    module, x = Remembering().eval(), torch.ones(2, 4)
    decisions_of(module, [x])
    assert module.seen is None
    (found,) = run(export_module(module, [x]), x.numpy()).values()
    with torch.no_grad():
        np.testing.assert_allclose(found, module(x).numpy(), atol=1e-6)

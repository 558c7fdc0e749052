"""Models that nobody thought of, through `niwaki.compress` and the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from typer.testing import CliRunner

import niwaki
from niwaki.cli import app
from niwaki.core.errors import DataError, ExportError
from niwaki.evaluation.compression.plans import CompressionPlans
from niwaki.evaluation.compression.settings import CompressionSettings, PruningSettings
from niwaki.evaluation.compression.tuning.fine_tuning import TuningSettings
from niwaki.export.bundle import find_bundles, verify_bundle
from niwaki.study.compression import Compressed, CompressionRequest
from niwaki.study.results.run import Run
from tests.evaluation.compression.small import build, loaders
from tests.hasty import HASTY

SETTINGS = CompressionSettings(
    pruning=PruningSettings(
        price="macs", shares=(0.5,), n_judged=64, criterion="l1", allocation="uniform"
    ),
    tuning=TuningSettings(epochs=0.5, batch_size=32, n_recalibration=64),
)


def compressed(model: nn.Module, folder: Path, tasks: Any = None, **wanted: Any) -> Compressed:
    """Compress a model without labels, or with these, and check that no candidate failed."""
    inputs = torch.randn(160, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    request = CompressionRequest(n_finalists=1, settings=SETTINGS, **wanted)
    found = niwaki.compress(model, inputs, tasks, HASTY, folder=folder / "run", request=request)
    trials = Run.read(folder / "run").history.trials
    assert [t.measurement.reason for t in trials if not t.measurement.complete] == []
    return found


def require_verified(folder: Path) -> None:
    """Check that every finalist has a bundle, and that each is right."""
    bundles = find_bundles(folder / "run" / "artifacts")
    for bundle in bundles:
        verify_bundle(bundle).require(str(bundle))
    finals = Run.read(folder / "run").history.finals
    assert finals and {bundle.name for bundle in bundles} == set(finals)


class Plain(nn.Module):
    """What the others vary."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv1, self.conv2 = nn.Conv2d(1, 16, 3, 2), nn.Conv2d(16, 16, 3)
            self.fc = nn.Linear(16, 4)
            nn.init.zeros_(self.fc.bias)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.conv2(functional.relu(self.conv1(x))))

    def scores(self, features: torch.Tensor) -> torch.Tensor:
        # Differences, so that the largest is not the same for all inputs.
        scores: torch.Tensor = self.fc(features.mean((2, 3)) - features[:, :, 0, 0])
        return scores

    def forward(self, x: torch.Tensor) -> Any:
        return self.scores(self.features(x))


class Deciding(Plain):
    """Looks at its features before it goes on."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.features(x)
        if features.abs().mean() > 1e3:
            features = features / 1e3
        return self.scores(features)


class Nested(Plain):
    """Returns more than anybody asked for, and counts how often."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("n_calls", torch.zeros(()))

    def forward(self, x: torch.Tensor, *, details: bool = True) -> dict[str, Any]:
        self.n_calls.add_(1)  # type: ignore[operator]
        features = self.features(x)
        inner = {"map": features} if details else {}
        return {"scores": self.scores(features), "inner": inner, "loss": None}


class Remembering(Plain):
    """Keeps what it computed in evaluation for the next time, and normalises after a gate.

    It also has a layer whose answer is always the same.
    """

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.kept: dict[str, torch.Tensor] = {}
            self.offsets = nn.Parameter(torch.randn(1, 16, 1, 1))
            self.norm = nn.BatchNorm2d(16)
            self.place = nn.Conv2d(1, 16, 1)

    def offset(self) -> torch.Tensor:
        if torch.is_grad_enabled():
            return self.offsets.tanh()
        if "offset" not in self.kept:
            self.kept["offset"] = self.offsets.tanh()
        return self.kept["offset"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = torch.linspace(-1, 1, 25).reshape(1, 1, 5, 5)
        features = self.norm(functional.gelu(self.features(x))) + 0.01 * self.place(places)
        return self.scores(features + self.offset())


class Normalised(Plain):
    """Has weights that are computed, a function of its own, and one number per item."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2 = nn.utils.parametrizations.weight_norm(self.conv2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Doubled.apply(self.scores(self.features(x)).sum(1))  # type: ignore[no-any-return, no-untyped-call]


class Viewing(Plain):
    """Looks at maps and at a table of its own as rows, which only lie so in the usual layout."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(16 * 5 * 5, 4, bias=False)
        self.table = nn.Parameter(torch.ones(1, 2, 3, 4))

    def forward(self, x: torch.Tensor) -> Any:
        rows = self.features(x).view(len(x), -1)
        return self.wide(rows - rows.roll(1, 1)) * self.table.view(-1, 4).mean(0)


class Doubled(torch.autograd.Function):
    """An operation with a gradient of its own."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        return 2.0 * x

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return 2.0 * gradients[0]


@pytest.mark.parametrize("make", [Deciding, Nested, Remembering, Normalised, Viewing])
def test_it_is_compressed_and_verified(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    model = make().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = compressed(model, tmp_path)
    assert found.front.models
    require_verified(tmp_path)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name])
    assert model.training


def test_plans_of_the_front_fit_the_model(tmp_path: Path) -> None:
    compressed(Normalised(), tmp_path)
    paths = list((tmp_path / "run" / "artifacts" / "plans").glob("*.json"))
    assert paths
    images = torch.zeros(2, 1, 16, 16)
    for path in paths:
        plans = CompressionPlans.load(path)
        assert plans.prune(Normalised().eval())(images).shape == (2,)


def test_a_budget_that_nothing_meets_says_what_is_there(tmp_path: Path) -> None:
    found = compressed(build(), tmp_path, loaders(), latency_ms=1e-6)
    fastest = min(model.values["latency_ms"] for model in found.front.models)
    assert f"not met: the fastest model found takes {fastest:.3g} ms" in found.summary()
    require_verified(tmp_path)


class Tokens(nn.Module):
    """Reads features place by place, and answers at each place."""

    def __init__(self, n_outputs: int = 3) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.up, self.down = nn.Linear(6, 16), nn.Linear(16, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.down(functional.relu(self.up(x)))
        return answer


class ChannelsLast(Plain):
    """Takes images as files hold them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores(self.features(x.permute(0, 3, 1, 2)))


class Volumes(nn.Sequential):
    """Convolves in three dimensions."""

    def __init__(self) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            super().__init__(nn.Conv3d(2, 16, 3), nn.ReLU(), nn.Conv3d(16, 2, 1))


class Signals(nn.Sequential):
    """Labels every moment of a signal, the classes second."""

    def __init__(self) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            super().__init__(nn.Conv1d(2, 16, 3, 1, 1), nn.ReLU(), nn.Conv1d(16, 3, 1))


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(160, *shape, generator=torch.Generator().manual_seed(1))


def labelled(*shape: int) -> torch.Tensor:
    return torch.randint(0, 3, (160, *shape), generator=torch.Generator().manual_seed(2))


def tags() -> torch.Tensor:
    return torch.where(torch.arange(5) > 0, labelled(5), -100)


@pytest.mark.parametrize(
    ("make", "batch"),
    [
        (Tokens, drawn(5, 6)),
        (Tokens, (drawn(5, 6), tags())),
        (ChannelsLast, drawn(16, 16, 1)),
        (Volumes, drawn(2, 4, 5, 5)),
        (Signals, (drawn(2, 9), labelled(9))),
    ],
    ids=["values of places", "tags", "channels last", "volumes", "labels of moments"],
)
def test_inputs_and_outputs_have_any_shape(
    make: Callable[[], nn.Module], batch: Any, tmp_path: Path
) -> None:
    found = compressed(make(), tmp_path, {"train": [batch]})
    assert found.front.models
    require_verified(tmp_path)


class Sorting(Plain):
    """Leaves torch in the middle."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.features(x)
        return self.scores(torch.from_numpy(np.sort(features.detach().numpy(), axis=1)))


def test_what_cannot_run_on_the_target_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"test_any_model.py:\d+.*parts can be: conv1, conv2, fc"):
        compressed(Sorting(), tmp_path)


def test_the_command_line_names_the_line_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Linear):\n"
        "    def forward(self, x):\n"
        "        return super().forward(x.flatten(1))\n"
        "def build():\n"
        "    return Net(7, 4)\n"
        "def loaders():\n"
        "    return {'train': [(torch.randn(64, 1, 4, 4), torch.arange(64) % 4)]}\n"
    )
    place = str(tmp_path / "mine.py")
    arguments = ["compress", f"{place}:build", "--data", f"{place}:loaders"]
    result = CliRunner().invoke(app, [*arguments, "--runs", str(tmp_path / "runs")])
    assert isinstance(result.exception, DataError)  # the command turns it into its exit code
    assert "mine.py:4" in str(result.exception)

"""Models that cannot be exported as a whole: parts of them are compressed, and run inside."""

import copy
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import niwaki
from niwaki.core.errors import ConfigError, DataError, ExportError
from niwaki.evaluation.compression.given_model.model_source import ModelSource
from niwaki.evaluation.compression.parts import (
    calls_of_part,
    exportable_parts,
    recipe_for,
    with_part,
)
from niwaki.evaluation.compression.settings import CompressionSettings, PruningSettings
from niwaki.evaluation.compression.tuning.fine_tuning import TuningSettings
from niwaki.export.bundle import read_bundle, verify_bundle, write_bundle
from niwaki.export.card import InputCard, ModelCard, TaskCard
from niwaki.export.general_path.torch_export import export_module
from niwaki.study.compression import CompressionRequest
from tests.hasty import HASTY

SETTINGS = CompressionSettings(
    only="prune",
    pruning=PruningSettings(
        price="macs", shares=(0.8,), n_judged=32, criterion="l1", allocation="uniform"
    ),
    tuning=TuningSettings(epochs=1, batch_size=32, n_recalibration=64),
)


class Body(nn.Module):
    """Decides by its values, which an export can repeat."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 64, 3, 2, 1), nn.Conv2d(64, 8, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.b(functional.relu(self.a(x)))
        return found / 1e3 if found.abs().mean() > 1e3 else found


class Sorting(nn.Module):
    """Leaves torch between its parts, and calls one of them twice."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body = Body()
            self.head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 16, 4))
            self.pair = nn.Bilinear(4, 4, 4)

    def forward(self, x: Tensor) -> Any:
        found = [self.body(x), self.body(x.flip(-1))]
        rows = [torch.from_numpy(np.sort(y.detach().numpy(), axis=-1).copy()) for y in found]
        return self.pair(self.head(rows[0]), self.head(rows[1]))


def images(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 1, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_the_largest_parts_are_found_with_what_to_do() -> None:
    parts = exportable_parts(Sorting().eval(), images(2))
    assert parts == ("body", "head")
    assert "--part body" in recipe_for(parts)
    assert recipe_for(()) == ""


def test_data_of_a_part_are_what_it_gets_and_answers() -> None:
    model = Sorting().train()
    data = calls_of_part(model, "body", [images(3), images(2, 1)])
    assert [len(x) for x, _ in data] == [3, 3, 2, 2]  # it is called twice
    torch.testing.assert_close(data[1][0], images(3).flip(-1))
    torch.testing.assert_close(data[2][1], model.body(images(2, 1)))
    assert model.training


class Sharing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left = self.right = Body()

    def forward(self, x: Tensor) -> Any:
        return self.left(x), self.right(x.flip(-1))


def test_a_shared_part_is_found_by_each_of_its_paths() -> None:
    model = Sharing().eval()
    found = [calls_of_part(model, path, [images(2)]) for path in ("left", "right")]
    assert [len(calls) for calls in found] == [2, 2]
    part = ModelSource(module=model, part="right").load()
    torch.testing.assert_close(part(images(2)), model.left(images(2)))


@pytest.mark.parametrize("path", ["pair", "nothing"])
def test_a_part_that_is_called_otherwise_is_an_error(path: str) -> None:
    with pytest.raises(DataError, match=path):
        calls_of_part(Sorting(), path, [images(2)])


def test_the_recipe_works(tmp_path: Path) -> None:
    model, inputs = Sorting().eval(), images(96)
    found = niwaki.compress(
        model,
        tasks={"train": [(inputs, torch.zeros(96))]},
        target=HASTY,
        part="body",
        folder=tmp_path / "run",
        request=CompressionRequest(settings=SETTINGS),
    )
    assert found.chosen is not None
    (folder,) = found.front.export(tmp_path / "out", which=found.chosen.key)
    verify_bundle(folder).require("the part")
    smaller = with_part(model, "body", folder)
    fresh = images(16, 9)
    with torch.no_grad():
        whole, pruned = model(fresh), copy.deepcopy(smaller)(fresh)
        expected = model.body(fresh)
    torch.testing.assert_close(smaller(fresh), pruned)  # copies run the same file
    assert isinstance(model.body, Body)
    shared = with_part(Sharing(), "right", folder)
    assert shared.left is shared.right and not isinstance(shared.left, Body)
    with pytest.raises(ConfigError, match=r"no part 'bodi'; did you mean 'body'\?"):
        with_part(model, "bodi", folder)
    with pytest.raises(ConfigError, match="a part has a path"):
        with_part(model, "", folder)
    assert read_bundle(folder).card.metrics
    assert found.chosen.values["macs"] <= found.original.values["macs"]
    assert float((whole - pruned).square().mean()) < 0.5 * float(whole.var())
    got = smaller.get_submodule("body")(fresh)
    assert float((got - expected).square().mean()) < 0.5 * float(expected.var())


class Reader(nn.Module):
    """Reads integers, and answers in fractions."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.words = nn.Embedding(20, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.tanh(self.words(tokens.long())).mean(1)


def test_a_part_that_reads_integers_answers_as_it_did(tmp_path: Path) -> None:
    model = nn.Sequential(OrderedDict(body=Reader(), leave=nn.Softmax(-1))).eval()
    tokens = torch.randint(0, 20, (4, 6), generator=torch.Generator().manual_seed(0))
    reader = model.get_submodule("body")
    write_bundle(
        tmp_path / "body",
        export_module(reader, [tokens.float()], input_names=["x"], output_names=["y"]),
        ModelCard("body", (InputCard("x", (6,)),), (TaskCard("task", "regression", ("y",)),)),
        inputs={"x": tokens.numpy().astype(np.float32)},
        torch_outputs={"y": reader(tokens).detach().numpy()},
    )
    compiled: Any = torch.compile(model, backend="eager")
    for each in (model, compiled):
        deployed = with_part(each, "body", tmp_path / "body")
        torch.testing.assert_close(deployed(tokens), model(tokens))


def test_no_part_is_put_in_place_without_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(ExportError):
        with_part(Sorting(), "body", tmp_path)

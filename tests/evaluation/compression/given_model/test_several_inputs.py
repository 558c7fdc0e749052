"""Models of several inputs: given in any form, taken apart again, exported under their names."""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from onnx.helper import make_tensor_value_info
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import niwaki
from niwaki.compress.pruning import analyse
from niwaki.compress.pruning.copying import copied
from niwaki.compress.quantization.plan import Precision
from niwaki.config.build import build_study
from niwaki.config.reader import parse_config
from niwaki.core.errors import ConfigError, DataError
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.given_model.model_source import ModelSource
from niwaki.evaluation.compression.given_model.plain_calls import plainly_called
from niwaki.evaluation.compression.given_model.several_inputs import inputs_of
from niwaki.evaluation.compression.original import fitted_to
from niwaki.evaluation.compression.plans import CompressionPlans
from niwaki.evaluation.compression.settings import CompressionSettings, PruningSettings
from niwaki.evaluation.compression.tuning.fine_tuning import Tuning, TuningSettings
from niwaki.evaluation.deployment import Deployment, DeploymentSettings
from niwaki.export.bundle import find_bundles, read_bundle, verify_bundle
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.inference import infer
from niwaki.study.compression import CompressionRequest
from niwaki.study.results.run import Run
from niwaki.study.study import Study
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.sessions import SessionSettings
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.model_inputs import MOST_EXACT, ModelInput, ModelInputs
from niwaki.tasks.task import TaskKind
from tests.hasty import HASTY

Parts = Mapping[str, torch.Tensor]
SETTINGS = CompressionSettings(
    pruning=PruningSettings(price="macs", shares=(0.5,), n_judged=64),
    tuning=TuningSettings(epochs=0.5, batch_size=32, n_recalibration=64),
)


class Words(nn.Module):
    """Reads words up to where their mask ends, as models of language do."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 32)
        self.kinds = nn.Embedding(2, 32)
        self.hidden, self.answer = nn.Linear(32, 64), nn.Linear(64, 3)

    def forward(
        self,
        tokens: torch.Tensor,
        mask: torch.Tensor,
        kinds: torch.Tensor | None = None,
        *,
        scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        read = self.words(tokens)
        if kinds is not None:
            read = read + self.kinds(kinds)
        if scale is not None:
            read = read * scale[:, None, None]
        keep = mask[..., None].to(read.dtype)
        mean = (read * keep).sum(1) / keep.sum(1)
        answer: torch.Tensor = self.answer(torch.relu(self.hidden(mean)))
        return answer


class Counting(nn.Module):
    """Reads words alone."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.answer = nn.Embedding(20, 32), nn.Linear(32, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.answer(self.words(tokens).mean(1))
        return answer


class Photo(nn.Module):
    """Joins a small image and some facts."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.facts = nn.Linear(5, 16)
        self.joined = nn.Sequential(nn.Linear(16 * 16 + 16, 64), nn.ReLU(), nn.Linear(64, 3))

    def forward(self, image: torch.Tensor, facts: torch.Tensor) -> torch.Tensor:
        seen = torch.cat([self.image(image).flatten(1), torch.relu(self.facts(facts))], 1)
        answer: torch.Tensor = self.joined(seen)
        return answer


class Listed(Photo):
    """Says nothing of what it takes."""

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        return super().forward(*given)


class Holding(Photo):
    """Computes with a layer that copies of it share."""

    def __init__(self) -> None:
        super().__init__()
        layer = self.facts
        self.read: Callable[[torch.Tensor], torch.Tensor] = lambda facts: layer(facts)

    def forward(self, image: torch.Tensor, facts: torch.Tensor) -> torch.Tensor:
        seen = torch.cat([self.image(image).flatten(1), torch.relu(self.read(facts))], 1)
        answer: torch.Tensor = self.joined(seen)
        return answer


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval()


def words(n: int = 128) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(n)
    lengths = torch.randint(2, 9, (n, 1), generator=generator)
    return {
        "tokens": torch.randint(0, 20, (n, 8), generator=generator),
        "mask": torch.arange(8) < lengths,
    }


def photos(n: int = 128) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(n)
    return {
        "image": torch.randn(n, 1, 8, 8, generator=generator),
        "facts": torch.randn(n, 5, generator=generator),
    }


def data_for(module: nn.Module, *batches: object) -> tuple[nn.Module, TaskData]:
    """Return a model, called plainly, and data for it."""
    source = ModelSource(module=module)
    check = source.require_own_layers
    return source.load(), infer_from({"train": batches}, source.load(), seed=0, check=check)


def first(data: TaskData) -> torch.Tensor:
    return torch.from_numpy(next(data[SplitName.TRAIN].batches(16)).inputs)


@pytest.mark.parametrize(
    "batch",
    [
        {"image": photos()["image"], "facts": photos()["facts"]},
        {"facts": photos()["facts"], "image": photos()["image"]},
        (tuple(photos().values()),),
        (tuple(photos().values()), torch.zeros(128, dtype=torch.long)),
        (list(photos().values()), torch.arange(128) % 3),
    ],
)
@pytest.mark.parametrize("kind", [Photo, Listed])
def test_however_inputs_are_given_a_model_gets_them_in_its_order(
    batch: Any, kind: type[Photo]
) -> None:
    if kind is Listed and isinstance(batch, Mapping):
        pytest.skip("it has no names")
    module, data = data_for(seeded(kind), batch)
    together = first(data)
    assert together.shape == (16, 64 + 5) and together.dtype == torch.float32
    with torch.no_grad():
        wanted = seeded(kind)(together[:, :64].reshape(-1, 1, 8, 8), together[:, 64:])
        torch.testing.assert_close(module(together), wanted)
    rows = {row.tobytes() for row in together[:, 64:].numpy()}
    assert rows <= {row.tobytes() for row in photos()["facts"].numpy()}


class Labelled(Words):
    """Computes a loss where it is given labels, as models of Hugging Face do."""

    def forward(  # type: ignore[override]
        self, tokens: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        logits = super().forward(tokens, mask)
        found = {"logits": logits}
        if labels is not None:
            found["loss"] = nn.functional.cross_entropy(logits, labels)
        return found


@pytest.mark.parametrize(
    ("kind", "given", "name"),
    [(Labelled, words(), "labels"), (Photo, photos(), "label"), (Photo, photos(), "output")],
)
def test_batches_may_be_one_mapping_of_inputs_and_targets(
    kind: type[nn.Module], given: Parts, name: str
) -> None:
    labels = torch.arange(128) % 3
    _, together = data_for(seeded(kind), {**given, name: labels})
    _, apart = data_for(seeded(kind), (given, labels))
    assert together.fingerprint == apart.fingerprint
    (task,) = together.tasks
    assert task.kind is TaskKind.CLASSIFICATION


def test_what_is_neither_input_nor_output_is_named() -> None:
    given = {**photos(), "label": torch.arange(128) % 3, "index": torch.arange(128)}
    with pytest.raises(DataError, match="targets for 'index', but the model's outputs are output"):
        data_for(seeded(Photo), given)


def test_arguments_may_be_left_out_and_given_by_name_alone() -> None:
    scale = torch.linspace(0.5, 2.0, 128)[:, None]
    given = {"scale": scale[:, 0], **words()}
    module, data = data_for(seeded(Words), given)
    inputs = inputs_of(module)
    assert inputs == ModelInputs(
        (
            ModelInput("tokens", (8,), "int64"),
            ModelInput("mask", (8,), "bool"),
            ModelInput("scale", (), "float32"),
        )
    )
    together = first(data)
    tokens, mask, factor = inputs.apart(together)
    with torch.no_grad():
        wanted = seeded(Words)(tokens.long(), mask.bool(), scale=factor)
        torch.testing.assert_close(module(together), wanted)


class Batched(Photo):
    """Takes a mapping."""

    def forward(self, batch: Parts) -> torch.Tensor:  # type: ignore[override]
        return super().forward(batch["image"], batch["facts"])


class Paired(Photo):
    """Takes a pair."""

    def forward(self, pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:  # type: ignore[override]
        image, facts = pair
        return super().forward(image, facts)


@pytest.mark.parametrize(
    ("kind", "batch", "names"),
    [
        (Batched, photos(), ["image", "facts"]),
        (Paired, (tuple(photos().values()),), ["pair_0", "pair_1"]),
    ],
)
def test_the_one_argument_of_a_model_may_be_several_inputs(
    kind: type[Photo], batch: Any, names: list[str]
) -> None:
    module, data = data_for(seeded(kind), batch)
    together = first(data)
    with torch.no_grad():
        wanted = seeded(Photo)(together[:, :64].reshape(-1, 1, 8, 8), together[:, 64:])
        torch.testing.assert_close(module(together), wanted)
    data = fitted_to(data, module)
    deployment = Deployment(data, HASTY, DeploymentSettings())
    graph = deployment.float_model(module)
    assert [info.name for info in graph.graph.input] == names
    found = infer(graph, deployment.inputs.feeds(together.numpy()), settings=SessionSettings())
    np.testing.assert_allclose(found["output"], wanted.numpy(), atol=1e-5)


class Alone(Counting):
    """Takes a mapping of one input."""

    def forward(self, batch: Parts, batch_idx: int = 0) -> torch.Tensor:  # type: ignore[override]
        return super().forward(batch["tokens"])


class Anything(Words):
    """Hides what it takes."""

    def forward(self, *given: Any, **named: Any) -> torch.Tensor:
        return super().forward(*given, **named)


class Called(Words):
    """Has an argument of an odd name."""

    def forward(self, call: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return super().forward(call, mask)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Alone, {"tokens": words()["tokens"]}),
        (Anything, words()),
        (Called, {"call": words()["tokens"], "mask": words()["mask"]}),
    ],
)
def test_models_that_say_little_of_what_they_take(kind: type[nn.Module], given: Parts) -> None:
    module, data = data_for(seeded(kind), given)
    data = fitted_to(data, module)
    deployment = Deployment(data, HASTY, DeploymentSettings())
    graph = deployment.float_model(module)
    assert [info.name for info in graph.graph.input] == list(given)
    together = first(data)
    found = infer(graph, deployment.inputs.feeds(together.numpy()), settings=SessionSettings())
    with torch.no_grad():
        np.testing.assert_allclose(found["output"], module(together).numpy(), atol=1e-5)


Pair = namedtuple("Pair", "facts image")


@pytest.mark.parametrize(
    "batches",
    [
        [Pair(photos()["facts"], photos()["image"])],
        DataLoader(TensorDataset(*photos().values()), 21),  # ends with a batch of two
        [[each[:64] for each in photos().values()], [each[64:] for each in photos().values()]],
    ],
)
def test_lists_and_named_tuples_are_several_inputs(batches: Any) -> None:
    loader = [(x, torch.arange(len(x[0])) % 3) for x in batches]
    _, data = data_for(seeded(Photo), *loader)
    _, wanted = data_for(seeded(Photo), (photos(), torch.cat([y for _, y in loader])))
    assert data.fingerprint == wanted.fingerprint


def test_what_may_be_inputs_or_items_is_to_be_named() -> None:
    batches = [([each[i : i + 2] for each in photos().values()], torch.zeros(2)) for i in (0, 2)]
    alike = [([x[1], x[1]], y) for x, y in batches]
    with pytest.raises(DataError, match="a list of 2 arrays, which may be 2 inputs or as many"):
        data_for(seeded(Photo), *alike)


@pytest.mark.parametrize(
    ("split", "values"),
    [
        ("train", torch.full((8, 5), 0.5)),
        ("train", torch.full((8, 5), 300)),
        ("batch", torch.full((8, 5), 0.5)),
    ],
)
def test_numbers_are_of_the_type_that_holds_all_of_them(split: str, values: torch.Tensor) -> None:
    facts = torch.randint(0, 9, (8, 5), dtype=torch.uint8)
    one, other = ({**photos(8), "facts": each} for each in (facts, values))
    source = ModelSource(module=seeded(Cast))
    batches = {"train": [one], "val": [other]} if split == "train" else {"train": [one, other]}
    data = infer_from(batches, source.load(), seed=0)
    (_, kind) = [each.dtype for each in inputs_of(source.load()) or ()]
    assert kind == ("int64" if values.dtype == torch.int64 else "float32")
    seen = np.concatenate([next(data[name].batches(99)).inputs for name in SplitName])
    assert values[0, 0].item() in seen[:, 64:]


class Cast(Photo):
    """Takes numbers of any type."""

    def forward(self, image: torch.Tensor, facts: torch.Tensor) -> torch.Tensor:
        return super().forward(image, facts.float())


def test_a_hook_that_would_get_several_inputs_as_one_is_refused() -> None:
    model = seeded(Photo)
    model.register_forward_pre_hook(lambda module, given: (given[0] / 255, given[1]))
    with pytest.raises(ConfigError, match="hook in front of its `forward`"):
        data_for(model, photos())


def test_whole_numbers_are_given_as_reals_where_a_model_wants_those() -> None:
    given = {**photos(), "facts": torch.randint(0, 9, (128, 5))}
    module, _ = data_for(seeded(Photo), given)
    assert [each.dtype for each in inputs_of(module) or ()] == ["float32", "float32"]


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ({"train": [{"picture": torch.zeros(4, 1, 8, 8), "facts": torch.zeros(4, 5)}]},
         "missing 1 required positional argument: 'image'"),
        ({"train": [{"picture": torch.zeros(4, 1, 8, 8), "fact": torch.zeros(4, 5)}]},
         "input 'picture'.* The model takes image, facts"),
        ({"train": [((torch.zeros(4, 1), torch.zeros(4, 5), torch.zeros(4, 5)),)]},
         "3 inputs are given by position, but the model takes 2 .image, facts."),
        ({"train": [({"facts": torch.zeros(4, 5)}, torch.zeros(4))]},
         "missing 1 required positional argument: 'image'"),
        ({"train": [{**photos(8), "facts": torch.zeros(8, 6)}]},
         r"fails on inputs image \(2, 1, 8, 8\) float32, facts \(2, 6\) float32 from"),
        ({"train": [photos(8)], "val": [{**photos(8), "facts": torch.zeros(8, 6)}]},
         r"split val: items of input 'facts' have shape \(6,\), and elsewhere \(5,\)"),
        ({"train": [photos(8)], "val": [(tuple(photos(8).values())[:1],)]},
         "split val: there is no input 'facts'"),
        ({"train": [photos(8), (tuple(photos(8).values()),)]},
         "batches with input 'image', input 'facts', and one with input 1, input 2"),
        ({"train": [{**photos(8), "facts": torch.full((8, 5), torch.nan)}]},
         "split train: input 'facts'.* not finite|input 'facts'.*nan"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_place(
    batches: Mapping[str, list[Any]], message: str
) -> None:
    source = ModelSource(module=seeded(Photo))
    with pytest.raises(DataError, match=message):
        infer_from(batches, source.load(), seed=0)


def test_integers_that_would_be_rounded_are_refused() -> None:
    given = {**words(), "tokens": words()["tokens"] * 2 * MOST_EXACT}
    with pytest.raises(DataError, match=r"input .tokens. goes from 0 to \d+, and integers travel"):
        infer_from({"train": [given]}, Hashing().eval(), seed=0)


class Hashing(Words):
    """Takes any number for a word."""

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return super().forward(tokens % 20, mask)


def test_copies_with_layers_of_the_original_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"computes with 'facts\.\w+' of the original"):
        data_for(seeded(Holding), photos())


def test_a_model_of_several_inputs_is_compressed_exported_and_verified(tmp_path: Path) -> None:
    model = seeded(Words)
    request = CompressionRequest(n_finalists=2, settings=SETTINGS)
    found = niwaki.compress(model, words(), target=HASTY, folder=tmp_path / "run", request=request)
    assert found.front.models
    bundles = [read_bundle(each) for each in find_bundles(tmp_path / "run" / "artifacts")]
    assert bundles
    for bundle in bundles:
        verify_bundle(bundle.folder).require("it")
        told = [(each.name, each.shape, each.dtype) for each in bundle.card.inputs]
        assert told == [("tokens", (8,), "int64"), ("mask", (8,), "bool")]
        answer = infer(
            bundle.model_path,
            {name: values.numpy() for name, values in words(64).items()},
            settings=SessionSettings(),
        )
        assert answer["output"].shape == (64, 3)
    pruned = [bundle.card.candidate.part("pruning").decisions.values() for bundle in bundles]
    assert any(kept != 64 for each in pruned for kept in each)


def test_the_same_plans_are_done_to_another_checkpoint() -> None:
    model, given = seeded(Words), words(64)
    groups = analyse(model, given)
    kept = {group.name: range(0, group.n_units, 2) for group in groups.groups}
    plan = OnnxRuntimeCpu().capabilities.plan({"hidden": Precision.INT8})
    made = CompressionPlans(groups.plan(kept), plan)
    smaller = made.prune(model, [given])
    graph = made.quantize(smaller, [given, words(32)], output_names=["answer"])
    found = infer(
        graph, {name: each.numpy() for name, each in given.items()}, settings=SessionSettings()
    )
    with torch.no_grad():
        exact = smaller(**given).numpy()
    assert 0.0 < np.abs(found["answer"] - exact).max() < 0.1 * exact.std()


def test_what_is_rounded_while_it_is_trained_takes_them_apart() -> None:
    module, data = data_for(seeded(Photo), photos())
    data = fitted_to(data, module)
    deployment = Deployment(data, HASTY, DeploymentSettings(n_calibration=64))
    layers = ("image.0", "facts", "joined.0", "joined.2")
    plan = OnnxRuntimeCpu().capabilities.plan(dict.fromkeys(layers, Precision.INT8))
    tuning = Tuning(module, data, TuningSettings(quantized_epochs=1.0, batch_size=32), seed=0)
    student = plainly_called(seeded(Photo))
    infer_from({"train": [photos()]}, student, seed=0)
    with torch.no_grad():
        student.get_parameter("facts.weight").mul_(0.9)  # so that there is something to learn
    before = copied(student).state_dict()
    after = tuning.tuned_quantized(student, plan, deployment, share=1.0).state_dict()
    assert not torch.equal(before["facts.weight"], after["facts.weight"])
    together = first(data)
    with torch.no_grad():
        assert ((module(together) - student(together)).abs().max()) < 0.5


def test_a_part_of_one_input_is_compressed_alone(tmp_path: Path) -> None:
    request = CompressionRequest(n_finalists=1, settings=SETTINGS)
    found = niwaki.compress(
        seeded(Photo),
        photos(),
        part="joined",
        target=HASTY,
        folder=tmp_path / "run",
        request=request,
    )
    (bundle,) = map(read_bundle, find_bundles(tmp_path / "run" / "artifacts")[:1])
    assert found.front.models and bundle.card.inputs[0].shape == (16 * 16 + 16,)


@pytest.mark.parametrize("sizes", [(7, 8), (9, 7), (16, 8)])
def test_a_file_is_not_given_items_of_other_shapes(sizes: tuple[int, int], tmp_path: Path) -> None:
    path, given = tmp_path / "model.onnx", words()
    example = [values[:2] for values in given.values()]
    path.write_bytes(export_module(seeded(Words), example).SerializeToString())
    source = ModelSource(str(path))
    batch = tuple(torch.zeros(4, size, dtype=torch.long) for size in sizes)
    with pytest.raises(DataError, match=r"'(tokens|mask)' have shape \(\d+,\), but the file takes"):
        infer_from({"train": [(batch,)]}, source.load(), seed=0, check=source.require_own_layers)


@pytest.mark.parametrize("names", [("tokens", "mask"), ("in.0", "in.1")])
@pytest.mark.parametrize("turned", [False, True])
def test_a_file_of_several_inputs_is_read_and_keeps_their_names_and_types(
    names: tuple[str, str], turned: bool, tmp_path: Path
) -> None:
    model, given = seeded(Words), words()
    path = tmp_path / "model.onnx"
    example = [values[:2] for values in given.values()]
    path.write_bytes(export_module(model, example, input_names=names).SerializeToString())
    pairs = list(zip(names, given.values(), strict=True))
    source = ModelSource(str(path))
    module, check = source.load(), source.require_own_layers
    loaders = {"train": [dict(reversed(pairs) if turned else pairs)]}
    data = fitted_to(infer_from(loaders, module, seed=0, check=check), module)
    deployment = Deployment(data, HASTY, DeploymentSettings())
    graph = deployment.float_model(module)
    found = infer(
        graph, {name: values.numpy() for name, values in pairs}, settings=SessionSettings()
    )
    with torch.no_grad():
        exact: NDArray[np.float32] = model(**given).numpy()
    np.testing.assert_allclose(found["output"], exact, atol=1e-5)


def test_what_is_made_of_a_file_is_called_as_the_file_was(tmp_path: Path) -> None:
    model, images = seeded(TwoAnswers), photos()["image"]
    path = tmp_path / "model.onnx"
    names = {"input_names": ["in.0"], "output_names": ["26", "more"]}
    path.write_bytes(export_module(model, [images[:2]], **names).SerializeToString())
    request = CompressionRequest(n_finalists=1, settings=replace(SETTINGS, only="quantize"))
    niwaki.compress(str(path), images, target=HASTY, folder=tmp_path / "run", request=request)
    (folder, *_) = find_bundles(tmp_path / "run" / "artifacts")
    verify_bundle(folder).require("it")
    before, after = (
        infer(each, {"in.0": images.numpy()}, settings=SessionSettings())
        for each in (path, read_bundle(folder).model_path)
    )
    assert before.keys() == after.keys() == {"26", "more"}
    for name, wanted in before.items():
        assert np.abs(after[name] - wanted).max() < 0.2 * np.abs(wanted).max()


def with_unread(folder: Path, sizes: Sequence[int | str] = (1, 1, 3)) -> Path:
    """Write a file of images with two more inputs that nothing reads, as Keras does."""
    model = export_module(seeded(TwoAnswers), [photos()["image"][:2]], input_names=["image"])
    for name in ("mean/y:0", "scale"):
        model.graph.input.append(make_tensor_value_info(name, TensorProto.FLOAT, sizes))
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def test_inputs_that_nothing_reads_may_be_left_out(tmp_path: Path) -> None:
    path, images = with_unread(tmp_path), photos()["image"]
    request = CompressionRequest(n_finalists=1, settings=replace(SETTINGS, only="quantize"))
    niwaki.compress(str(path), images, target=HASTY, folder=tmp_path / "run", request=request)
    (folder, *_) = find_bundles(tmp_path / "run" / "artifacts")
    verify_bundle(folder).require("it")
    assert [each.name for each in read_bundle(folder).card.inputs] == ["image"]
    source = ModelSource(str(path))
    source.fit({"image": images.shape[1:]})
    assert "nothing reads its inputs mean/y:0, scale: left out" in source.remark


def test_inputs_that_nothing_reads_stay_where_data_have_them(tmp_path: Path) -> None:
    path, images = with_unread(tmp_path, ["n", 3]), photos()["image"]
    request = CompressionRequest(n_finalists=1, settings=replace(SETTINGS, only="quantize"))
    given = {"scale": torch.rand(128, 3), "image": images, "mean/y:0": torch.rand(128, 3)}
    niwaki.compress(str(path), given, target=HASTY, folder=tmp_path / "run", request=request)
    (folder, *_) = find_bundles(tmp_path / "run" / "artifacts")
    names = [each.name for each in read_bundle(folder).card.inputs]
    assert sorted(names) == ["image", "mean/y:0", "scale"]


@pytest.mark.parametrize("batch", [{"tokens": 0}, {"mask": 1}, (0,)])
def test_a_file_is_not_given_fewer_inputs_than_it_reads(
    batch: dict[str, int] | tuple[int], tmp_path: Path
) -> None:
    path, values = tmp_path / "model.onnx", tuple(words().values())
    path.write_bytes(export_module(seeded(Words), [v[:2] for v in values]).SerializeToString())
    source = ModelSource(str(path))
    inputs = (
        {name: values[i] for name, i in batch.items()}
        if isinstance(batch, dict)
        else tuple(values[i] for i in batch)
    )
    with pytest.raises(DataError, match=r"the file takes 2 inputs \(tokens, mask\), but .* have 1"):
        infer_from({"train": [(inputs,)]}, source.load(), seed=0, check=source.require_own_layers)


class TwoAnswers(nn.Module):
    """Answers twice."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Flatten())
        self.first, self.second = nn.Linear(16 * 16, 3), nn.Linear(16 * 16, 2)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = self.image(image)
        return self.first(seen), self.second(seen)


def test_one_input_keeps_its_name_and_type_too() -> None:
    class Tokens(Words):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return super().forward(tokens, torch.ones_like(tokens))

    module, data = data_for(seeded(Tokens), words()["tokens"])
    deployment = Deployment(fitted_to(data, module), HASTY, DeploymentSettings())
    assert deployment.inputs == ModelInputs((ModelInput("tokens", (8,), "int64"),))
    graph = deployment.float_model(module)
    kind = graph.graph.input[0].type.tensor_type.elem_type
    assert (graph.graph.input[0].name, kind) == ("tokens", 7)


def photo_model() -> nn.Module:
    return seeded(Photo)


def words_model() -> nn.Module:
    return seeded(Words)


def counting_model() -> nn.Module:
    return seeded(Counting)


def photo_loaders() -> dict[str, list[Any]]:
    turned = dict(reversed(photos().items()))
    return {"train": [(turned, torch.arange(128) % 3)]}


def words_loaders() -> dict[str, list[Any]]:
    return {split: [(words(), torch.arange(128) % 3)] for split in SplitName}


def counting_loaders() -> dict[str, list[Any]]:
    return {"train": [(words()["tokens"], torch.arange(128) % 3)]}


def file_loaders() -> dict[str, list[Any]]:
    return {"train": [(dict(reversed(words().items())), torch.arange(128) % 3)]}


def open_file(folder: Path) -> str:
    """Write a file that leaves the number of words open; its inputs come in another order."""
    example = [values[:2] for values in words().values()]
    model = export_module(seeded(Words), example)
    for info in model.graph.input:
        info.type.tensor_type.shape.dim[1].dim_param = "length"
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return str(path)


def declared(name: str, folder: Path, **changes: Any) -> Study:
    here = "tests.evaluation.compression.given_model.test_several_inputs"
    config = {
        "name": name,
        "objectives": ["mean_skill", "macs"],
        "evaluator": {
            "kind": "compressed",
            "model": f"{here}:{name}_model",
            "pruning": {"price": "macs", "shares": [0.5], "n_judged": 64, "allocation": "uniform"},
            "tuning": {"epochs": 0.5, "batch_size": 32},
            "only": "prune",
        },
        "data": {
            "kind": "python",
            "function": f"{here}:{name}_loaders",
            "tasks": {"answer": {"kind": "classification", "classes": 3}},
        },
        "target": {"kind": "onnxruntime_cpu"},
        "searcher": "random",
        "budget": {"evaluations": 1},
        "finalists": 0,
    }
    for section in ("data", "evaluator"):
        if isinstance(changes.get(section), dict):
            config[section] |= changes.pop(section)
    return build_study(parse_config({**config, **changes}), folder)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("photo", {}),
        ("words", {"in_memory": False}),
        ("counting", {"layout": "as_given"}),
        ("file", {}),
    ],
)
def test_a_configuration_declares_data_of_several_inputs(
    name: str, data: dict[str, Any], tmp_path: Path
) -> None:
    evaluator = {"model": open_file(tmp_path)} if name == "file" else {}
    front = declared(name, tmp_path / "run", data=data, evaluator=evaluator).run()
    history = Run.read(tmp_path / "run").history
    assert front.models and history.baseline is not None
    assert all(trial.measurement.complete for trial in history.trials)


def test_networks_that_are_made_for_the_data_have_one_input(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"several inputs \(facts, image\), and no space has"):
        declared(
            "photo", tmp_path / "run", evaluator="from_scratch", space={"kind": "einspace"}
        ).run()


def test_several_inputs_are_not_scaled_as_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gives several inputs .* leave `layout` and `standard"):
        declared("photo", tmp_path / "run", data={"standardise": True}).run()

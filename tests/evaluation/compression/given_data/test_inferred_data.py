"""Tasks that nobody declared."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from niwaki.core.errors import ConfigError, DataError
from niwaki.evaluation.compression.given_data.inferred_data import (
    _zeros_and_ones,
    infer_data,
    infer_from,
)
from niwaki.evaluation.compression.given_model.plain_calls import plainly_called
from niwaki.tasks.base import SplitName
from niwaki.tasks.own import Scoring
from niwaki.tasks.task import TaskKind
from tests.evaluation.compression.small import build, data, loaders, spots, unlabelled


def test_outputs_and_targets_tell_the_tasks() -> None:
    found = data()
    assert [(t.name, t.kind, t.n_outputs) for t in found.tasks] == [
        ("quarter", TaskKind.CLASSIFICATION, 4),
        ("brightness", TaskKind.REGRESSION, 1),
    ]


def test_without_targets_the_model_itself_is_the_wish() -> None:
    found = infer_from(unlabelled(), build(), seed=0)
    batch = next(found[SplitName.VAL].batches(64))
    with torch.no_grad():
        answer = build()(torch.from_numpy(batch.inputs))
    np.testing.assert_array_equal(batch.targets["quarter"], answer["quarter"].argmax(1))
    np.testing.assert_allclose(batch.targets["brightness"], answer["brightness"], atol=1e-6)


def test_targets_of_some_outputs_are_completed_by_the_model() -> None:
    partly = {
        split: [(x, {"quarter": targets["quarter"]}) for x, targets in batches]
        for split, batches in loaders().items()
    }
    assert {task.name for task in infer_from(partly, build(), seed=0).tasks} == {
        "quarter",
        "brightness",
    }


@pytest.mark.filterwarnings("ignore:Casting complex values")
@pytest.mark.parametrize(
    ("kind", "instead"),
    [("bool", "the scores"), ("int64", "the scores"), ("complex64", "torch.view_as_real")],
)
def test_what_is_no_score_is_not_taken_for_classes(kind: str, instead: str) -> None:
    class Choosing(nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"scores": x, "chosen": (x > 0).to(getattr(torch, kind))}

    words = f"'chosen' is of type {kind}, .*: return {instead}.* as by --output scores"
    with pytest.raises(DataError, match=words):
        infer_from({"train": [torch.randn(40, 4)]}, plainly_called(Choosing()), seed=0)


@pytest.mark.parametrize("shape", [(40, 3), (40, 3, 5, 5)])
def test_labels_may_have_a_column(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    labels = x.argmax(1, keepdim=True)
    found = infer_from({"train": [(x, labels)]}, plainly_called(nn.Identity()), seed=0)
    batch = next(found[SplitName.TRAIN].batches(1))
    assert found.tasks[0].kind.has_classes
    np.testing.assert_array_equal(batch.targets["output"], batch.inputs.argmax(1))


def log_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(outputs, targets)


class BrightPixels(nn.Module):
    """Answers for every pixel by a logit, or by what a sigmoid makes of it."""

    def __init__(self, *, sigmoid: bool = False) -> None:
        super().__init__()
        self.sigmoid = sigmoid

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = 8.0 * x - 1.0
        return torch.sigmoid(logits) if self.sigmoid else logits


YES_OR_NO = pytest.mark.parametrize("kind", [torch.float32, torch.int64, torch.bool])


@YES_OR_NO
def test_logits_of_yes_or_no_are_no_values(kind: torch.dtype) -> None:
    x = torch.randn(40, 1, 6, 6)
    with pytest.raises(DataError, match=r"'output' has targets of 0 and 1 alone.*sigmoid"):
        infer_from({"train": [(x, (x > 0).to(kind))]}, plainly_called(BrightPixels()), seed=0)


def test_logits_may_have_a_loss_of_their_own() -> None:
    x = torch.randn(40, 1, 6, 6)
    batches = {"train": [(x, (x > 0).float())]}
    scoring = {"": Scoring(loss=f"{__name__}:log_loss")}
    module = plainly_called(BrightPixels())
    [task] = infer_from(batches, module, seed=0, scoring=scoring).tasks
    assert task.kind is TaskKind.DEPTH


@YES_OR_NO
def test_probabilities_of_yes_or_no_are_values(kind: torch.dtype) -> None:
    x = torch.randn(40, 1, 6, 6)
    module = plainly_called(BrightPixels(sigmoid=True))
    found = infer_from({"train": [(x, (x > 0).to(kind))]}, module, seed=0)
    batch = next(found[SplitName.TRAIN].batches(4))
    assert found.tasks[0].kind is TaskKind.DEPTH
    np.testing.assert_array_equal(batch.targets["output"], np.float32(batch.inputs > 0))


def test_single_logits_have_targets_without_a_column() -> None:
    layer = nn.Linear(3, 1, bias=False)
    nn.init.constant_(layer.weight, 9.0)
    x = torch.randn(40, 3)
    wanted = (x.sum(dim=1) > 0).float()
    module = plainly_called(nn.Sequential(layer))
    with pytest.raises(DataError, match="sigmoid"):
        infer_from({"train": [(x, wanted)]}, module, seed=0)


@pytest.mark.parametrize("kind", [torch.float32, torch.int64])
@pytest.mark.parametrize("shape", [(40, 3), (40, 3, 5, 5)])
def test_one_hot_targets_are_to_be_numbers_of_classes(
    shape: tuple[int, ...], kind: torch.dtype
) -> None:
    x = torch.randn(shape)
    one_hot = torch.zeros(shape, dtype=kind).scatter_(1, x.argmax(1, keepdim=True), 1)
    with pytest.raises(DataError, match=r"targets\.argmax\(1\)"):
        infer_from({"train": [(x, one_hot)]}, plainly_called(nn.Identity()), seed=0)
    [task] = infer_from({"train": [(x, x.argmax(1))]}, plainly_called(nn.Identity()), seed=0).tasks
    assert task.kind.has_classes


def test_labels_that_are_not_known_hide_no_logits() -> None:
    x = 6 * torch.randn(60, 2)
    wanted = (x > 0).float()
    wanted[::5] = torch.nan
    with pytest.raises(DataError, match="logits"):
        infer_from({"train": [(x, wanted)]}, plainly_called(nn.Identity()), seed=0)


def test_values_are_taken_as_they_are() -> None:
    x = torch.randn(60, 2)
    precise = x.double().numpy() * 2
    found = infer_from({"train": [(x, precise)]}, plainly_called(nn.Identity()), seed=0)
    assert found.tasks[0].kind == "regression"
    first = found.fingerprint
    again = infer_from({"train": [(x, precise)]}, plainly_called(nn.Identity()), seed=0)
    rounded = precise.astype(np.float32)
    other = infer_from({"train": [(x, rounded)]}, plainly_called(nn.Identity()), seed=0)
    assert again.fingerprint == first != other.fingerprint


@pytest.mark.parametrize(
    ("values", "is_yes_or_no"),
    [
        ([0, 1, 1], True),
        ([0.0, np.nan, 1.0], True),
        ([True, False], True),
        ([1, 1], False),
        ([0.0, 0.0], False),
        ([0, 1, 2], False),
        ([np.nan, np.nan], False),
        (["0", "1"], False),
    ],
)
def test_zeros_and_ones_are_told(values: list[Any], is_yes_or_no: bool) -> None:
    assert _zeros_and_ones(np.array(values * 200)) is is_yes_or_no


def test_classes_as_real_numbers_are_told_to_be_integers() -> None:
    x = torch.randn(40, 3)
    with pytest.raises(DataError, match="give the numbers of classes as integers"):
        infer_from({"train": [(x, x.argmax(1).float())]}, plainly_called(nn.Identity()), seed=0)


class Preparing(nn.Module):
    """Divides bytes by 255, as models do that take what a camera gives."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        known = x.float() / 255 if x.dtype == torch.uint8 else x
        return nn.functional.linear(known, torch.eye(4))  # takes no integers


class Counting(nn.Module):
    """Takes integers for words, and anything else for how often each occurs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        is_counted = x.is_floating_point()
        return x if is_counted else nn.functional.one_hot(x, 8).float().mean(1)


def test_a_model_that_prepares_bytes_itself_is_not_given_them_as_floats() -> None:
    images = torch.randint(1, 255, (40, 4), dtype=torch.uint8)
    words = "are uint8, and its output 'output' is another for the same numbers in float32"
    with pytest.raises(DataError, match=words):
        infer_from({"train": [images]}, plainly_called(Preparing()), seed=0)
    infer_from({"train": [images / 255]}, plainly_called(Preparing()), seed=0)


def test_a_model_that_takes_integers_otherwise_than_floats_is_given_integers() -> None:
    words, model = torch.randint(0, 8, (40, 8)), plainly_called(Counting())
    found = infer_from({"train": [(words, Counting()(words))]}, model, seed=0)
    batch = next(found[SplitName.TRAIN].batches(8))
    answer = model(torch.from_numpy(batch.inputs)).numpy()
    np.testing.assert_allclose(answer, batch.targets["output"], atol=1e-6)


class Twice(nn.Module):
    """Answers twice."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return x[:, :4], x[:, :1]


@pytest.mark.parametrize("kind", [tuple, list])
def test_targets_of_a_tuple_may_come_in_its_order(kind: Callable[..., Any]) -> None:
    rows = torch.arange(40)
    batches = [(torch.randn(n, 6), kind([rows[:n] % 4, torch.randn(n)])) for n in (40, 40, 2)]
    found = infer_from({"train": batches}, Twice(), seed=0)
    assert {task.name: task.kind for task in found.tasks} == {
        "output": TaskKind.CLASSIFICATION,
        "output_1": TaskKind.REGRESSION,
    }
    three = [(x, kind([*targets, targets[0]])) for x, targets in batches]
    with pytest.raises(DataError, match="targets for 'output_2', but the model's outputs are"):
        infer_from({"train": three}, Twice(), seed=0)


def test_targets_of_a_mapping_may_come_in_its_order() -> None:
    batches = loaders()["train"]
    in_order = [(x, [y["quarter"], y["brightness"]]) for x, y in batches]
    named, listed = (infer_from({"train": each}, build(), seed=0) for each in (batches, in_order))
    assert named.fingerprint == listed.fingerprint


@pytest.mark.parametrize("sizes", [(40, 4), (4, 4), (4,)])
def test_a_short_batch_of_one_target_per_item_is_read_as_the_others_are(
    sizes: tuple[int, ...],
) -> None:
    model = nn.Linear(6, 4)
    batches = [(torch.randn(n, 6), [torch.randn(4) for _ in range(n)]) for n in sizes]
    found = infer_from({"train": 8 * batches}, model, seed=0)
    assert [(task.name, task.n_outputs) for task in found.tasks] == [("output", 4)]


def test_a_model_that_answers_all_inputs_alike_is_told() -> None:
    always = nn.Linear(6, 4)
    nn.init.zeros_(always.weight)
    always.bias.data = torch.tensor([-9.0, -9.0, 9.0, -9.0])
    batches: list[Any] = [torch.randn(8, 6)]
    with pytest.raises(DataError, match=r"'output' is class \d for all 8 train inputs"):
        infer_from({"train": batches}, always, seed=0)


def test_a_split_other_than_train_may_show_one_class_alone() -> None:
    inputs = torch.randn(40, 4)
    batches: dict[str, Any] = {"train": [inputs], "val": [inputs[:1]]}
    assert infer_from(batches, nn.Identity(), seed=0)[SplitName.VAL].n_items == 1


def test_no_targets_of_no_items_are_no_targets_of_none() -> None:
    batches: list[Any] = [(torch.randn(4, 6), [])]
    with pytest.raises(DataError, match=r"targets \(0,\)"):
        infer_from({"train": batches}, nn.Linear(6, 4), seed=0)


def test_one_loader_for_all_is_refused_with_what_to_give() -> None:
    loader: Any = unlabelled()["train"]
    with pytest.raises(DataError, match=r"are a list, but .* by split: give \{\"train\": batches"):
        infer_from(loader, build(), seed=0)


def test_splits_that_are_missing_are_carved() -> None:
    found = infer_from({"train": loaders()["train"]}, build(), seed=0)
    n_items = [found[split].n_items or 0 for split in SplitName]
    assert sum(n_items) == 256
    assert min(n_items) > 0


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((torch.zeros(4, 1, 16, 16), torch.zeros(4), torch.zeros(4)), "a batch of 3 came"),
        (
            {"image": torch.zeros(4, 1, 16, 16), "label": torch.zeros(4)},
            "2 inputs .image, label., but the model takes one, 'x', and",
        ),
        (
            ((torch.zeros(4, 3), torch.zeros(4, 2)), torch.zeros(4)),
            "but the model takes one, 'x', and",
        ),
        (
            [[torch.zeros(4, 3), torch.zeros(4, 3)], torch.zeros(4)],
            "but the model takes one, 'x', and",
        ),
        (
            [[torch.zeros(4, 3), torch.zeros(4, 2)], torch.zeros(4)],
            "but the model takes one, 'x', and",
        ),
        (((torch.zeros(4, 3), torch.zeros(3, 2)), torch.zeros(4)), "4 of input 1, 3 of input 2"),
        (({}, torch.zeros(4)), "a batch came without inputs"),
        (([[0.0, 1.0], [2.0]], torch.zeros(2)), "train: inputs are no plain array, but a list"),
        (torch.zeros(4, 1, 16, 16).to_sparse(), "train: inputs are no plain array, but a Tensor"),
        ((torch.zeros(1, 16, 16), 3), "targets of .*split train hold 3 .*batch first"),
        ((torch.zeros(4, 1, 16, 16), None), "targets of .*split train hold None .*batch first"),
    ],
)
def test_batches_of_another_form_are_refused(batch: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        infer_from({"train": [batch]}, build(), seed=0)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_items_is_named(split: str) -> None:
    batches = {"train": [torch.zeros(4, 1, 16, 16)], split: [torch.zeros(0, 1, 16, 16)]}
    with pytest.raises(DataError, match=f"split {split} gave batches without items"):
        infer_from(batches, build(), seed=0)


def test_what_cannot_be_gone_through_is_no_loader() -> None:
    given: dict[str, Any] = {**unlabelled(), "val": 3}
    with pytest.raises(DataError, match="gave an int for the val split: return"):
        infer_from(given, build(), seed=0)


def test_labels_are_not_replaced_by_answers_in_a_split_that_is_scored() -> None:
    mixed: dict[str, Any] = {**loaders(), "val": unlabelled()["train"]}
    with pytest.raises(DataError, match="split val has no targets brightness, but the train split"):
        infer_from(mixed, build(), seed=0)
    one: dict[str, Any] = {
        split: [(x, t["quarter"]) for x, t in batches] for split, batches in loaders().items()
    }
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 4)).eval()
    with pytest.raises(DataError, match="split test has no targets, but the train split"):
        infer_from({**one, "test": unlabelled()["train"]}, model, seed=0)
    free = {**one, "calibration": unlabelled()["train"]}
    assert infer_from(free, model, seed=0)[SplitName.CALIBRATION].n_items


@pytest.mark.parametrize(
    ("inputs", "dtype"),
    [
        (np.array([["a", "b"], ["c", "d"]]), "<U1"),
        (np.array([["2026-01-01"], ["2026-01-02"]], dtype="datetime64[D]"), r"datetime64\[D\]"),
        (np.ones((2, 3), complex), "complex128"),
    ],
)
def test_inputs_that_are_no_numbers_are_refused(inputs: NDArray[Any], dtype: str) -> None:
    with pytest.raises(DataError, match=f"inputs are of type {dtype}, but numbers are needed"):
        infer_from({"train": [inputs]}, nn.Flatten(), seed=0)


def test_items_of_several_shapes_are_refused() -> None:
    batches = [torch.zeros(4, 1, 16, 16), torch.zeros(4, 1, 18, 18)]
    with pytest.raises(DataError, match="items of different shapes"):
        infer_from({"train": batches}, build(), seed=0)


def test_inputs_that_are_not_finite_are_named_and_not_the_model() -> None:
    inputs = torch.zeros(4, 1, 16, 16)
    inputs[2, 0, 3, 4] = torch.nan
    with pytest.raises(DataError, match=r"split train: inputs hold nan at index \(2, 0, 3, 4\)"):
        infer_from({"train": [inputs]}, build(), seed=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_of_another_precision_is_told_the_remedy(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).to(dtype)
    with pytest.raises(DataError, match=r"Its '0.weight' is (float64|bfloat16).*model\.float\(\)"):
        infer_from({"train": [torch.zeros(8, 4, dtype=dtype)]}, model, seed=0)


class Masks(nn.Module):
    """Scores every pixel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, -x, 2 * x], dim=1)


def test_labels_of_pixels_are_segmentation() -> None:
    batches = [
        (x, (x[:, 0] > 0.0).astype(np.int64) + (x[:, 0] > 0.5)) for x, _ in loaders()["train"]
    ]
    [task] = infer_from({"train": batches}, Masks(), seed=0).tasks
    assert (task.kind, task.n_outputs) == (TaskKind.SEGMENTATION, 3)


@pytest.mark.parametrize("shape", [(40, 3, 5, 6), (40, 1, 3, 5, 6), None])
def test_labels_of_volumes_are_segmentation(shape: tuple[int, ...] | None) -> None:
    torch.manual_seed(0)
    inputs, model = torch.randn(40, 2, 3, 5, 6), nn.Conv3d(2, 4, 1).eval()
    batch = inputs if shape is None else (inputs, torch.randint(0, 4, shape))
    said = {} if shape else {"": Scoring(kind="segmentation")}  # the model's own labels
    found = infer_from({"train": [batch]}, model, seed=0, scoring=said)
    assert [(task.kind, task.n_outputs) for task in found.tasks] == [(TaskKind.SEGMENTATION, 4)]
    assert next(found[SplitName.TRAIN].batches(2)).targets["output"].shape == (2, 3, 5, 6)


@pytest.mark.parametrize("kind", ["segmentation", "tagging", "regression"])
def test_calibration_needs_no_labels_whatever_the_task(kind: str) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(40, 3, 6, 6) if kind == "segmentation" else torch.randn(40, 6, 3)
    targets, model = {
        "segmentation": (torch.randint(0, 5, (40, 6, 6)), nn.Conv2d(3, 5, 1)),
        "tagging": (torch.randint(0, 5, (40, 6)), nn.Linear(3, 5)),
        "regression": (torch.rand(40, 2), nn.Sequential(nn.Flatten(), nn.Linear(18, 2))),
    }[kind]
    given: dict[str, Any] = {"train": [(inputs, targets)], "calibration": [inputs[:8] + 1.0]}
    found = infer_from(given, model.eval(), seed=0)
    assert [str(task.kind) for task in found.tasks] == [kind]
    assert found[SplitName.CALIBRATION].n_items == 8


class Returns(nn.Module):
    """Returns what a function makes of its features."""

    def __init__(self, make: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.layer, self.make = nn.Linear(3, 4), make

    def forward(self, x: torch.Tensor) -> object:
        return self.make(self.layer(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda y: y.mean(), r"output 'output' has shape \(\) for 2 inputs"),
        (lambda y: {"a": y.t()}, r"output 'a' has shape \(4, 2\) .*, but the batch comes first"),
        (lambda y: {"a": y.t()}, r"one row for each input, as by `output\.movedim\(1, 0\)`"),
        (lambda y: {"loss": y.mean(), "a": y}, r"'loss' has shape \(\) .*, as by --output a$"),
        (lambda y: y @ y.t(), r"has shape \(2, 2\) for 2 inputs, and \(3, 3\) for 3: it compares"),
        (lambda y: {"a": y @ y.t(), "b": y}, "be answered by itself.* as by --output b$"),
    ],
)
def test_answers_that_are_not_one_row_for_each_input_are_refused(
    make: Callable[[torch.Tensor], object], message: str
) -> None:
    model = plainly_called(Returns(make).eval())
    with pytest.raises(DataError, match=message):
        infer_from({"train": [torch.randn(20, 3)]}, model, seed=0)


def test_one_real_number_for_several_scores_is_no_task() -> None:
    batches = [(torch.randn(20, 3), torch.rand(20))]
    with pytest.raises(DataError, match=r"shape \(2, 4\) and its targets \(20,\) of type float32"):
        infer_from({"train": batches}, nn.Linear(3, 4).eval(), seed=0)


def test_a_model_gets_bytes_as_it_is_used_to_without_a_warning() -> None:
    batches = [torch.randint(0, 256, (40, 3), dtype=torch.uint8)]
    said = {"": Scoring(kind="regression")}
    found = infer_from({"train": batches}, nn.Linear(3, 2).eval(), seed=0, scoring=said)
    assert found.warnings == ()


def test_loaders_that_shuffle_give_the_same_data_every_time() -> None:
    loader, model = DataLoader(TensorDataset(torch.randn(80, 3)), 8, shuffle=True), nn.Linear(3, 2)
    first, second = (infer_from({"train": loader}, model, seed=0) for _ in range(2))
    assert first.fingerprint == second.fingerprint


def test_what_an_output_is_may_be_said() -> None:
    train = {"train": [spots(60, 5)[0]]}
    said = {"quarter": Scoring(kind="regression")}
    found = infer_from(train, build(), seed=0, scoring=said)
    assert [task.kind for task in found.tasks] == [TaskKind.REGRESSION, TaskKind.REGRESSION]
    assert found.warnings == ()
    for kind in ("segmentation", "regresion"):
        wrong = {"quarter": Scoring(kind=kind)}
        with pytest.raises(
            ConfigError, match=f"said to be '{kind}': .* classification, regression"
        ):
            infer_from(train, build(), seed=0, scoring=wrong)


def test_classes_of_more_places_than_there_are_scores_of_are_told() -> None:
    masks = torch.randint(0, 5, (40, 8, 8))
    batches = {"train": [(torch.randn(40, 3, 8, 8), masks)]}
    smaller = nn.Conv2d(3, 5, 2, stride=2).eval()
    with pytest.raises(DataError, match=r"scores of 4 x 4 places, .* classes of 8 x 8: bring"):
        infer_from(batches, smaller, seed=0)


@pytest.mark.parametrize("shape", [(40, 6, 6), (40, 6, 6, 1)])
def test_classes_that_lie_last_are_told_with_the_remedy(shape: tuple[int, ...]) -> None:
    class ChannelsLast(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).permute(0, 2, 3, 1)

    loaders = {"train": [(torch.randn(40, 3, 6, 6), torch.randint(0, 5, shape))]}
    with pytest.raises(DataError, match=r"its 5 classes last, .* `Permute\(\(3, 1, 2\)\)`"):
        infer_from(loaders, plainly_called(ChannelsLast(3, 5, 1).eval()), seed=0)


def test_a_model_of_words_in_bfloat16_is_to_be_given_in_float() -> None:
    model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 3)).bfloat16().eval()
    batches = {"train": [(torch.randint(0, 9, (40, 2)), torch.randint(0, 3, (40,)))]}
    with pytest.raises(DataError, match=r"'0.weight' is bfloat16, .*: give `model.float\(\)`"):
        infer_from(batches, model, seed=0)


def test_what_fits_no_task_is_named() -> None:
    odd = {"train": [(x, {"quarter": targets["brightness"]}) for x, targets in loaders()["train"]]}
    with pytest.raises(DataError, match=r"'quarter' has shape \(2, 4\) .* declare the tasks"):
        infer_from(
            {"train": [(x, {"quarter": np.ones((len(x), 7, 7))}) for x, _ in odd["train"]]},
            build(),
            seed=0,
        )
    with pytest.raises(DataError, match=r"targets for 'colour', .*: give targets these names"):
        infer_from(
            {"train": [(x, {"colour": t["quarter"]}) for x, t in loaders()["train"]]},
            build(),
            seed=0,
        )
    with pytest.raises(DataError, match="targets came as one array"):
        infer_from({"train": [(x, t["quarter"]) for x, t in loaders()["train"]]}, build(), seed=0)
    with pytest.raises(DataError, match="no loader for the train split"):
        infer_from({"val": loaders()["val"]}, build(), seed=0)


def test_loaders_come_from_a_function_by_name() -> None:
    name = "tests.evaluation.compression.small:loaders"
    assert infer_data(name, build(), seed=0).fingerprint == data().fingerprint


def test_loaders_may_fill_one_buffer_anew() -> None:
    class OneBuffer:
        def __iter__(self) -> Iterator[tuple[Any, Any]]:
            inputs, labels = torch.empty(8, 6), torch.empty(8)
            for number in range(10):
                inputs[:], labels[:] = number, number
                yield inputs, labels

    found = infer_from({"train": OneBuffer()}, nn.Linear(6, 1).eval(), seed=0)
    rows = np.concatenate(
        [
            np.c_[b.inputs[:, 0], b.targets["output"]]
            for s in SplitName
            for b in found[s].batches(99)
        ]
    )
    assert sorted(rows[:, 0]) == np.repeat(np.arange(10), 8).tolist()
    assert (rows[:, 0] == rows[:, 1]).all()

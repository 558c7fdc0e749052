"""Anybody's model, called like any other."""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any

import pytest
import torch
from torch import fx, nn
from torch.nn.utils import parametrizations, prune, spectral_norm

from niwaki.compress.pruning.copying import copied
from niwaki.core.errors import ConfigError, DataError
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.given_model.model_source import ModelSource
from niwaki.evaluation.compression.given_model.plain_calls import (
    note_answers,
    plain,
    plainly_called,
)
from niwaki.evaluation.compression.given_model.plain_weights import (
    computed_weights,
    with_plain_weights,
)
from niwaki.evaluation.compression.tuning.fine_tuning import Tuning, TuningSettings
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.int8.layers import quantizable_layers
from niwaki.tasks.base import SplitName
from niwaki.tasks.task import TaskKind

ONE, TWO = torch.ones(1), torch.zeros(2)
Pair = namedtuple("Pair", "first second")


@dataclass
class Answer:
    """What models of language return."""

    logits: torch.Tensor
    loss: torch.Tensor | None = None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ONE, ONE),
        ([ONE, TWO], (ONE, TWO)),
        ((ONE, None), ONE),
        ({"a": ONE, "b": TWO}, {"a": ONE, "b": TWO}),
        ({"a": ONE, "more": {"b": [TWO]}}, {"a": ONE, "more_b_0": TWO}),
        (Answer(ONE), {"logits": ONE}),
        ((ONE, {"b": TWO}), {"output_0": ONE, "output_1_b": TWO}),
        ({"0": ONE, 1: TWO, "p-3": ONE}, {"output_0": ONE, "output_1": TWO, "p_3": ONE}),
    ],
)
def test_answers_become_flat(answer: Any, expected: Any) -> None:
    torch.testing.assert_close(plain(answer), expected)


def test_a_named_tuple_is_a_tuple() -> None:
    assert plain(Pair(ONE, TWO)) == (ONE, TWO)


class Flagged(nn.Module):
    """Takes more than its input."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None = None, *, scale: float = 2.0
    ) -> Answer:
        return Answer(self.fc(x if mask is None else x * mask) * scale)


def test_flags_keep_their_defaults_and_the_model_its_parameters() -> None:
    model = Flagged().eval()
    wanted, paths = model(torch.ones(2, 4)).logits, list(model.state_dict())
    called = plainly_called(model)
    torch.testing.assert_close(called(torch.ones(2, 4)), {"logits": wanted})
    assert called is model and list(model.state_dict()) == paths


def test_the_model_that_was_given_is_left_as_it_is() -> None:
    model = Flagged().train()
    loaded = ModelSource(module=model).load()
    assert model.training and model.fc.training and type(model) is Flagged
    assert not loaded.training and loaded.fc is not model.fc


class Normalising(nn.Module):
    """Normalises what it is given in place."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.fc(x.sub_(0.5).div_(0.25))
        return scores


def test_a_model_that_changes_its_inputs_gets_a_copy() -> None:
    torch.manual_seed(0)
    module, inputs = plainly_called(Normalising().eval()), torch.rand(64, 5)
    expected, before = module(inputs), inputs.clone()
    torch.testing.assert_close(module(inputs), expected)
    assert torch.equal(inputs, before)
    assert quantizable_layers(build_graph(module, [(1, 5)])) == ["fc"]


def test_a_model_that_changes_its_inputs_teaches_what_it_answers() -> None:
    torch.manual_seed(0)
    module = plainly_called(Normalising().eval())
    data = infer_from({"train": [torch.rand(64, 5)]}, module, seed=0)
    tuning = Tuning(copied(module), data, TuningSettings(distillation=1.0), seed=0)
    batch = next(data[SplitName.TRAIN].batches(16))
    assert tuning._loss(copied(module), batch).detach() < 1e-6


class Words(nn.Module):
    """Takes integers."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.fc = nn.Embedding(50, 8), nn.Linear(8, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.fc(self.table(ids).mean(1))
        return scores


def test_integers_arrive_as_integers() -> None:
    module = plainly_called(Words().eval())
    words = torch.randint(0, 50, (64, 5), generator=torch.Generator().manual_seed(0))
    data = infer_from({"train": [(words, torch.arange(64) % 3)]}, module, seed=0)
    assert data.input_shape == (5,)
    torch.testing.assert_close(module(words.float()), Words.forward(module, words))  # type: ignore[arg-type]


class Broken(Words):
    """Fails, or answers nonsense."""

    def __init__(self, answer: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.answer(ids.float())


def test_one_number_per_item_is_a_column() -> None:
    module = plainly_called(Broken(lambda x: x.sum(1)))
    inputs = torch.arange(40.0).reshape(8, 5)
    [task] = infer_from({"train": [(inputs, inputs.sum(1) + 1.0)]}, module, seed=0).tasks
    assert (task.kind, task.n_outputs) == (TaskKind.REGRESSION, 1)
    assert module(inputs).shape == (8, 1)


def test_a_model_that_fails_is_told_with_its_line() -> None:
    module = plainly_called(Broken(lambda x: x @ torch.ones(7, 2)))
    with pytest.raises(
        DataError, match=r"fails on inputs of shape \(2, 5\) .*test_plain_calls.py:"
    ):
        infer_from({"train": [torch.ones(8, 5)]}, module, seed=0)


def test_a_model_that_fails_on_later_inputs_is_told_with_its_line_and_their_split() -> None:
    module = plainly_called(Broken(lambda x: x[:, :2] if x.max() < 2 else x @ torch.ones(7, 2)))
    with pytest.raises(DataError, match=r"fails on inputs .*split train at .*test_plain_calls.py:"):
        infer_from({"train": [torch.ones(8, 5), torch.full((8, 5), 2.0)]}, module, seed=0)


def test_a_model_that_answers_nan_is_refused() -> None:
    module = plainly_called(Broken(lambda x: x / (x - x)))
    with pytest.raises(DataError, match="'output' is NaN or infinite for 8 of 8 inputs"):
        infer_from({"train": [torch.ones(8, 5)]}, module, seed=0)


def half_zeroed(layer: nn.Module) -> nn.Module:
    """Return a layer whose weight torch masks at each call."""
    return prune.l1_unstructured(layer, "weight", 0.5)  # type: ignore[no-any-return,no-untyped-call]


@pytest.mark.parametrize(
    "norm",
    [parametrizations.weight_norm, parametrizations.spectral_norm, spectral_norm, half_zeroed],
)
@pytest.mark.parametrize("trainable", [True, False])
def test_normalised_weights_become_plain(norm: Callable[..., nn.Module], trainable: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 6), norm(nn.Linear(6, 3))).requires_grad_(trainable).eval()
    plain_model = with_plain_weights(model)
    assert computed_weights(model) == ("1.weight",) and not computed_weights(plain_model)
    assert "1.weight" in dict(plain_model.named_parameters())
    torch.testing.assert_close(plain_model(torch.ones(2, 4)), model(torch.ones(2, 4)))
    plain_model.load_state_dict(copied(plain_model).state_dict())


def test_graph_modules_are_copied_as_they_are_called() -> None:
    model = fx.symbolic_trace(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1), nn.Flatten(0)))
    called = plainly_called(copied(model))
    note_answers(called, torch.ones(2, 4))
    for each in (called, copied(called), copied(copied(called))):
        torch.testing.assert_close(each(torch.ones(2, 4)), model(torch.ones(2, 4))[:, None])


def test_answers_whose_paths_are_alike_are_not_lost() -> None:
    x = torch.ones(2, 2)
    with pytest.raises(DataError, match="two of the model's answers would be called 'a_b'"):
        plain({"a": {"b": x}, "a_b": x})
    assert list(plain({"a": {"b": x}, "b": x})) == ["a_b", "b"]
    with pytest.raises(DataError, match="two of the model's answers would be called 'a_b'"):
        plain({"a.b": x, "a-b": x})


def scaled(self: nn.Linear, x: torch.Tensor, *, scale: float = 1.0) -> Answer:
    return Answer(scale * x @ self.weight[0])


@pytest.mark.parametrize("how", ["method", "method with more", "function of itself"])
def test_a_forward_of_one_object_is_that_of_its_copies(how: str) -> None:
    model = nn.Linear(4, 1).eval()
    method = MethodType(scaled, model)
    vars(model)["forward"] = {
        "method": method,
        "method with more": partial(method, scale=2.0),
        "function of itself": partial(scaled, model, scale=2.0),
    }[how]
    own = plainly_called(copied(model))
    note_answers(own, torch.ones(2, 4))
    wanted = model(torch.ones(2, 4)).logits[:, None]
    torch.testing.assert_close(copied(own)(torch.ones(2, 4)), {"logits": wanted})
    assert type(model) is nn.Linear and "forward" in vars(model)


def test_a_forward_that_knows_one_object_alone_is_refused() -> None:
    model = nn.Linear(4, 1).eval()
    before = model.forward
    vars(model)["forward"] = lambda x: 2.0 * before(x)
    with pytest.raises(ConfigError, match="write it as a method of a class"):
        plainly_called(model)


def test_scripted_models_are_refused() -> None:
    with pytest.warns(DeprecationWarning):
        scripted = torch.jit.script(nn.Linear(2, 2))
    with pytest.raises(ConfigError, match="the model is scripted"):
        plainly_called(scripted)

"""Where a model comes from."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from niwaki.compress.pruning import PruningPlan, analyse
from niwaki.compress.quantization.plan import QuantizationPlan
from niwaki.core.errors import ConfigError, DataError
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.given_model.model_source import ModelSource, model_fingerprint
from niwaki.evaluation.compression.plans import CompressionPlans
from tests.evaluation.compression.from_onnx.files import file_of


def test_a_part_that_is_not_there_is_refused_with_those_there_are() -> None:
    model = nn.ModuleDict({"body": nn.Sequential(nn.Linear(2, 2)), "head": nn.Linear(2, 2)})
    with pytest.raises(ConfigError, match=r"no part 'heads'; did you mean 'head'\? .*: body, head"):
        ModelSource(module=model, part="heads").load()


class Telling(nn.Module):
    """Answers with more than anybody needs."""

    def __init__(self, kind: type[tuple[Any, ...] | dict[str, Any]]) -> None:
        super().__init__()
        self.kind, self.body, self.head = kind, nn.Linear(2, 3), nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> Any:
        features = self.body(x)
        found = {"features": features, "logits": self.head(features)}
        return found if self.kind is dict else tuple(found.values())


@pytest.mark.parametrize(("kind", "name"), [(dict, "logits"), (tuple, "output_1")])
def test_outputs_that_are_not_kept_are_none_of_the_model(kind: Any, name: str) -> None:
    model, inputs = Telling(kind), torch.randn(4, 2)
    source = ModelSource(module=model, kept=(name,))
    source.require_own_layers(inputs)
    answer = pickle.loads(pickle.dumps(source)).load()(inputs)
    assert list(answer) == [name]
    torch.testing.assert_close(answer[name], model.head(model.body(inputs)))


def test_outputs_to_keep_that_are_not_there_are_refused_with_those_there_are() -> None:
    source = ModelSource(module=Telling(dict), kept=("logit",))
    with pytest.raises(DataError, match=r"'logit' .* 'logits'\? It answers features, logits"):
        infer_from({"train": [(torch.randn(40, 2),)]}, source.load(), seed=0)
    for reference, part in (("", "body"), ("my_model.onnx", "")):
        with pytest.raises(ConfigError, match="outputs to keep were given"):
            ModelSource(reference, part=part, kept=("logits",))


def test_a_function_that_needs_arguments_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"called with \(\): missing .* needs no arguments"):
        ModelSource("torch.nn:Linear").load()


@pytest.mark.parametrize(
    ("given", "words"),
    [(nn.Linear(2, 2).state_dict(), "an OrderedDict"), (nn.Linear, "a type")],
)
def test_what_is_no_module_is_refused_by_what_it_is(given: object, words: str) -> None:
    with pytest.raises(ConfigError, match=f"the model is {words}, but .*: give the module itself"):
        ModelSource(module=given).load()  # type: ignore[arg-type]


def compiled(how: str) -> nn.Module:
    part = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    model: Any = nn.Sequential(part, nn.Linear(3, 2))
    match how:
        case "whole":
            model = torch.compile(model, backend="eager")
        case "part":
            model[0] = torch.compile(part, backend="eager")
        case "in place":
            part.compile(backend="eager")
    found: nn.Module = model
    return found


@pytest.mark.parametrize("how", ["whole", "part", "in place"])
def test_what_is_compiled_is_taken_as_it_was_written(how: str) -> None:
    model, inputs = compiled(how), torch.ones(1, 2)
    own = ModelSource(module=model).load()
    assert [name for name, _ in own.named_parameters()][:2] == ["0.0.weight", "0.0.bias"]
    torch.testing.assert_close(own(inputs), model(inputs))
    part = ModelSource(module=model, part="0").load()
    assert [name for name, _ in part.named_parameters()] == ["0.weight", "0.bias"]


class Nested(nn.Linear):
    def forward(self, x: torch.Tensor) -> Any:
        return {"a": {"b": super().forward(x)}}


def compiled_in_place() -> nn.Module:
    model = Nested(2, 2)
    model.compile(backend="eager")
    return model


def test_a_model_that_a_function_compiles_is_called_plainly() -> None:
    own = ModelSource(f"{__name__}:{compiled_in_place.__name__}").load()
    assert list(own(torch.ones(1, 2))) == ["a_b"]


class ReturningNothing(nn.Linear):
    """Keeps a part frozen, as many do, and forgets what `train` returns."""

    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        super().train(mode)


def test_what_a_models_own_train_returns_does_not_matter() -> None:
    given = ReturningNothing(2, 2)
    own = ModelSource(module=given).load()
    assert given.training and not own.training
    plan = CompressionPlans(PruningPlan(), QuantizationPlan({}))
    assert not plan.prune(given).training
    assert analyse(nn.utils.parametrizations.weight_norm(given), torch.ones(2, 2)).refused


class Acting(nn.Linear):
    """Says what it calls, as some blocks do."""

    def __init__(self, act: object) -> None:
        super().__init__(2, 2)
        self.act = act

    def extra_repr(self) -> str:
        return f"act={self.act}"


def test_where_a_function_lies_in_memory_is_no_part_of_a_model() -> None:
    first, second = (Acting(lambda: None) for _ in range(2))
    second.load_state_dict(first.state_dict())
    assert first.extra_repr() != second.extra_repr()
    assert model_fingerprint(first) == model_fingerprint(second)


def test_the_order_in_which_a_set_is_printed_is_no_part_of_a_model() -> None:
    first, second = Acting("{'b', 'a'}, (1, 2)"), Acting("{'a', 'b'}, (1, 2)")
    second.load_state_dict(first.state_dict())
    assert model_fingerprint(first) == model_fingerprint(second)
    turned = Acting("{'a', 'b'}, (2, 1)")
    turned.load_state_dict(first.state_dict())
    assert model_fingerprint(first) != model_fingerprint(turned)


class Versioned(nn.Linear):
    """Keeps more than tensors in its state."""

    def __init__(self, extra: object) -> None:
        super().__init__(2, 2)
        nn.init.ones_(self.weight)
        nn.init.ones_(self.bias)
        self.extra = extra

    def get_extra_state(self) -> object:
        return self.extra


STATES = [
    None,
    {"version": 1},
    {"version": 2, "scales": [0.5, torch.ones(2)]},
    {"version": 2, "scales": [0.5, torch.zeros(2)]},
    np.ones(2),
    np.zeros(2),
    b"bytes",
]


def test_a_state_that_is_no_tensor_counts_as_well() -> None:
    found = [model_fingerprint(Versioned(state)) for state in STATES]
    assert found == [model_fingerprint(Versioned(state)) for state in STATES]
    assert len(set(found)) == len(STATES)
    assert model_fingerprint(Versioned({"a", "b"})) == model_fingerprint(Versioned({"b", "a"}))
    assert model_fingerprint(Versioned(object())) == model_fingerprint(Versioned(object()))


def left_as_drawn() -> nn.Module:
    """Build a model of which a layer has no trained weights: named by path below."""
    return nn.Linear(3, 2)


def test_every_process_builds_the_same_also_what_is_left_as_drawn() -> None:
    fingerprints = set()
    for seed in range(3):
        torch.manual_seed(seed)
        source = ModelSource(f"{__name__}:left_as_drawn")
        fingerprints.add(model_fingerprint(source.load()))
        assert torch.initial_seed() == seed
    assert len(fingerprints) == 1


def test_a_file_is_found_from_elsewhere_and_must_stay_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file_of(nn.Sequential(nn.Linear(4, 3)).eval(), (4,), tmp_path)
    source, inputs = ModelSource("model.onnx"), torch.randn(2, 4)
    wanted = source.load()(inputs)
    written = pickle.dumps(source)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    torch.testing.assert_close(pickle.loads(written).load()(inputs), wanted)
    file_of(nn.Sequential(nn.Linear(4, 3)).eval(), (4,), tmp_path)
    with pytest.raises(ConfigError, match=r"'model\.onnx' has changed since it was read"):
        pickle.loads(written).load()


def test_what_a_file_answers_is_compared_with_what_is_asked_of_the_data(tmp_path: Path) -> None:
    path = file_of(nn.Sequential(nn.Linear(4, 3)).eval(), (4,), tmp_path)
    source = ModelSource(str(path))
    source.require_own_layers(torch.randn(2, 4))
    with pytest.raises(DataError, match=r"takes items of shape \(4,\), but .*\(5,\)"):
        source.require_own_layers(torch.randn(2, 5))

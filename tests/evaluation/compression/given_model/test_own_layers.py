"""Copies that compute with the original's layers are refused, and only these."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
import torch
from torch import fx, nn
from torch.nn.utils import parametrizations

from niwaki.core.errors import ConfigError
from niwaki.evaluation.compression.given_model.model_source import ModelSource
from niwaki.study.compression import compress

INPUTS = torch.ones(2, 4)
LAYER = nn.Linear(4, 4)


def checked(model: nn.Module) -> nn.Module:
    """Return a model as it is compressed, if it may be."""
    source = ModelSource(module=model.eval())
    source.require_own_layers(INPUTS)
    return source.load()


def require_own(model: nn.Module) -> None:
    """Check that a model, but for what is added, goes by the weights of its copy."""
    own = checked(model)
    torch.testing.assert_close(own(INPUTS), model(INPUTS))
    with torch.no_grad():
        for parameter in own.parameters():
            parameter.zero_()
        assert model(INPUTS).any() and not own(INPUTS).any()


def twice(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    before = layer.forward
    return lambda x: 2.0 * before(x)


@pytest.mark.parametrize("how", ["closure", "inner", "default"])
def test_a_part_whose_forward_knows_a_layer_is_refused(how: str) -> None:
    inner = nn.Linear(4, 2)
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(inner))
    double = twice(inner)
    ways: dict[str, Callable[..., torch.Tensor]] = {
        "closure": double,
        "inner": lambda x: double(x) + 1.0,
        "default": lambda x, weight=inner.weight: x @ weight.T,
    }
    vars(inner)["forward"] = ways[how]
    with pytest.raises(ConfigError, match=r"computes with '1\.0\.weight' of the original"):
        checked(model)


class ByNames(nn.Module):
    """Reaches a function that it holds in one of several ways."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.later: Any = lambda x: self.layer(x)

    @property
    def step(self) -> Any:
        return self.later

    def doubled(self, x: torch.Tensor) -> torch.Tensor:
        twice: torch.Tensor = 2.0 * self.layer(x)
        return twice

    def trained(self) -> torch.Tensor:
        answer: torch.Tensor = self.later(torch.ones(1, 4))
        return answer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.layer(x)
        return answer


class CallsByProperty(ByNames):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = next(step(x) for step in (self.step,))
        return answer


class CallsByText(ByNames):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = getattr(self, "la" + "ter")(x)
        return answer


@pytest.mark.parametrize("kind", [CallsByProperty, CallsByText])
def test_a_function_that_is_reached_is_found_however_it_is(kind: type[ByNames]) -> None:
    with pytest.raises(ConfigError, match=r"'layer\.weight' .*: .* another function"):
        checked(kind())


def test_a_compiled_method_among_attributes_is_refused_with_its_remedy() -> None:
    model = CallsByText()
    model.later = torch.compile(model.doubled, backend="eager")
    with pytest.raises(ConfigError, match=r"what torch\.compile made of one, give as it was bef"):
        checked(model)


def test_a_function_that_no_pass_reaches_may_know_layers() -> None:
    require_own(ByNames())


def test_methods_that_parts_hold_are_those_of_each_copy() -> None:
    model = CallsByText()
    model.later = model.doubled
    vars(model.layer)["forward"] = MethodType(lambda self, x: x @ self.weight.T, model.layer)
    require_own(model)


def test_a_compiled_forward_is_taken_as_it_was_written() -> None:
    model = nn.Sequential(ByNames(), nn.Linear(4, 2))
    for part in (model, model[0], model[1]):
        vars(part)["forward"] = torch.compile(part.forward, backend="eager")
    require_own(model)


def test_a_part_may_be_called_by_a_function_that_knows_no_layers_of_the_model() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(4, 4))
    activation = nn.ReLU()
    vars(model[1])["forward"] = lambda x: activation(torch.cat([x, x[:, :1]], 1))
    vars(model[2])["forward"] = lambda x: LAYER(x)
    torch.testing.assert_close(checked(model)(INPUTS), model(INPUTS))


class ByHook(nn.Module):
    """Adds what another of its layers says to what the first one does, by a hook of that."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.other = nn.Linear(4, 4), nn.Linear(4, 4)
        self.seen: dict[str, torch.Tensor] = {}
        self.last: torch.Tensor | None = None
        self.calls = 0

    def add(self, _: nn.Module, given: tuple[torch.Tensor], answer: torch.Tensor) -> torch.Tensor:
        more: torch.Tensor = self.other(*given)
        return answer + more

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.first(x)
        if self.seen:
            answer = answer + self.seen["first"]
        return answer if self.last is None else answer + self.last


def test_a_hook_that_knows_another_layer_by_itself_is_refused() -> None:
    model = ByHook()
    model.first.register_forward_hook(lambda layer, given, y: model.add(layer, given, y))
    with pytest.raises(ConfigError, match=r"computes with 'other\.weight' of the .*such as a hook"):
        checked(model)


def test_a_hook_that_is_a_method_is_that_of_each_copy() -> None:
    model = ByHook()
    model.first.register_forward_hook(model.add)
    require_own(model)


def keeping(model: ByHook) -> dict[str, Callable[..., None]]:
    """Return hooks that keep features of a model, by where."""
    return {
        "seen": lambda _layer, _given, y: model.seen.update(first=y),
        "last": lambda _layer, _given, y: setattr(model, "last", y),
        "calls": lambda _layer, _given, y: setattr(model, "calls", model.calls + len(y)),
    }


@pytest.mark.parametrize("place", ["seen", "last"])
@pytest.mark.parametrize("ran_before", [False, True])
def test_a_hook_that_keeps_features_with_the_original_is_refused(
    place: str, ran_before: bool, tmp_path: Path
) -> None:
    model = ByHook()
    model.first.register_forward_hook(keeping(model)[place])
    if ran_before:
        model(INPUTS)
    inputs = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ConfigError, match=r"does not .* as the model itself does"):
        compress(model, inputs, folder=tmp_path / "run")


@pytest.mark.parametrize("place", ["seen", "last", "calls"])
def test_a_hook_may_keep_what_no_pass_reads(place: str) -> None:
    model = Watched()
    model.first.register_forward_hook(keeping(model)[place])
    require_own(model)


class Watched(ByHook):
    """Has hooks for those who look at it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.other(self.first(x))
        return answer


class Nested(ByHook):
    """Keeps features in what is two levels deep, and draws numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, dict[str, torch.Tensor]] = {"features": {}}
        self.first.register_forward_hook(
            lambda _layer, _given, y: self.kept["features"].update(first=y)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.first(x)
        return answer + self.kept["features"]["first"]


@pytest.mark.parametrize("ran_before", [False, True])
def test_features_are_found_wherever_they_are_kept(ran_before: bool) -> None:
    model = Nested()
    if ran_before:
        model(torch.zeros(2, 4))
    with pytest.raises(ConfigError, match=r"does not .* as the model itself does"):
        checked(model)


def test_a_part_that_learns_from_stale_features_is_refused(tmp_path: Path) -> None:
    model = nn.Sequential(Nested(), nn.Linear(4, 2)).eval()
    inputs = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    model(inputs[:1])
    with pytest.raises(ConfigError, match=r"does not .* as the model itself does"):
        compress(model, inputs, part="1", folder=tmp_path / "run")


def test_a_forward_of_another_object_is_refused_though_it_was_compiled() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    vars(model[1])["forward"] = torch.compile(model[0].forward, backend="eager")
    with pytest.raises(ConfigError, match=r"computes with '0\.weight' of the original"):
        checked(model)


def test_what_is_around_a_compiled_forward_is_not_lost() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    compiled = torch.compile(model[0].forward, backend="eager")
    vars(model[0])["forward"] = wraps(compiled)(lambda x: 3.0 * compiled(x))
    with pytest.raises(ConfigError, match=r"computes with '0\.weight' of the original"):
        checked(model)


def test_hooks_of_graph_modules_are_copied() -> None:
    model = fx.symbolic_trace(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    model.register_forward_hook(lambda _module, _given, y: 2.0 * y + 1.0)
    own = checked(model)
    torch.testing.assert_close(own(INPUTS), model(INPUTS))


def test_who_looks_at_weights_or_draws_or_answers_nan_is_not_refused() -> None:
    model, norms = ByHook(), []
    model.first.register_forward_hook(
        lambda layer, _, y: norms.append((model.other.weight.norm(), model.other.weight.numel()))
    )
    model.other.register_forward_hook(lambda *_: None)
    model.register_forward_hook(lambda _module, _given, y: y + torch.rand(4) + torch.nan)
    checked(model)
    assert norms


class OwnModes(ByHook):
    """Answers by what its own `train` and `eval` noted, and merges and freezes weights in them."""

    with_more = True

    def train(self, mode: bool = True) -> "OwnModes":
        if self.with_more != mode:
            self.first.weight.data += self.other.weight.data * (-1.0 if mode else 1.0)
        self.with_more = mode
        self.first.requires_grad_(mode)
        return super().train(mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.first(x)
        return answer + 1.0 if self.with_more else answer


def test_a_model_in_training_mode_may_have_modes_of_its_own() -> None:
    with pytest.warns(DeprecationWarning):
        scripted = torch.jit.script(nn.Identity())
    model = OwnModes().train()
    model.scripted = scripted
    before = model.first.weight.clone()
    ModelSource(module=model).require_own_layers(INPUTS)
    assert all(part.training for part in model.modules()) and model.with_more
    assert torch.equal(model.first.weight, before) and model.first.weight.requires_grad


def test_sparse_tensors_of_the_original_are_seen() -> None:
    model = CallsByText()
    model.register_buffer("links", torch.eye(4).to_sparse())
    links = model.get_buffer("links")
    model.later = lambda x: torch.sparse.mm(links, x.T).T
    with pytest.raises(ConfigError, match="computes with 'links' of the original"):
        checked(model)


def test_a_hook_may_watch() -> None:
    model, widths = ByHook(), []
    model.first.register_forward_hook(lambda layer, _, y: widths.append((layer, y.shape[1])))
    require_own(model)
    assert widths


class KeepsByMethod(ByHook):
    """Adds what a hook, a method, kept."""

    def __init__(self) -> None:
        super().__init__()
        self.first.register_forward_hook(self.keep)

    def keep(self, _layer: nn.Module, _given: object, y: torch.Tensor) -> None:
        self.last = y


def test_what_a_method_keeps_is_that_of_each_copy() -> None:
    model = KeepsByMethod().eval()
    model(torch.zeros(2, 4))
    own = checked(model)
    torch.testing.assert_close(own(INPUTS), model(INPUTS))
    require_own(model)


def test_a_function_may_ask_of_a_layer_where_it_is() -> None:
    model = CallsByText()
    layer = model.layer
    model.later = model.doubled
    model.register_forward_pre_hook(lambda _, x: x[0].to(layer.weight.device, layer.weight.dtype))
    require_own(model)


def normed() -> nn.Module:
    model = nn.Sequential(CallsByText(), parametrizations.weight_norm(nn.Linear(4, 2)))
    return model.eval()


def test_weights_that_become_plain_hide_no_function_that_knows_layers() -> None:
    source = ModelSource(f"{__name__}:{normed.__name__}")
    with pytest.raises(ConfigError, match=r"computes with '0\.layer\.weight' of the original"):
        source.require_own_layers(INPUTS)


@pytest.mark.parametrize("part", ["0", "1"])
def test_a_part_is_checked_for_what_it_reads(part: str) -> None:
    model = nn.Sequential(CallsByText(), nn.Linear(4, 2)).eval()
    source = ModelSource(module=model, part=part)
    if part == "1":
        source.require_own_layers(INPUTS)
        return
    with pytest.raises(ConfigError, match=r"computes with 'layer\.weight' of the original"):
        source.require_own_layers(INPUTS)


def test_models_are_checked_before_anything_is_made_of_them(tmp_path: Path) -> None:
    model = CallsByText()
    inputs = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ConfigError, match=r"computes with 'layer\.weight' of the original"):
        compress(model, inputs, folder=tmp_path / "run")
    assert not any(tmp_path.glob("run/artifacts/*"))


def test_a_function_that_builds_a_model_is_checked_as_well() -> None:
    source = ModelSource(f"{__name__}:{CallsByText.__name__}")
    with pytest.raises(ConfigError, match=r"computes with 'layer\.weight' of the original"):
        source.require_own_layers(INPUTS)

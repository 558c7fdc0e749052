"""What an analysis says, what it refuses, and how it fails."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from niwaki.compress.pruning import AnalysisSettings, PruningPlan, analyse, apply_plan
from niwaki.compress.pruning.verification import Bench
from niwaki.core.errors import ConfigError, DataError
from niwaki.testing.pruning_idioms import IDIOMS
from niwaki.testing.pruning_idioms.composed import Composed, conv, conv_norm, head
from tests.compress.pruning.equality import half_of_each, outputs

IMAGE = torch.randn(2, 3, 8, 8)


def test_a_group_says_which_layers_and_why() -> None:
    groups = analyse(IDIOMS["residual"].make(), IMAGE)
    said = str(groups["stem.0"])
    assert "these 5 layers lose the same channel: stem.0, b, stem.1, a.0, head.2" in said
    assert "'add' in the model itself" in said


def test_what_stays_is_named_with_the_reason() -> None:
    groups = analyse(IDIOMS["attention_layer"].make(), torch.randn(2, 7, 6))
    reasons = {refusal.name: refusal.reason for refusal in groups.refused}
    assert "model's output" in reasons["head.weight[0]"]
    assert "model's input" in reasons["enter.weight[1]"]
    assert "left alone:" in groups.report()


class _TwoStreams(nn.Module):
    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(24, 4, batch_first=True, **settings)
        self.enter, self.memory, self.head = (nn.Linear(*n) for n in ((6, 24), (6, 24), (24, 5)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, memory = self.enter(x), self.memory(x)
        scores: torch.Tensor = self.head(y + self.attention(y, memory, memory)[0])
        return scores


def test_heads_go_with_the_queries_and_with_what_is_attended_to() -> None:
    module, inputs = _TwoStreams(), torch.randn(2, 7, 6)
    groups = analyse(module, inputs)
    assert groups.n_units.tolist() == [4]
    assert {"enter", "memory", "attention.out_proj", "head"} <= set(groups.groups[0].layers)
    smaller = apply_plan(module, groups.plan({groups.names[0]: [0, 2]})).attention
    assert (smaller.num_heads, smaller.embed_dim, smaller.kdim, smaller.head_dim) == (2, 12, 12, 6)


def test_attention_with_keys_of_its_own_stays_and_says_why() -> None:
    groups = analyse(_TwoStreams(add_bias_kv=True), torch.randn(2, 7, 6))
    reasons = {refusal.name: refusal.reason for refusal in groups.refused}
    assert "nn.MultiheadAttention attention adds keys" in reasons["attention.in_proj_weight[0]"]


def test_wrong_inputs_are_an_error_that_says_so() -> None:
    with pytest.raises(DataError, match="fails on the example inputs"):
        analyse(IDIOMS["residual"].make(), torch.randn(2, 4, 8, 8))


def test_a_model_without_tensors_is_an_error() -> None:
    with pytest.raises(DataError, match="returns no tensor"):
        analyse(Composed(lambda m, x: None, {}), IMAGE)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError):
        AnalysisSettings(max_traces=0)


def test_a_number_of_channels_in_the_code_is_a_reason() -> None:
    parts = {"a": conv(3, 16), "head": nn.Linear(16, 5)}
    module = Composed(lambda m, x: m.head(m.a(x).mean((2, 3)) / m.a.out_channels**0.5), parts)
    (reason,) = {r.reason for r in analyse(module, IMAGE).refused if r.name == "head.weight[1]"}
    assert reason.startswith("the output differs by ")


def test_a_size_in_the_code_is_found_by_trial() -> None:
    def compute(m: Any, x: Tensor) -> Any:
        y = m.a(x)
        return m.head(m.b(y).view(len(x), 24, 64).mean(2))

    parts = {"a": conv_norm(3, 16), "b": conv(16, 24), "head": nn.Linear(24, 5)}
    module = Composed(compute, parts)
    assert len(analyse(module, IMAGE, settings=AnalysisSettings(verify=False)).groups) == 2
    groups = analyse(module, IMAGE)
    assert groups.names == ("a.0",)
    reasons = {refusal.name: refusal.reason for refusal in groups.refused}
    assert "the smaller model fails" in reasons["b.weight[0]"]


def test_a_unit_count_in_the_code_is_found_by_trial() -> None:
    module = Composed(
        lambda m, x: m.head(m.a(x) / m.a[0].out_channels),
        {"a": conv_norm(3, 16), "head": head(16)},
    )
    assert analyse(module, IMAGE).groups == ()


def test_layers_that_run_only_in_training_are_pruned_along() -> None:
    def compute(m: Any, x: Tensor) -> Any:
        y = m.a(x)
        return (m.main(y), m.auxiliary(y)) if m.training else m.main(y)

    parts = {"a": conv_norm(3, 16), "main": head(16), "auxiliary": head(16)}
    module = Composed(compute, parts)
    smaller = apply_plan(module, half_of_each(analyse(module, IMAGE)))
    assert [len(each) for each in smaller.train()(IMAGE)] == [2, 2]


def test_layers_that_never_ran_are_named() -> None:
    groups = analyse(IDIOMS["control_flow"].make(), IMAGE)
    names = {refusal.name for refusal in groups.refused if "never ran" in refusal.reason}
    assert "b.0.weight" in names


def test_a_custom_operation_pins_what_it_touches() -> None:
    module = Composed(
        lambda m, x: m.head(m.b(torch.fft.fft2(m.a(x)).real)),
        {"a": conv_norm(3, 16), "b": conv_norm(16, 24), "head": head(24)},
    )
    groups = analyse(module, IMAGE)
    assert groups.names == ("b.0",)
    assert any("not known to niwaki" in refusal.reason for refusal in groups.refused)


def test_a_scripted_function_is_seen_by_trial() -> None:
    with pytest.warns(DeprecationWarning):
        scripted = torch.jit.script(functional.silu)
    module = Composed(
        lambda m, x: m.head(m.b(scripted(m.a(x)))),
        {"a": conv_norm(3, 16), "b": conv_norm(16, 24), "head": head(24)},
    )
    groups = analyse(module, IMAGE)
    assert groups.names == ("b.0",)
    assert groups["b.0"].outputs == ("output",)


def test_a_model_that_keeps_results_of_earlier_passes_is_copied() -> None:
    module = IDIOMS["residual"].make()
    module.cache = module.stem(IMAGE)  # type: ignore[operator]
    smaller = apply_plan(module, half_of_each(analyse(module, IMAGE)))
    assert outputs(smaller, IMAGE)[""].shape == (2, 5)


def test_half_precision_is_analysed() -> None:
    module = IDIOMS["residual"].make().bfloat16()
    groups = analyse(module, IMAGE.bfloat16())
    assert groups.n_units.tolist() == [16, 24]


class Block(nn.Module):
    """Attention with the number of heads in the code, so that a pruned one fails."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(16, 48), nn.Linear(16, 16)
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).reshape(2, 7, 3, 4, 4).permute(2, 0, 3, 1, 4)
        mixed = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        x = x + self.proj(mixed.transpose(1, 2).reshape(2, 7, 16))
        found: Tensor = x + self.fc2(functional.relu(self.fc1(x)))
        return found


def test_like_blocks_that_fail_alike_are_told_by_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[PruningPlan] = []
    difference = Bench.difference

    def noted(on: Bench, plan: PruningPlan) -> str:
        tried.append(plan)
        return difference(on, plan)

    monkeypatch.setattr(Bench, "difference", noted)
    module = nn.Sequential(nn.Linear(5, 16), *(Block() for _ in range(24)), nn.Linear(16, 3))
    groups = analyse(module, torch.randn(2, 7, 5))
    assert groups.names == ("0", *(f"{i}.fc1" for i in range(1, 25)))
    reasons = {refusal.name: refusal.reason for refusal in groups.refused}
    assert all("the smaller model fails" in reasons[f"{i}.qkv.weight[0]"] for i in range(1, 25))
    assert len(tried) < 40  # one by one, it would be more than 100


class Spectral(nn.Module):
    """Weighs frequencies by complex numbers, between layers that are pruned."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.wide, self.after = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.gains = nn.Parameter(torch.randn(5, dtype=torch.complex64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        filtered = torch.fft.irfft(torch.fft.rfft(x) * self.gains, n=x.shape[-1])
        answer: torch.Tensor = self.after(self.wide(self.before(filtered).relu()).relu())
        return answer


def test_complex_parameters_stay_complex_where_groups_are_proven() -> None:
    found = analyse(Spectral().eval(), torch.randn(2, 8))
    assert found.names == ("before", "wide")


def _two_layers() -> dict[str, nn.Module]:
    return {"a": nn.Linear(6, 16), "b": nn.Linear(16, 8)}


def test_an_output_without_elements_is_no_obstacle() -> None:
    def compute(m: Any, x: Tensor) -> Any:
        return {"values": m.b(m.a(x).relu()), "boxes": x.new_zeros(0, 4)}

    assert analyse(Composed(compute, _two_layers()), torch.randn(2, 6)).names == ("a",)


def test_outputs_without_any_element_prove_nothing() -> None:
    found = analyse(Composed(lambda m, x: m.b(m.a(x))[:0], _two_layers()), torch.randn(2, 6))
    reasons = {refusal.name: refusal.reason for refusal in found.refused}
    assert found.names == () and "have no elements" in reasons["a.weight[0]"]


def test_complex_outputs_are_compared_up_to_rounding() -> None:
    module = Composed(lambda m, x: torch.fft.fft(m.b(m.a(x).relu())), _two_layers())
    assert analyse(module, torch.randn(2, 6)).names == ("a",)


def test_generators_of_gpus_are_left_alone_by_a_model_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    analyse(Composed(lambda m, x: m.b(m.a(x)), _two_layers()), torch.randn(2, 6))
    assert seeds == []


def test_inputs_without_an_example_are_an_error() -> None:
    with pytest.raises(DataError, match="hold no example"):
        analyse(Composed(lambda m, x: m.b(m.a(x)), _two_layers()), torch.randn(0, 6))

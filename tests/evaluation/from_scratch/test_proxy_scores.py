"""Zero-cost proxies of networks of einspace: the same every time, and what they cannot judge."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.evaluation.families import family_of
from niwaki.evaluation.from_scratch.evaluator import FromScratchEvaluator, FromScratchSettings
from niwaki.evaluation.from_scratch.proxy_scores import MOST_SILENT, N_ITEMS, ProxyScores
from niwaki.spaces.einspace import EinspaceSettings
from niwaki.spaces.grammar import Budget, GrammarSpace
from tests.evaluation.shades import shades, two_tasks
from tests.hasty import HASTY

SPACE = EinspaceSettings(budget=Budget(operations=60, macs=2_000_000, elements=200_000))
ALL = ("grad_norm", "snip", "synflow", "jacov", "naswot", "zico")


def evaluator(*proxies: str) -> FromScratchEvaluator:
    settings = FromScratchSettings(proxies=proxies)
    return FromScratchEvaluator(shades, SPACE, HASTY, settings=settings)


def test_guesses_are_the_same_in_every_evaluator_and_leave_torch_alone() -> None:
    one, two = evaluator("snip", "synflow"), evaluator("snip", "synflow")
    candidate = one.space.sample(np.random.default_rng(0))
    assert one.promises is not None and two.promises is not None
    found = one.promises(candidate)
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    assert two.promises(candidate) == found
    assert set(found) == {"snip", "synflow"}
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_wider_network_lets_more_flow() -> None:
    guesses = evaluator("synflow", "naswot")
    assert guesses.promises is not None
    space = guesses.family.space
    assert isinstance(space, GrammarSpace)
    texts = (f"seq(linear(d={d}), linear(d={d}), relu)" for d in (16, 256))
    narrow, wide = (space.candidate(text) for text in texts)
    assert guesses.promises(wide)["synflow"] > guesses.promises(narrow)["synflow"]


def test_what_a_proxy_cannot_judge_is_left_out() -> None:
    guesses = evaluator(*ALL)
    assert guesses.promises is not None
    space = guesses.family.space
    assert isinstance(space, GrammarSpace)
    linear = space.candidate("seq(linear(d=16), linear(d=32))")
    assert set(guesses.promises(linear)) == set(ALL) - {"naswot"}


def test_nobody_guesses_by_default_nor_about_what_is_too_large() -> None:
    assert evaluator().promises is None
    settings = FromScratchSettings(proxies=("snip",), max_memory_mib=1e-3)
    strict = FromScratchEvaluator(shades, SPACE, HASTY, settings=settings)
    assert strict.promises is not None
    assert strict.promises(strict.space.sample(np.random.default_rng(0))) == {}


@pytest.mark.parametrize("name", ["snap", "params"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="'proxies' has"):
        FromScratchSettings(proxies=(name,))


def test_a_proxy_of_ones_own_is_named_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("def largest(network, batch):\n    return float(batch.inputs.max())\n")
    guesses = evaluator(f"{file}:largest")
    assert guesses.promises is not None
    found = guesses.promises(guesses.space.sample(np.random.default_rng(0)))
    assert set(found) == {f"{file}:largest"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "has no 'largest'"),
        ("largest = 3", "is an int"),
        ("def largest(network): ...", r"is called with \(network, batch\)"),
        ("import nothing_of_this_name", "cannot be imported"),
    ],
)
def test_a_proxy_that_is_none_ends_no_search_without_a_word(
    tmp_path: Path, text: str, fault: str
) -> None:
    file = tmp_path / "own.py"
    file.write_text(text)
    with pytest.raises(ConfigError, match=fault):
        FromScratchSettings(proxies=(f"{file}:largest",))


def judged(folder: Path, body: str, n: int) -> dict[str, float]:
    """Return what an own proxy says of the last of n networks."""
    (folder / "own.py").write_text(f"def own(network, batch):\n    {body}\n")
    guesses = evaluator(f"{folder / 'own.py'}:own")
    assert guesses.promises is not None
    found = [guesses.promises(guesses.space.sample(np.random.default_rng(i))) for i in range(n)]
    return dict(found[-1])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise RuntimeError('no idea')", "because RuntimeError: no idea"),
        ("return None", "gave a NoneType: let it give one number, more for better"),
        ("return batch.inputs", "gave a Tensor: let it give one number"),
        ("return float('nan')", "because it gave nan"),
    ],
)
def test_a_proxy_that_judges_no_network_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, body: str, why: str
) -> None:
    judged(tmp_path, body, MOST_SILENT + 2)
    [said] = [record.getMessage() for record in caplog.records]
    assert f"could judge none of the first {MOST_SILENT} networks" in said
    assert why in said


def test_a_proxy_may_give_a_tensor_and_fail_now_and_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = judged(tmp_path, "return batch.inputs.sum().requires_grad_()", 1)
    assert [type(score) for score in found.values()] == [float]
    flaky = "if sum(p.numel() for p in network.parameters()) % 2: raise RuntimeError\n    return 1"
    judged(tmp_path, flaky, MOST_SILENT + 2)
    assert not caplog.records


def test_what_a_proxy_raises_says_whose_it_is(tmp_path: Path) -> None:
    with pytest.raises(AttributeError) as raised:
        judged(tmp_path, "return batch.images", 1)
    assert "own.py:own'" in raised.value.__notes__[0]


def test_several_tasks_are_judged_together() -> None:
    data = two_tasks()
    family = family_of(SPACE, data)
    candidate = family.space.sample(np.random.default_rng(1))
    names = ("grad_norm", "snip", "zico")
    scores = ProxyScores(names, data, family.build, seed=0)
    found = scores(candidate)
    assert set(found) == set(names)
    assert all(np.isfinite(value) for value in found.values())
    assert len(scores._batch.inputs) == N_ITEMS


class _Flattening(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(4 * 4 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.head(self.conv(x).view(len(x), -1))
        return answer


def test_networks_that_look_at_maps_by_view_are_judged() -> None:
    scores = ProxyScores(ALL, shades(), lambda _: _Flattening(), seed=0)
    assert set(scores(Candidate.of({"width": 4}))) == set(ALL)

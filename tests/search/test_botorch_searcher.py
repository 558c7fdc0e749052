"""BoTorch's acquisition: a short look at what the contract, marked slow, checks at length."""

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from niwaki.core import Bound, Candidate, Direction, Measurement, Objective, Trial
from niwaki.core.errors import ConfigError
from niwaki.core.randomness import stream
from niwaki.search import Problem
from niwaki.search.botorch_searcher import BotorchSearcher, BotorchSettings, _model
from niwaki.search.surrogate.catalogue import Catalogue
from niwaki.search.surrogate.history import History
from niwaki.search.surrogate.warps import LogAbove, LogBelow, Straight
from niwaki.spaces import Choice, ChoiceSpace

pytestmark = pytest.mark.skipif(find_spec("botorch") is None, reason="needs the extra botorch")

SPACE = ChoiceSpace(tuple(Choice(f"c{n}", (0, 1, 2, 3)) for n in range(6)))
PROBLEM = Problem(
    SPACE, (Objective("skill", Direction.MAXIMIZE), Objective("latency_ms", Direction.MINIMIZE))
)
QUICK = BotorchSettings(n_initial=12, pool_size=40, n_samples=16)


def measured(number: int, candidate: Candidate) -> Trial:
    """Skill adds up over choices, latency multiplies."""
    levels = np.array([value for _, value in candidate.items], dtype=float)
    values = {
        "skill": float(levels @ [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]),
        "latency_ms": float(np.prod(1.0 + levels * [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])),
    }
    return Trial(number, candidate, Measurement(candidate.key, values))


def run(problem: Problem, n: int) -> tuple[BotorchSearcher, list[Trial]]:
    searcher = BotorchSearcher(problem, QUICK)
    trials: list[Trial] = []
    for number in range(n):
        trials.append(measured(number, searcher.ask(1)[0]))
        searcher.tell([trials[-1]])
    return searcher, trials


def test_it_climbs_where_chance_does_not() -> None:
    _, trials = run(replace(PROBLEM, objectives=PROBLEM.objectives[:1]), 24)
    skills = [trial.measurement.values["skill"] for trial in trials]
    assert max(skills[:12]) < 55.0
    assert max(skills[12:]) >= 60.0  # of 63: the best of 4,096


def test_units_of_a_single_objective_do_not_matter() -> None:
    def next_of(unit: float) -> list[Candidate]:
        searcher = BotorchSearcher(replace(PROBLEM, objectives=PROBLEM.objectives[:1]), QUICK)
        for number, candidate in enumerate(searcher.ask(12)):
            skill = unit * measured(number, candidate).measurement.values["skill"]
            found = Measurement(candidate.key, {"skill": skill})
            searcher.tell([Trial(number, candidate, found)])
        return searcher.ask(1)

    assert next_of(2.0**-40) == next_of(1.0)


def test_going_on_from_a_ledger_is_going_on() -> None:
    searcher, trials = run(PROBLEM, 13)
    again = BotorchSearcher(PROBLEM, QUICK)
    again.resume([trial.candidate for trial in trials])
    again.tell(trials)
    before = torch.random.get_rng_state()
    assert again.ask(2) == [*searcher.ask(1), *searcher.ask(1)]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_bounds_are_kept() -> None:
    bounded = replace(PROBLEM, bounds=(Bound("latency_ms", 1.0, 3.0),))
    rng = stream(1, "elsewhere")
    drawn = [SPACE.sample(rng) for _ in range(40)]
    searcher = BotorchSearcher(bounded, replace(QUICK, n_initial=2))
    searcher.resume(drawn[:2])
    searcher.tell([measured(number, candidate) for number, candidate in enumerate(drawn)])
    by_chance, asked = (
        [bounded.violations([measured(0, candidate)])[0] == 0.0 for candidate in candidates]
        for candidates in (drawn, searcher.ask(5))
    )
    assert np.mean(by_chance) < 0.3
    assert np.mean(asked) >= 0.6


def scored(waiting: int | None, problem: Problem = PROBLEM) -> tuple[NDArray[np.float64], ...]:
    """Return latencies and scores of sixty candidates, after thirty others were measured.

    Args:
        waiting: Which of the sixty is pending.
        problem: With or without bounds.
    """
    catalogue, history = Catalogue(problem), History(problem)
    rng = stream(0, "scored")
    pool = catalogue.pool([SPACE.sample(rng) for _ in range(90)])
    for row in range(30):
        history.add([measured(row, pool.candidates[row])], pool.features[[row]])
    rest = pool.at(np.arange(30, len(pool)))
    pending = rest.features[:0] if waiting is None else rest.features[[waiting]]
    lessons = _model().learned(history, seed=0)
    score = _model().acquisition(lessons, history, pending, n_samples=32, seed=0)
    latencies = [measured(0, c).measurement.values["latency_ms"] for c in rest.candidates]
    return np.array(latencies), score(rest.features)


def test_what_is_pending_promises_less() -> None:
    _, alone = scored(None)
    best = int(alone.argmax())
    _, beside = scored(best)
    assert beside[best] < alone[best] - 0.5


def test_what_breaks_a_bound_promises_less() -> None:
    bounded = replace(PROBLEM, bounds=(Bound("latency_ms", 1.0, 3.0),))
    latencies, score = scored(None, bounded)
    assert score[latencies > 6.0].max() < score[latencies <= 3.0].max() - 2.0


@pytest.mark.parametrize("n_objectives", [1, 2])
def test_a_pool_without_anything_new_is_survived(n_objectives: int) -> None:
    def network(candidate: Candidate) -> str:
        return ",".join(str(value) for path, value in candidate.items if path in ("c0", "c1"))

    merged = replace(PROBLEM, objectives=PROBLEM.objectives[:n_objectives], identity=network)
    _, trials = run(merged, 13)
    assert len({network(trial.candidate) for trial in trials}) == 13


def test_a_warp_is_chosen_by_how_normal_values_become() -> None:
    normal = stream(0).normal(size=200)
    assert isinstance(_model().most_normal(np.exp(normal)), LogAbove)
    assert isinstance(_model().most_normal(-np.exp(normal)), LogBelow)
    assert isinstance(_model().most_normal(normal), Straight)
    assert isinstance(_model().most_normal(normal + 10.0), Straight)


def test_without_the_extra_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "niwaki.search.botorch_model", None)
    with pytest.raises(ConfigError, match=r"pip install 'niwaki\[botorch\]'"):
        BotorchSearcher(PROBLEM)


def test_a_kernel_that_nobody_compiles_any_more_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from botorch.acquisition.multi_objective import logei

    for name, value in (("_C", None), ("_load_attempted", False)):
        monkeypatch.setattr(logei, name, value)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    (tmp_path / "logei_fused_ext").mkdir()
    (tmp_path / "logei_fused_ext" / "lock").touch()
    assert len(run(PROBLEM, 13)[1]) == 13

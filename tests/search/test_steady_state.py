"""What evolution without generations shares: joining, leaving, and who becomes a parent."""

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core import Candidate, Direction, Measurement, Objective, Trial
from niwaki.core.constraints import Bound
from niwaki.core.errors import ConfigError
from niwaki.search import Problem
from niwaki.search.age_moea import AgeMoea, AgeMoeaSettings
from niwaki.search.nsga2 import NSGA2, NSGA2Settings
from niwaki.search.nsga3 import NSGA3, NSGA3Settings
from niwaki.search.ranking import front_numbers
from niwaki.search.sms_emoa import SMSEMOA, SMSEMOASettings
from niwaki.search.steady_state import Evolution
from niwaki.spaces import Choice, ChoiceSpace

SPACE = ChoiceSpace((Choice("parent", tuple(range(40))),))
KINDS = ("nsga2", "nsga3", "age_moea", "sms_emoa")


def made(kind: str, n_objectives: int, size: int) -> Evolution:
    names = [f"f{number}" for number in range(n_objectives)]
    problem = Problem(
        SPACE,
        tuple(Objective(name, Direction.MINIMIZE) for name in names),
        (Bound("load", 1.0, 1.0),),
    )
    match kind:
        case "nsga2":
            return NSGA2(problem, NSGA2Settings(size))
        case "nsga3":
            return NSGA3(problem, NSGA3Settings(size))
        case "age_moea":
            return AgeMoea(problem, AgeMoeaSettings(size))
    return SMSEMOA(problem, SMSEMOASettings(size))


def tell(searcher: Evolution, costs: NDArray[np.float64], loads: list[float]) -> None:
    for number, (row, load) in enumerate(zip(costs.tolist(), loads, strict=True)):
        candidate = Candidate.of({"parent": number})
        values = {f"f{i}": value for i, value in enumerate(row)} | {"load": load}
        searcher.tell([Trial(number, candidate, Measurement(candidate.key, values))])


def survivors(searcher: Evolution) -> set[object]:
    return {candidate.decisions["parent"] for candidate in searcher._survivors}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_the_dominated_and_the_infeasible_leave(kind: str, m: int) -> None:
    good = 1.0 + np.eye(5, m) if m > 1 else np.arange(5.0)[:, None]
    costs = np.vstack([np.full((5, m), 9.0), good, np.zeros((5, m))])
    searcher = made(kind, m, 5)
    tell(searcher, costs, [0.0] * 10 + [2.0] * 5)
    assert survivors(searcher) == {5, 6, 7, 8, 9}


@pytest.mark.parametrize("kind", KINDS)
def test_of_infeasible_ones_those_that_break_less_survive(kind: str) -> None:
    searcher = made(kind, 2, 3)
    tell(searcher, np.zeros((5, 2)), [5.0, 2.0, 4.0, 0.5, 3.0])
    assert survivors(searcher) == {1, 3, 4}


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_is_turned_away_at_once_would_have_left(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(7)
    costs = rng.integers(0, 12, size=(40, 2)).astype(float)
    loads = np.where(rng.random(40) < 0.3, 1.5, 0.0).tolist()
    quick, thorough = made(kind, 2, 6), made(kind, 2, 6)
    tell(quick, costs, loads)
    monkeypatch.setattr(Evolution, "_hopeless", lambda *_: False)
    tell(thorough, costs, loads)
    if kind == "nsga3":  # its coins differ: whom a tie spares, not how good survivors are
        assert front_numbers(quick._costs).tolist() == front_numbers(thorough._costs).tolist()
    else:
        assert quick._survivors == thorough._survivors
        assert quick._standing.tolist() == thorough._standing.tolist()


@pytest.mark.parametrize("kind", ["nsga2", "age_moea", "sms_emoa"])
def test_better_ones_are_parents_more_often(kind: str) -> None:
    searcher = made(kind, 2, 10)
    tell(searcher, np.arange(10.0)[:, None] * [1.0, 1.0], [0.0] * 10)
    rng = np.random.default_rng(0)
    parents = [searcher._select(rng).decisions["parent"] for _ in range(400)]
    assert parents.count(0) > 50 > 10 > parents.count(9)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"population_size": 1}, "'population_size' is 1: give at least 2"),
        ({"crossover_probability": 1.5}, "'crossover_probability' is 1.5"),
        ({"mutation_probability": -0.1}, "'mutation_probability' is -0.1"),
    ],
)
@pytest.mark.parametrize("kind", [NSGA2Settings, NSGA3Settings, AgeMoeaSettings, SMSEMOASettings])
def test_settings_that_make_no_sense_are_refused(
    kind: type[NSGA2Settings], settings: dict[str, float], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        kind(**settings)  # type: ignore[arg-type]

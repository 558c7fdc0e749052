"""NSGA-II: what is peculiar to it."""

from dataclasses import replace

from niwaki.core import Bound
from niwaki.search.nsga2 import NSGA2, NSGA2Settings
from niwaki.search.random_search import RandomSearch
from niwaki.testing.toy_run import search
from niwaki.testing.toys import flat_toy

TOY = flat_toy()


def test_the_first_population_is_that_of_random_search() -> None:
    asked = search(NSGA2(TOY.problem(seed=1), NSGA2Settings(population_size=8)), TOY, 9).asked
    bare = NSGA2(TOY.problem(seed=1)).ask(9)
    assert asked[:8] == tuple(bare[:8])
    assert asked[8] != bare[8]


def test_nobody_waits_for_a_generation() -> None:
    searcher = NSGA2(TOY.problem(seed=1), NSGA2Settings(population_size=4))
    assert len(set(searcher.ask(100))) == 100


def test_it_learns_from_each_measurement_at_once() -> None:
    settings = NSGA2Settings(population_size=4)
    run = search(NSGA2(TOY.problem(seed=1), settings), TOY, 12)
    ignorant, wiser = (NSGA2(TOY.problem(seed=1), settings) for _ in range(2))
    for searcher in (ignorant, wiser):
        searcher.resume(run.asked)
        searcher.tell(run.told[:-1])
    best = replace(run.told[-1].measurement, values={"accuracy": 0.0, "cost": 0.0})
    wiser.tell([replace(run.told[-1], measurement=best)])
    assert wiser.ask(4) != ignorant.ask(4)


def test_it_finds_a_small_feasible_region() -> None:
    bounds = (Bound("cost", 1.0, 14.0), Bound("accuracy", -1.0, -7.0))
    tight = replace(TOY.problem(seed=2), bounds=bounds)
    own, chance = (
        tight.violations(search(searcher, TOY, 200).told) == 0.0
        for searcher in (NSGA2(tight), RandomSearch(tight))
    )
    assert chance.mean() < 0.05
    assert own[-100:].mean() > 0.3

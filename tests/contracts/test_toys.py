"""The toys are what they say: their fronts are true, their troubles strike as often as promised."""

import numpy as np
import pytest

from niwaki.core import Status
from niwaki.core.pareto import non_dominated
from niwaki.core.randomness import stream
from niwaki.spaces.walks import every_candidate
from niwaki.testing import toys
from niwaki.testing.toy_troubles import FAILING_SHARE, NOISE, all_toys
from niwaki.testing.toys import Toy, flat_toy, joint_toy

TOYS = {toy.name: toy for toy in all_toys()}


def small_toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    """Return a toy of at most two layers, small enough to list."""
    monkeypatch.setattr(toys, "LAYERS", toys.LAYERS[:2])
    monkeypatch.setattr(toys, "DEPTHS", (1, 2))
    return flat_toy()


def test_the_front_is_that_of_all_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = small_toy(monkeypatch)
    values = [toy.truth(candidate).values for candidate in every_candidate(toy.space)]
    costs = np.array([[-v["accuracy"], v["cost"]] for v in values])
    assert len(costs) == 10 + 100
    brute_force = np.unique(costs[non_dominated(costs)].round(9), axis=0)
    np.testing.assert_allclose(np.unique(toy.front.round(9), axis=0), brute_force)


def test_the_whole_front_scores_one(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = small_toy(monkeypatch)
    everyone = list(every_candidate(toy.space))
    assert toy.score(everyone) == pytest.approx(1.0)
    assert 0.0 < toy.score(everyone[:5]) < 1.0
    assert toy.score([]) == 0.0


def test_both_spellings_are_one_problem() -> None:
    flat, joint = flat_toy(), joint_toy()
    assert flat.space.size == joint.space.size
    candidate = joint.space.sample(stream(0))
    parts = {**candidate.part("architecture").decisions, **candidate.part("quantization").decisions}
    assert flat.truth(flat.space.canonical(parts)).values == joint.truth(candidate).values


def test_a_third_fails() -> None:
    toy = TOYS["failing"]
    told = [toy.measure(toy.space.sample(stream(n))) for n in range(900)]
    share = sum(measurement.status is Status.FAILED for measurement in told) / 900
    assert share == pytest.approx(FAILING_SHARE, abs=0.05)


def test_noise_is_a_candidates_own() -> None:
    toy = TOYS["noisy"]
    samples = [toy.space.sample(stream(n)) for n in range(400)]
    assert [toy.measure(c) for c in samples] == [toy.measure(c) for c in samples]
    off = [toy.measure(c).values["accuracy"] - toy.truth(c).values["accuracy"] for c in samples]
    assert np.std(off) == pytest.approx(NOISE, rel=0.1)
    assert abs(np.mean(off)) < NOISE / 5


def test_a_permutation_loses_no_width() -> None:
    toy = TOYS["permuted"]
    base = toy.space.sample(stream(0)).decisions
    path = "architecture/layer0.width"
    spelled = [toy.space.canonical({**base, path: width}) for width in toys.WIDTHS]
    meant = [toy.relabel(candidate).decisions[path] for candidate in spelled]
    assert sorted(meant, key=str) == sorted(toys.WIDTHS, key=str)
    assert meant != list(toys.WIDTHS)


def test_the_bounded_toy_has_every_kind_of_trial() -> None:
    toy = TOYS["bounded"]
    told = [toy.measure(toy.space.sample(stream(n))) for n in range(300)]
    n_turned_away = sum(measurement.status is Status.INFEASIBLE for measurement in told)
    late, fine = (
        [m for m in told if m.complete and (toy.bounds[1].violation(m.values) > 0) is broken]
        for broken in (True, False)
    )
    assert min(n_turned_away, len(late), len(fine)) >= 10

"""Which units stay, locally and by one threshold."""

import numpy as np
import pytest
import torch
from torch import nn

from niwaki.compress.pruning import (
    ChannelGrain,
    ChannelGroups,
    Normalisation,
    allowed_counts,
    analyse,
    best_units,
    global_counts,
    normalised,
    uniform_counts,
)
from niwaki.core.errors import ConfigError, StudyError
from niwaki.testing.pruning_idioms import IDIOMS


@pytest.fixture(scope="module")
def groups() -> ChannelGroups:
    return analyse(IDIOMS["residual"].make(), torch.randn(2, 3, 8, 8))  # units 16 and 24


def _allowed(groups: ChannelGroups, grain: int = 1) -> dict[str, tuple[int, ...]]:
    return {n: allowed_counts(groups, n, grain=ChannelGrain(grain)) for n in groups.names}


def test_the_best_units_stay() -> None:
    kept = best_units({"a": np.array([0.3, 0.9, 0.1, 0.9])}, {"a": 2})
    assert kept["a"].tolist() == [1, 3]


def test_counts_are_multiples_of_the_grain_or_all(groups: ChannelGroups) -> None:
    assert _allowed(groups, 8) == {"stem.0": (8, 16), "a.0": (8, 16, 24)}
    assert _allowed(groups, 16) == {"stem.0": (16,), "a.0": (16, 24)}
    assert _allowed(groups, 64) == {"stem.0": (16,), "a.0": (24,)}
    assert _allowed(groups)["stem.0"] == tuple(range(1, 17))


def test_a_count_that_is_no_faster_than_a_larger_one_is_never_allowed(
    groups: ChannelGroups,
) -> None:
    latency_ms = {8: 0.9, 12: 1.7, 16: 1.0, 24: 1.0}
    grain = ChannelGrain(4, latency_ms)
    assert allowed_counts(groups, "a.0", grain=grain) == (4, 8, 20, 24)


def test_latencies_are_by_the_channels_of_the_widest_layer() -> None:
    found = analyse(IDIOMS["depthwise_multiplier"].make(), torch.randn(2, 3, 8, 8))
    # Twice as many after the second layer: 8 of them are slower than 16, 24 than 32.
    grain = ChannelGrain(4, {8: 1.0, 16: 0.8, 24: 2.0, 32: 2.0})
    assert allowed_counts(found, "0.0", grain=grain) == (8, 16)


def test_where_nothing_is_asked_every_count_is_allowed(groups: ChannelGroups) -> None:
    assert allowed_counts(groups, "a.0") == tuple(range(1, 25))


def test_units_of_several_channels_count_as_such() -> None:
    found = analyse(IDIOMS["many_groups"].make(), torch.randn(2, 3, 8, 8))
    name = next(group.name for group in found.groups if group.width == 4)
    assert allowed_counts(found, name, grain=ChannelGrain(16)) == (8, 16)


def test_a_fixed_part_counts_with_the_group() -> None:
    found = analyse(IDIOMS["padded_shortcut"].make(), torch.randn(2, 3, 8, 8))
    name = next(g.name for g in found.groups if {m.size for m in g.writers} == {16, 32})
    assert 8 in allowed_counts(found, name, grain=ChannelGrain(8))


def test_a_grain_below_one_is_an_error() -> None:
    with pytest.raises(ConfigError):
        ChannelGrain(0)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_counts_keep_to_the_budget_and_use_it(groups: ChannelGroups, share: float) -> None:
    macs = groups.costs.macs
    budget = share * float(macs(groups.n_units))
    scores = {
        n: np.random.default_rng(1).random(u) for n, u in zip(groups.names, (16, 24), strict=True)
    }
    for counts in (
        uniform_counts(groups, _allowed(groups), cost=macs, budget=budget),
        global_counts(groups, scores, _allowed(groups), cost=macs, budget=budget),
    ):
        cost = float(macs(np.array([counts[name] for name in groups.names])))
        assert 0.8 * budget < cost <= budget


def test_one_threshold_for_all(groups: ChannelGroups) -> None:
    scores = {"stem.0": np.linspace(0.5, 1.0, 16), "a.0": np.linspace(0.0, 0.6, 24)}
    budget = 0.4 * float(groups.costs.macs(groups.n_units))
    counts = global_counts(groups, scores, _allowed(groups), cost=groups.costs.macs, budget=budget)
    kept = best_units(scores, counts)
    lowest_kept = min(float(scores[name][units].min()) for name, units in kept.items())
    dropped = [np.delete(scores[name], units) for name, units in kept.items()]
    assert max(float(each.max(initial=0.0)) for each in dropped) <= lowest_kept


def test_an_impossible_budget_names_the_least(groups: ChannelGroups) -> None:
    least = float(groups.costs.macs(np.array([8, 8])))
    with pytest.raises(StudyError, match=f"the least .* is {least:.6g}: "):
        uniform_counts(groups, _allowed(groups, 8), cost=groups.costs.macs, budget=10.0)


def test_a_budget_of_the_whole_leaves_it_whole(groups: ChannelGroups) -> None:
    macs = groups.costs.macs
    whole = uniform_counts(groups, _allowed(groups), cost=macs, budget=float(macs(groups.n_units)))
    assert list(whole.values()) == [16, 24]


@pytest.mark.parametrize("how", Normalisation)
def test_normalised_scores_keep_their_order(how: Normalisation) -> None:
    scores = {"a": np.array([3.0, 1.0, 2.0]), "b": np.zeros(2)}
    found = normalised(scores, how)
    assert np.argsort(found["a"]).tolist() == [1, 2, 0]
    assert found["b"].tolist() == [0.0, 0.0]


def test_scores_are_divided_by_what_is_asked_for() -> None:
    scores = {"a": np.array([3.0, -1.0])}
    divisors = {how: float(3.0 / normalised(scores, how)["a"][0]) for how in Normalisation}
    assert list(divisors.values()) == pytest.approx([1.0, 2.0, 3.0, 5.0**0.5])


def test_a_model_without_groups_has_no_counts() -> None:
    found = analyse(nn.Conv2d(3, 4, 3), torch.randn(2, 3, 8, 8))
    macs, whole = found.costs.macs, float(found.costs.macs([]))
    assert uniform_counts(found, {}, cost=macs, budget=whole) == {}
    assert global_counts(found, {}, {}, cost=macs, budget=whole) == {}
    with pytest.raises(StudyError, match=f"is {whole:.6g}: raise the budget"):
        uniform_counts(found, {}, cost=macs, budget=1.0)
    with pytest.raises(StudyError, match=f"is {whole:.6g}: raise the budget"):
        global_counts(found, {}, {}, cost=macs, budget=1.0)

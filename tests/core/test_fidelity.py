"""Fidelities: what can be asked for, what it costs, and ladders of them."""

import pytest

from niwaki.core.errors import ConfigError
from niwaki.core.fidelity import Fidelities

TWO = Fidelities(levels=(0.06, 1.0))
ANY = Fidelities(any_from=0.01)


def test_levels_alone_can_be_asked_for_unless_any_share_can() -> None:
    assert [TWO.allow(f) for f in (0.05, 0.06, 0.5, 1.0)] == [False, True, False, True]
    assert [ANY.allow(f) for f in (0.005, 0.01, 0.5, 1.0)] == [False, True, True, True]
    assert not Fidelities().several
    assert TWO.several
    assert ANY.several


def test_going_on_costs_the_difference_and_starting_anew_the_whole() -> None:
    going_on = Fidelities(levels=(0.25, 1.0), continues=True)
    assert going_on.effort(0.25) == 0.25
    assert going_on.effort(1.0, reached=0.25) == 0.75
    assert TWO.effort(1.0, reached=0.06) == 1.0


@pytest.mark.parametrize(
    ("fidelities", "reduction", "least", "ladder"),
    [
        (TWO, 3.0, 0.0, (0.06, 1.0)),
        (TWO, 20.0, 0.0, (1.0,)),
        (TWO, 3.0, 0.1, (1.0,)),
        (Fidelities(levels=(0.1, 0.2, 0.3, 0.5, 0.9, 1.0)), 3.0, 0.0, (0.1, 0.3, 1.0)),
        (Fidelities(any_from=1 / 27), 3.0, 0.0, (1 / 27, 1 / 9, 1 / 3, 1.0)),
        (ANY, 4.0, 0.05, (1 / 16, 1 / 4, 1.0)),
        (Fidelities(), 3.0, 0.0, (1.0,)),
    ],
)
def test_ladders_rise_by_the_reduction_at_least(
    fidelities: Fidelities, reduction: float, least: float, ladder: tuple[float, ...]
) -> None:
    assert fidelities.ladder(reduction=reduction, least=least) == pytest.approx(ladder)
    assert all(map(fidelities.allow, fidelities.ladder(reduction=reduction, least=least)))


@pytest.mark.parametrize("levels", [(), (0.5,), (0.5, 0.4, 1.0), (0.0, 1.0), (1.0, 2.0)])
def test_levels_that_do_not_rise_to_one_are_refused(levels: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="the last one 1"):
        Fidelities(levels=levels)


def test_any_from_is_a_share() -> None:
    with pytest.raises(ConfigError, match="'any_from' is 0"):
        Fidelities(any_from=0.0)


def test_a_ladder_ends_where_a_reduction_is_lost_in_rounding() -> None:
    assert Fidelities(levels=(0.5, 1.0)).ladder(reduction=1.0 + 1e-12)[-1] == 1.0


@pytest.mark.parametrize("reduction", [1.0, 0.5, float("nan")])
def test_a_ladder_that_would_not_rise_is_refused(reduction: float) -> None:
    with pytest.raises(ConfigError, match="'reduction'"):
        Fidelities((0.5, 1.0)).ladder(reduction=reduction)

"""Rates and sizes against the published study and closed forms."""

import math

import numpy as np
import pytest

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar import (
    Budget,
    Grammar,
    GrammarSpace,
    branching_rate,
    expected_operations,
    read_grammar,
    return_rate,
    tilted,
)
from niwaki.spaces.grammar.picking import by_weight
from niwaki.spaces.grammar.rates import mean_matrix


def branching(text: str, q: float = 0.32) -> Grammar:
    w = (1.0 - q) / 3.0
    return read_grammar(
        "terminal c, a, p\nS -> M\n"
        f"M -> c [{q}] | seq: M M [{w}] | B [{w}] | route: p M p [{w}]\nB -> {text}"
    )


TWELVE = "two: p M M a [4] | four: p M*4 a [4] | eight: p M*8 a [4]"
THREE_CHANNELS = "two: p M M a [3] | four: p M*4 a [1] | eight: p M*8 a [1]"
EVEN = "two: p M M a [4] | four: p M*4 a [4] | eight: p M*8 a [1]"


@pytest.mark.parametrize(
    ("text", "derivation", "network"),
    [(TWELVE, 0.9822, 1.7378), (THREE_CHANNELS, 1.0427, 1.496), (EVEN, 1.0074, 1.4859)],
)
def test_rates_are_the_published_ones(text: str, derivation: float, network: float) -> None:
    grammar = branching(text)
    assert return_rate(grammar, "M") == pytest.approx(derivation, abs=6e-5)
    assert return_rate(grammar, "M", copies=True) == pytest.approx(network, abs=6e-5)


@pytest.mark.parametrize(
    ("text", "derivation", "network"),
    [(TWELVE, 4 / 13, 14 / 23), (THREE_CHANNELS, 0.347826, 0.545455)],
)
def test_spectral_radius_is_one_at_the_critical_weight(
    text: str, derivation: float, network: float
) -> None:
    assert branching_rate(branching(text, derivation)) == pytest.approx(1.0, abs=1e-5)
    assert branching_rate(branching(text, network), copies=True) == pytest.approx(1.0, abs=1e-5)


def test_the_file_has_the_published_rates_and_sizes(einspace: Grammar) -> None:
    assert return_rate(einspace, "M") == pytest.approx(0.9822, abs=5e-5)
    assert return_rate(einspace, "M", copies=True) == pytest.approx(1.7378, abs=5e-5)
    sizes = expected_operations(einspace)
    assert sizes["M"] == pytest.approx(69.0)
    assert sizes["S"] == pytest.approx(101.0)


def test_a_super_critical_grammar_is_refused_with_its_rate() -> None:
    grammar = read_grammar("terminal a\nM -> seq: M M [0.7] | a [0.3]")
    with pytest.raises(SpaceError, match=r"1\.4000"):
        GrammarSpace(grammar)
    assert math.isinf(expected_operations(grammar)["M"])


def test_tilting_gives_the_wanted_size_and_tames_super_critical_weights() -> None:
    grammar = read_grammar("terminal a, b\nM -> seq: M M [0.7] | a [0.2] | b [0.1]")
    wanted = tilted(grammar, operations=7.0)
    assert expected_operations(wanted)["M"] == pytest.approx(7.0, rel=1e-3)
    weights = [way.weight for way in wanted.productions]
    assert weights[1] / weights[2] == pytest.approx(2.0)
    # A binary tree with n leaves has n - 1 forks: mean 1 / (1 - 2 p) leaves times 1 - p.
    p = weights[0]
    assert (1 - p) / (1 - 2 * p) == pytest.approx(7.0, rel=1e-3)


@pytest.mark.parametrize("n", [10, 30, 60, 400])
def test_productions_of_many_operations_are_tilted(n: int) -> None:
    grammar = read_grammar(f"start S\nS -> x: {'a ' * n} | y: a S\nterminal a\n")
    wanted = tilted(grammar, operations=n + 20.0)
    assert expected_operations(wanted)["S"] == pytest.approx(n + 20.0, rel=1e-3)


def test_an_impossible_size_is_refused() -> None:
    grammar = read_grammar("terminal a\nS -> pair: a a")
    with pytest.raises(SpaceError, match=r"no weights give 5 .* the smallest derivation has 2\)"):
        tilted(grammar, operations=5.0)


def test_sampled_sizes_have_the_predicted_mean() -> None:
    grammar = read_grammar("terminal a\nM -> seq: M M [0.3] | a [0.7]")
    space = GrammarSpace(grammar, Budget(operations=300, depth=100))
    rng = np.random.default_rng(1)
    sizes = [space.engine.grow(by_weight(rng)).n_leaves for _ in range(2000)]
    assert np.mean(sizes) == pytest.approx(expected_operations(grammar)["M"], abs=0.15)


def test_sizes_are_finite_exactly_where_the_radius_is_below_one() -> None:
    finite = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n, weight = int(rng.integers(1, 6)), rng.uniform(0.05, 0.7)
        lines = [
            f"S{i} -> x{i}: a S{(i + 1) % n} S{rng.integers(n)} [{weight}] | a [{1 - weight}]"
            for i in range(n)
        ]
        grammar = read_grammar("\n".join(["start S0", "terminal a", *lines]))
        radius = np.abs(np.linalg.eigvals(mean_matrix(grammar, copies=False))).max()
        finite.append(np.isfinite(expected_operations(grammar)["S0"]))
        assert finite[-1] == (radius < 1.0)
    assert 50 < sum(finite) < 150
